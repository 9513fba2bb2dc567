from gevent import monkey

monkey.patch_all()  # first of all: a socket made unpatched would stop every call while it waits  # fmt: skip
# Starts the bridge. See README.md for the settings; lexbridge/__init__.py has the map of the code.

import argparse
import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import gevent
from dotenv import load_dotenv
from flask import Flask
from gevent.event import Event
from gevent.pywsgi import LoggingLogAdapter

from lexbridge import logs
from lexbridge.bridge import Bridge, make_documents
from lexbridge.call_control import TwilioCallControl
from lexbridge.call_log import CallLog
from lexbridge.config import SETTINGS, Settings, read_settings
from lexbridge.errors import ConfigError
from lexbridge.lex import Deadlines, make_lex_runtime
from lexbridge.signatures import Signatures
from lexbridge.web import create_app, make_admission
from lexbridge.websocket import Admit, MediaServer


def main(arguments: Sequence[str]) -> int:
    """The program; returns its exit status: 0, or 2 if the settings do not allow a start."""
    described = "\n".join(f"  {setting.name:28} {setting.help}" for setting in SETTINGS)
    parser = argparse.ArgumentParser(
        prog="server.py",
        description="Puts an Amazon Lex bot on a Twilio phone number.",
        epilog=f"settings, from the environment or a file .env in the working directory:\n{described}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--check", action="store_true", help="check the settings and exit")
    check_only = parser.parse_args(arguments).check
    load_dotenv(Path.cwd() / ".env")  # the environment wins; boto3 finds its own variables there too
    try:
        settings = read_settings(os.environ)
        logs.configure(
            settings.log_level, settings.log_format, logs.LineWriter(sys.stdout.fileno()), colors=sys.stdout.isatty()
        )
        calls = CallLog(settings.max_calls)
        deadlines = Deadlines(answer_s=settings.lex_timeout_s)
        documents = make_documents(settings, deadlines)
        signatures = Signatures(settings.twilio_auth_tokens, settings.url, settings.stream_url)
        lex = make_lex_runtime(settings, deadlines)
        call_control = TwilioCallControl(settings)
        bridge = Bridge(settings, documents, lex, call_control, calls)
    except ConfigError as error:
        print(error, file=sys.stderr)  # noqa: T201 - before there is a log
        return 2
    if check_only:
        print("The settings are complete and valid.")  # noqa: T201
        return 0
    app = create_app(settings, documents, signatures, bridge, call_control, calls)
    return serve(settings, app, make_admission(signatures, calls), calls)


def serve(settings: Settings, app: Flask, admit: Admit, calls: CallLog) -> int:
    """Serves until SIGTERM or SIGINT, then takes no new call and gives the live ones DRAIN_S; a second one ends it."""
    # What was made so far stays for good; a full collection that looks through it stops every call for 50 ms.
    gc.collect()
    gc.freeze()
    log = logs.Log()
    errors = LoggingLogAdapter(logging.getLogger("gevent"), logging.ERROR)
    address = ("0.0.0.0", settings.container_port)  # noqa: S104 - a container's port is published by whoever runs it
    server = MediaServer(address, app, admit, error_log=errors)
    try:
        server.start()
    except OSError as error:
        print(f"CONTAINER_PORT: {settings.container_port} cannot be listened on ({error.strerror})", file=sys.stderr)  # noqa: T201
        return 2
    told = Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(signum, lambda: sys.exit(1) if told.is_set() else told.set())
    log.info("serving", port=settings.container_port, url=settings.url, stream_url=settings.stream_url)
    told.wait()
    calls.is_draining = True
    log.info("draining", live_calls=calls.live_calls, drain_s=settings.drain_s)
    # It still listens: a live call whose stream is lost has to find somebody to resume with.
    deadline_s = time.monotonic() + settings.drain_s
    while calls.live_calls and time.monotonic() < deadline_s:
        gevent.sleep(0.05)
    log.info("stopped", live_calls=calls.live_calls)
    server.stop(timeout=0)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
