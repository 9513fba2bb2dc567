"""The sink that posts events of calls and of the service to EVENTS_URL, as signed JSON.

The signature is that of Standard Webhooks (https://www.standardwebhooks.com), so its libraries verify it. Facts are
taken at once; greenlets post the events. So a receiver that hangs holds nothing up.
"""

import json
import random
import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC
from email.utils import parsedate_to_datetime

import gevent
import requests
from gevent.event import Event as Signal

from lexbridge import __version__
from lexbridge.config.settings import Settings
from lexbridge.logs import Log, RateLimitedLog
from lexbridge.net.capped_http import capped_session
from lexbridge.net.standard_webhooks import signature_headers, signing_key
from lexbridge.observer.bugs import BugWindow
from lexbridge.observer.events.event_bodies import body_of, call_sid_of, enveloped
from lexbridge.observer.events.outbox import Letter, Outbox
from lexbridge.observer.watched.kept_words import NO_WORDS, SAID
from lexbridge.observer.watched.watched_calls import Told, WatchedCalls
from lexbridge.telemetry.facts import Event, Fact

SENDERS = 8
"""The most posts at a time, because a receiver that takes 100 ms then takes 80 events a second."""

CONNECT_S, ANSWER_S = 5.0, 10.0
"""Limits of the wait for a connection and for an answer's next bytes, in seconds; receivers should answer at once."""

POST_S = 20.0
"""Limits one post as a whole, in seconds, because an answer may come byte by byte."""

TICK_S = 1.0
"""Interval in seconds at which calls are found to be over, because they end after seconds without a stream."""


class PostedEvents:
    """The sink. `settings` has EVENTS_URL and EVENTS_SECRET."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.service.events_url or ""
        self._key = signing_key(settings.service.events_secret or "")
        self._has_words = settings.service.events_words
        self._calls = WatchedCalls(SAID if settings.service.events_words else NO_WORDS)
        self._observer, self._sequence = secrets.token_hex(8), 0
        self._outbox = Outbox(random.random)
        self._session = capped_session(SENDERS)
        self._news = Signal()
        self._is_closing = False
        self._failed = RateLimitedLog("event-not-taken")
        self._dropped = RateLimitedLog("event-dropped")
        self._log = Log()
        self._bugs = BugWindow()
        self._greenlets = [gevent.spawn(self._tick), *(gevent.spawn(self._send) for _ in range(SENDERS))]

    @property
    def dropped(self) -> Mapping[str, int]:
        """The number of events that were dropped so far, by reason."""
        return self._dropped.totals

    def take(self, fact: Fact) -> None:
        """Take in a fact. Audio tells nothing here."""
        if isinstance(fact, Event):
            try:
                for told in self._calls.take(fact):
                    self._put(told)
            except Exception:
                if self._bugs.may_log():
                    self._log.exception("events-broken")

    def close(self, deadline_s: float) -> None:
        """Post what waits, for at most `deadline_s`. Calls that have a live stream may go on, and are not ended."""
        for told in self._calls.end_all(time.time()):
            self._put(told)
        give_up_s = time.monotonic() + deadline_s
        while len(self._outbox) and time.monotonic() < give_up_s:
            gevent.sleep(0.05)
        self._is_closing = True
        gevent.killall(self._greenlets, timeout=1)
        for _ in range(len(self._outbox)):
            self._dropped.count("service stopped")
        self._session.close()

    def _put(self, told: Told) -> None:
        self._sequence += 1
        body = enveloped(body_of(told, self._has_words), self._observer, self._sequence)
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"), default=str).encode("utf-8", "replace")
        letter = Letter(call_sid_of(told), body["id"], text, time.monotonic())
        if self._outbox.put(letter) is not None:
            self._dropped.count("too many wait")
        self._news.set()

    def _tick(self) -> None:
        while True:
            gevent.sleep(TICK_S)
            try:
                for told in self._calls.tick(time.time()):
                    self._put(told)
            except Exception:
                if self._bugs.may_log():
                    self._log.exception("events-broken")

    # -- posting

    def _send(self) -> None:
        """Post one event after the other, as a greenlet."""
        while True:
            self._news.clear()
            now_s = time.monotonic()
            letter = self._outbox.take(now_s)
            if letter is None:
                due_s = self._outbox.due_s()
                self._news.wait(None if due_s is None else max(0.01, due_s - now_s))
                continue
            try:
                self._post(letter)
            except Exception:
                if self._bugs.may_log():
                    self._log.exception("events-broken")
                self._drop(letter, "bug")

    def _post(self, letter: Letter) -> None:
        """Post an event once, and note what became of it."""
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"lexbridge/{__version__}",
            **signature_headers(self._key, letter.event_id, letter.body, int(time.time())),
        }
        try:
            with gevent.Timeout(POST_S, requests.Timeout()):
                status, retry_after = self._request(letter.body, headers)
        except requests.RequestException as error:
            self._retry(letter, _reason(error))
            return
        if 200 <= status < 300:
            self._outbox.done(letter, time.monotonic())
        elif status == 429 or status >= 500:
            self._retry(letter, f"status {status}", retry_after_s(retry_after, time.time()))
        else:
            self._drop(letter, f"status {status}")
        self._news.set()

    def _request(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, str | None]:
        """Post `body`, and return the status and the header `Retry-After`. Raise requests.RequestException."""
        answer = self._session.post(
            self._url,
            data=body,
            headers=headers,
            timeout=(CONNECT_S, ANSWER_S),
            allow_redirects=False,
            stream=True,  # the status tells all: what is wrong with the rest of the answer does not matter
        )
        with suppress(requests.RequestException), answer:
            _ = answer.content  # read to the end, so that the connection can be used again
        return answer.status_code, answer.headers.get("Retry-After")

    def _retry(self, letter: Letter, reason: str, asked_s: float = 0.0) -> None:
        self._failed.count(reason)
        was_settled = letter.is_settled
        if not self._outbox.retry(letter, time.monotonic(), asked_s) and not was_settled:
            self._dropped.count("too old")
        self._news.set()

    def _drop(self, letter: Letter, reason: str) -> None:
        self._outbox.done(letter, time.monotonic())
        self._dropped.count(reason)
        self._news.set()


def retry_after_s(value: str | None, now_s: float) -> float:
    """Return the seconds that a header `Retry-After` asks for, in either of its forms, or 0."""
    if value is None:
        return 0.0
    if value.strip().isascii() and value.strip().isdigit():
        return float(value.strip()[:9])
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return 0.0
    return max(0.0, (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - now_s)


def _reason(error: requests.RequestException) -> str:
    """Return a few words for an error of the network: one of a small set."""
    match error:
        case requests.exceptions.SSLError():
            return "no TLS"
        case requests.Timeout():
            return "timeout"
        case requests.ConnectionError():
            return "no connection"
        case _:
            return type(error).__name__
