"""The routes of the console on ADMIN_PORT: pages, live events, latency, settings, health, faults of a rehearsal."""

import os
import time
from pathlib import Path
from typing import Any

import msgspec
import requests
from flask import Blueprint, Response, redirect, request, send_from_directory

from lexbridge.config.settings import Settings
from lexbridge.net.capped_http import capped_session
from lexbridge.observer.admin.call_routes import json_response
from lexbridge.observer.admin.guard import PROOF, PROOF_HEADER, refuse
from lexbridge.observer.admin.live_events import LiveEvents, TooManyBrowsers
from lexbridge.observer.admin.settings_view import effective_settings
from lexbridge.observer.calls.call_book import CallBook, is_name
from lexbridge.telemetry import metrics

STATIC = Path(__file__).parents[1] / "static"
"""Folder of the console's page and all that it loads."""

REHEARSAL_S = 3.0
"""Time in seconds after which the phone of a rehearsal counts as absent: it is on this machine, and answers at once."""


class ConsoleRoutes:
    """The views of the console, `/metrics` and `/ping`."""

    def __init__(self, settings: Settings, book: CallBook, events: LiveEvents) -> None:
        self._settings = settings
        self._book = book
        self._events = events

    def blueprint(self) -> Blueprint:
        """Return the routes."""
        routes = Blueprint("console", __name__)
        routes.get("/")(self.root)
        routes.get("/ping")(self.ping)
        routes.get("/metrics")(self.metrics)
        routes.get("/console/")(self.page)
        routes.get("/console/static/<path:name>")(self.file)
        routes.get("/console/api/stream")(self.stream)
        routes.get("/console/api/latency")(self.latency)
        routes.get("/console/api/settings")(self.settings)
        routes.get("/console/api/health")(self.health)
        routes.route("/console/api/rehearsal", methods=["GET", "POST"])(self.rehearsal)
        return routes

    def root(self) -> Any:
        """Send a browser to the console."""
        return redirect("/console/")

    def ping(self) -> Response:
        """Tell that the observer process is there."""
        return Response("pong", mimetype="text/plain")

    def metrics(self) -> Response:
        """Return the metrics of all processes, for Prometheus."""
        try:
            body, content_type = metrics.exposition()
        except RuntimeError:
            return refuse(503, "there are no metrics in this process")
        return Response(body, content_type=content_type)

    def page(self) -> Response:
        """Return the console's page."""
        return send_from_directory(STATIC, "index.html")

    def file(self, name: str) -> Response:
        """Return a file of the console."""
        return send_from_directory(STATIC, name)

    def stream(self) -> Response:
        """Return server-sent events until the browser leaves."""
        if request.method == "HEAD":
            return Response(mimetype="text/event-stream")
        follows = request.args.get("follow") or None
        if follows is not None and not is_name(follows):
            return refuse(400, "this is no CallSid")
        try:
            browser = self._events.enter(follows)
        except TooManyBrowsers:
            return refuse(503, "as many browsers as possible watch already: close one")
        response = Response(self._events.messages(browser), mimetype="text/event-stream")
        response.call_on_close(lambda: self._events.leave(browser))
        response.headers["X-Accel-Buffering"] = "no"  # else nginx in front would keep events back
        return response

    def latency(self) -> Response:
        """Return percentiles of all turns, and the slowest."""
        return json_response(self._book.latency.view(time.time()))

    def settings(self) -> Response:
        """Return the settings as they are in effect, without secrets."""
        return json_response(list(effective_settings(self._settings, os.environ)))

    def health(self) -> Response:
        """Return faults and refusals, and what was dropped, without a word of any call."""
        now_s = time.time()
        health = self._book.health
        return json_response(
            {
                "now_s": now_s,
                "workers": self._book.workers.view(now_s),
                "refusals": health.refusals,
                "errors": health.errors,
                "lines": health.lines(now_s),
                "counts": self._book.counts(),
                "dropped_facts": self._book.workers.dropped_facts,
                "browsers": self._events.browsers,
                "dropped_for_browsers": self._events.dropped,
            }
        )

    def rehearsal(self) -> Response:
        """Pass a request on to the phone of the rehearsal, which switches faults."""
        if self._settings.service.rehearsal_url is None:
            return refuse(404, "this is no rehearsal: REHEARSAL_URL is not set")
        method = "POST" if request.method == "POST" else "GET"
        headers = {PROOF_HEADER: PROOF, "Content-Type": "application/json"}
        url, body = f"{self._settings.service.rehearsal_url}/rehearsal", request.get_data()
        try:
            with capped_session() as session:
                answer = session.request(method, url, data=body, headers=headers, timeout=REHEARSAL_S)
            told = msgspec.json.decode(answer.content)
        except (requests.RequestException, msgspec.MsgspecError):
            return refuse(502, "the phone of the rehearsal does not answer")
        response = json_response(told)
        response.status_code = answer.status_code
        return response
