"""The command line of lexbridge: check the settings, or serve. `python server.py` and `python -m lexbridge` run it."""

import gc
import os
import signal
import sys

if __name__ == "__main__" and not sys.argv[1:]:
    # Only where it serves, not for --check or --help. These handlers come before the imports below, which take a second
    # and more: in a container this is process 1, and the kernel drops the signals for which process 1 has no handler.
    # Exit at once: nothing is served yet, and an exception might be caught by a module that is being imported.
    # Later the supervisor replaces these handlers. No signal is lost in between: either it ends the process here, or
    # the supervisor reads it.
    for _signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(_signum, lambda *_: os._exit(0))
    for _signum in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(_signum, lambda *_: None)  # there are no workers yet that could be replaced or asked
    signal.pthread_sigmask(
        signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2}
    )

gc.disable()  # until everything is imported: none of that is garbage, and the search would take an eighth of the time

from gevent import monkey

monkey.patch_all()  # before the imports that make sockets: while an unpatched socket waits, every call stops

import argparse
import logging
from collections.abc import Collection, Sequence
from contextlib import closing, nullcontext
from pathlib import Path

from lexbridge import __version__, logs
from lexbridge.bridge.released_calls import ReleasedCalls
from lexbridge.config.bots import LexV2Bot
from lexbridge.config.describe import describe_settings
from lexbridge.config.doubts import find_doubts
from lexbridge.config.env_file import read_env_file
from lexbridge.config.line_settings import LineSettings
from lexbridge.config.lines import LineTable
from lexbridge.config.reading import read_settings
from lexbridge.config.settings import Settings
from lexbridge.errors import ConfigError, Problem
from lexbridge.lex.boto import warm_up
from lexbridge.server.build import build_service
from lexbridge.server.checks.live import check_live
from lexbridge.server.children import destroy_gevent_hub
from lexbridge.server.lines_keeper import LinesKeeper
from lexbridge.server.lines_report import describe_choice, describe_lines
from lexbridge.server.lines_source import find_problems
from lexbridge.server.listener import Listener
from lexbridge.server.scoreboard import WorkerSlot
from lexbridge.server.served_lines import ServedLines, served_lines
from lexbridge.server.supervisor import Supervisor, slots_for
from lexbridge.server.watching import Watching
from lexbridge.server.which_call import add_arguments, call_of, find_misuse
from lexbridge.server.worker import serve
from lexbridge.twilio.used_tokens import UsedTokens

gc.enable()

CHECKS = ("settings", "live")
"""The values of `--check`. Without a value it means the first."""

ENV_FILE = Path(".env")
"""The file of settings, in the working directory."""

VALID = "The settings are complete and valid."


def main(arguments: Sequence[str]) -> int:
    """Run the command line. Return the exit status.

    It is 0; 1 if a live check fails, or a second signal ends the service at once; 2 if the settings forbid a start.
    """
    parser = argparse.ArgumentParser(
        prog="server.py",
        description="Puts an Amazon Lex bot on a Twilio phone number.",
        epilog=describe_settings(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"lexbridge {__version__}")
    parser.add_argument(
        "--check",
        nargs="?",
        const=CHECKS[0],
        choices=CHECKS,
        help="check and exit. settings (the default): only the settings; live: ask AWS, Twilio and the service itself "
        "whether calls would work (exit status 0 if all is well, 1 if not)",
    )
    add_arguments(parser)
    parsed = parser.parse_args(arguments)
    if misuse := find_misuse(parser, parsed):
        parser.error(misuse)
    check = parsed.check
    if closed := logs.find_closed_output():
        _print_error(closed)
        return 2
    try:
        file_names = read_env_file(ENV_FILE)
        settings = _read_all(file_names)
        served = served_lines(settings, os.environ)
        table = LineTable.of(settings) if served is None else served.start()
        if parsed.which is not None:
            answer, is_answered = describe_choice(table, call_of(parsed))
            return _print_result(answer) or (0 if is_answered else 1)
        doubts = find_doubts(settings, os.environ, file_names, table)
        if check == "live":
            build_service(settings, table=table)
            return 0 if check_live(settings, table, doubts) else 1
        if check is not None:
            return _check_settings(settings, table, doubts)
        return supervise(settings, table, doubts, served)
    except ConfigError as error:
        _print_error(f"{error}{_hint_at_unread_env_file()}")
        return 2


def _check_settings(settings: Settings, table: LineTable, doubts: Sequence[Problem]) -> int:
    """Print the table of lines, and whether the service would start. Return the exit status. Raises ConfigError."""
    # First the table, because it can also be checked where there are no AWS credentials.
    if settings.service.lines_file and (status := _print_result(f"{describe_lines(table)}\n")):
        return status
    build_service(settings, table=table)
    return _print_result("\n".join([*(f"Warning: {doubt}" for doubt in doubts), VALID]))


def _read_all(file_names: Collection[str]) -> Settings:
    """Return the settings of the environment. Raise ConfigError with every problem of it, and of the table of lines."""
    try:
        return read_settings(os.environ, file_names)
    except ConfigError as error:
        raise ConfigError([*error.problems, *find_problems(os.environ, error.problems)]) from error


def _print_error(problem: str) -> None:
    """Write an error to standard error, because the log is not open yet."""
    print(problem, file=sys.stderr)  # noqa: T201


def _print_result(result: str) -> int:
    """Print the result of `--check`. Return the exit status."""
    try:
        print(result, flush=True)  # noqa: T201
    except OSError as error:  # the disk is full, or the reader of the pipe is gone
        sys.stdout = None  # else Python tries to flush it once more at exit
        _print_error(f"Cannot write to standard output ({error.strerror}).")
        return 2
    return 0


def _hint_at_unread_env_file() -> str:
    """Return a line about a file .env beside server.py that was not read, or "" if there is none."""
    beside = Path(__file__).resolve().parents[1] / ENV_FILE
    if ENV_FILE.exists() or not beside.is_file():
        return ""
    return f"\n{beside} was not read: {ENV_FILE} is read from the working directory, and there is none there."


def supervise(
    settings: Settings, table: LineTable, doubts: Sequence[Problem], served: ServedLines | None = None
) -> int:
    """Listen, and run workers until a signal ends the service. Return the exit status. Raises ConfigError.

    `served`: the table of lines, which may change, or None if there is no LINES_FILE.
    """
    listener, watching = _listen(settings, served)
    used_tokens, released = UsedTokens(), ReleasedCalls()

    def work(slot: WorkerSlot) -> int:
        """Serve as the worker of `slot`. Return the exit status: 2 if the settings forbid it."""
        _log_of_child(settings)
        telling = None if watching is None else watching.telling(slot.index)
        teller = None if telling is None else telling.teller
        try:
            return serve(
                settings,
                slot,
                lambda: build_service(
                    settings,
                    newest=served,
                    listener=listener.for_gevent(),
                    used_tokens=used_tokens,
                    released=released,
                    teller=teller,
                ),
                telling,
            )
        except ConfigError as error:  # found only in the worker, such as missing AWS credentials
            _print_error(str(error))  # the supervisor ends as well if this is its first worker
            return 2

    _log_to(settings, logs.InstantWriter(sys.stdout.fileno()))
    for doubt in doubts:
        logs.Log().warning("setting-in-doubt", variable=doubt.variable, wrong=doubt.wrong, rule=doubt.rule)
    _prepare_to_fork(table, may_change=served is not None)
    observer_main = sender = None
    if watching is not None:
        watching.listen_to_supervisor()
        observer_main = watching.observer_main(lambda: _log_of_child(settings), released.let_go)
        sender = watching.sender
    keeper = None if served is None else LinesKeeper(served, lambda: _log_of_child(settings))
    with closing(listener), nullcontext() if watching is None else closing(watching):
        fields = described(settings, table)
        return Supervisor(
            settings.service.web_concurrency, work, fields, observer_main=observer_main, sender=sender, lines=keeper
        ).run()


def _listen(settings: Settings, served: ServedLines | None) -> tuple[Listener, Watching | None]:
    """Listen on the service's port, and on that of the console if there is one. Raises ConfigError."""
    service = settings.service
    try:
        listener = Listener(service.container_port)
    except OSError as error:
        wrong = f"{service.container_port} cannot be listened on ({error.strerror or error})"
        raise ConfigError([Problem("CONTAINER_PORT", wrong, "must be a free port")]) from error
    try:
        watching = Watching(settings, slots_for(service.web_concurrency), served) if service.is_watched else None
    except OSError as error:
        wrong = f"{service.admin_port} cannot be listened on at {service.admin_host} ({error.strerror or error})"
        raise ConfigError([Problem("ADMIN_PORT", wrong, "must be a free port of that address")]) from error
    return listener, watching


def _prepare_to_fork(table: LineTable, *, may_change: bool) -> None:
    """Read what all workers need, and leave nothing behind that a fork breaks or copies. Raises ConfigError."""
    warm_up(table.all_settings(), may_change=may_change)
    destroy_gevent_hub()
    gc.collect()
    gc.freeze()  # so that a collection in a worker does not copy the pages that all workers share


def described(settings: Settings, table: LineTable | None = None) -> dict[str, str | int | None]:
    """Return the fields of the log line `serving`: the default line, how many others there are, and the addresses."""
    return {
        "version": __version__,
        **({} if settings.default_line is None else _described_line(settings.default_line)),
        "lines": 0 if table is None else len(table.lines),
        "port": settings.service.container_port,
        "url": settings.service.url,
        "stream_url": settings.service.stream_url,
    }


def _described_line(line: LineSettings) -> dict[str, str]:
    bot = line.bot
    if isinstance(bot, LexV2Bot):
        named = {"bot": bot.bot_id, "alias": bot.alias_id, "locale": bot.locale_id}
    else:
        named = {"bot": bot.name, "alias": bot.alias}
    return {**named, "region": line.aws_region, "reply_mode": line.reply_mode, "detector": line.vad}


def _log_of_child(settings: Settings) -> None:
    """Send the log of this process, a child of the supervisor, to standard output alone."""
    logs.listen(None)
    _log_to(settings, logs.LineWriter(sys.stdout.fileno()), os.getpid())


def _log_to(settings: Settings, out: logging.Handler, worker: int | None = None) -> None:
    """Send the log to `out`. `worker`: the process id that each line of a worker carries."""
    logs.configure(settings.service.log_level, settings.service.log_format, out, colors=sys.stdout.isatty(), pid=worker)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
