"""The routes of calls on ADMIN_PORT: lists, one call, its levels, its audio, its file, and the what-if."""

import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import gevent
import msgspec
from flask import Blueprint, Response, abort, request
from gevent.lock import BoundedSemaphore

from lexbridge.logs import Log
from lexbridge.observer.admin.call_settings import CallSettings
from lexbridge.observer.admin.guard import refuse
from lexbridge.observer.admin.level_store import LevelStore
from lexbridge.observer.admin.what_if import WhatIfRefused, what_if
from lexbridge.observer.calls.call_book import CallBook
from lexbridge.observer.calls.call_file import MAX_FILE_BYTES, CallFileRefused, read_call, write_call
from lexbridge.observer.calls.call_record import CallRecord
from lexbridge.observer.calls.call_wav import plan_wav, wav_slices

MAX_SEEKABLE_BYTES = 64 * 1024 * 1024
"""Largest wav, bytes, that is put together as a whole, so that a player can jump within it: 35 minutes."""

WORK_WAIT_S = 30.0
"""Time in seconds that a request waits for others that need much CPU, of which one runs at a time."""


class CallRoutes:
    """The views of calls."""

    def __init__(
        self,
        call_settings: CallSettings,
        book: CallBook,
        levels: LevelStore,
        let_go: Callable[[str], bool] | None = None,
    ) -> None:
        """`let_go`: lets a call go, and returns whether a worker had its stream."""
        self._let_go = let_go
        self._call_settings = call_settings
        self._book = book
        self._levels = levels
        self._work = BoundedSemaphore(1)

    def blueprint(self) -> Blueprint:
        """Return the routes."""
        routes = Blueprint("calls", __name__)
        routes.get("/calls")(self.calls)
        routes.get("/calls/<call_sid>")(self.call)
        routes.get("/calls/<call_sid>/levels")(self.levels)
        routes.get("/calls/<call_sid>/wav")(self.wav)
        routes.get("/calls/<call_sid>/export")(self.export)
        routes.post("/calls/<call_sid>/what-if")(self.what_if)
        routes.post("/calls/<call_sid>/release")(self.release)
        routes.post("/console/api/open")(self.open)
        return routes

    def calls(self) -> Response:
        """Return all calls in one line each, and the workers."""
        return json_response(self._book.overview(time.time()))

    def call(self, call_sid: str) -> Response:
        """Return all that is known of one call but its audio."""
        self._book.settle(time.time())
        return json_response(self._record(call_sid).view(time.time()))

    def levels(self, call_sid: str) -> Response:
        """Return the levels of a call, frame by frame, from `after_ms` of each stream on."""
        record = self._record(call_sid)
        after_ms = request.args.get("after_ms", 0, type=int)
        with self._working():
            return json_response(self._levels.view(record, after_ms, _give_way))

    def wav(self, call_sid: str) -> Response:
        """Return the audio that was kept of a call, as a stereo wav."""
        record = self._record(call_sid)
        plan = plan_wav(record)
        if plan is None:
            return refuse(404, "none of this call's audio was kept")
        size_bytes = plan.size_bytes(is_mulaw=False)
        if request.method == "HEAD" or size_bytes > MAX_SEEKABLE_BYTES:
            response = Response(wav_slices(record, plan), mimetype="audio/wav")
            response.content_length = size_bytes
            return response
        whole = bytearray()
        for part in wav_slices(record, plan):
            whole += part
            _give_way()
        response = Response(bytes(whole), mimetype="audio/wav")
        response.make_conditional(request, accept_ranges=True, complete_length=len(whole))
        return response

    def export(self, call_sid: str) -> Response:
        """Return a call as one file. Without `words=on` it has neither words nor audio, so that it can be shared."""
        record = self._record(call_sid)
        words = request.args.get("words", "off") == "on"
        with self._working():
            content = write_call(record, time.time(), words=words, give_way=_give_way)
        response = Response(content, mimetype="application/json")
        response.headers["Content-Disposition"] = f'attachment; filename="lexbridge-{record.call_sid}.json"'
        return response

    def what_if(self, call_sid: str) -> Response:
        """Return what other settings would have made of a call's audio."""
        record = self._record(call_sid)
        try:
            wanted = msgspec.json.decode(request.get_data(), type=dict[str, str | int | bool])
            with self._working():
                return json_response(what_if(record, self._call_settings.of(record), wanted, _give_way))
        except msgspec.MsgspecError as error:
            return refuse(400, f"the body has to be an object of settings: {error}")
        except WhatIfRefused as refused:
            return refuse(400, str(refused))

    def release(self, call_sid: str) -> Response:
        """Let a call go: another program has it. Answer 200 once its stream hears nothing more, 202 if none is here."""
        if self._let_go is None or not re.fullmatch("CA[0-9a-fA-F]{32}", call_sid):
            return refuse(404, "this is no call that can be let go here")
        is_found = self._let_go(call_sid)
        Log(call_sid=call_sid).info("call-released", by="console", found=is_found)
        response = json_response({"released": is_found, "noted": True})
        response.status_code = 200 if is_found else 202
        return response

    def open(self) -> Response:
        """Open a call's file for looking, and return the name that the call has here."""
        request.max_content_length = MAX_FILE_BYTES
        try:
            record = read_call(request.get_data(cache=False), f"opened-{secrets.token_hex(4)}")
        except CallFileRefused as refused:
            return refuse(400, str(refused))
        self._book.add_opened(record)
        return json_response({"call_sid": record.call_sid})

    def _record(self, call_sid: str) -> CallRecord:
        record = self._book.find(call_sid)
        if record is None:
            abort(404, "there is no such call, or it was forgotten")
        return record

    @contextmanager
    def _working(self) -> Iterator[None]:
        """Hold the turn for what needs much CPU. It answers 503 if others take too long."""
        if not self._work.acquire(timeout=WORK_WAIT_S):
            abort(503, "other requests that take long are under way: try again")
        try:
            yield
        finally:
            self._work.release()


def json_response(value: object) -> Response:
    """Return an answer in JSON."""
    return Response(msgspec.json.encode(value), mimetype="application/json")


def _give_way() -> None:
    gevent.sleep(0)
