"""The command `server.py --check=live`, which asks AWS, Twilio and the service whether calls would work.

It begins no call, no session and no stream. All checks run side by side, each with a deadline; a fault in one does not
stop the others.
"""

import logging
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence

import gevent

from lexbridge import logs
from lexbridge.config.settings import Settings
from lexbridge.errors import Problem
from lexbridge.server.checks.address import READY, SOCKET, WEBHOOK, check_address
from lexbridge.server.checks.aws import BOT, IDENTITY, PERMISSIONS, check_bot, check_identity
from lexbridge.server.checks.findings import Finding, all_is_well, failed, ok, table, warning
from lexbridge.server.checks.twilio import ACCOUNT, NUMBER, check_twilio

SETTINGS = "settings"

DEADLINE_S = 25.0
"""Limits each check, in seconds."""

Check = Callable[[Settings], Iterator[Finding]]

CHECKS: Mapping[Check, tuple[str, ...]] = {
    check_identity: (IDENTITY,),
    check_bot: (BOT, PERMISSIONS),
    check_twilio: (ACCOUNT, NUMBER),
    check_address: (READY, WEBHOOK, SOCKET),
}
"""Each check, and the subjects of the table rows that it has to give."""


def check_live(settings: Settings, doubts: Sequence[Problem]) -> bool:
    """Print the table of findings. Return whether all is well.

    `doubts`: warnings about the settings.
    """
    logs.configure("ERROR", "text", logging.StreamHandler(sys.stderr))  # the table has the rest
    print(f"Asking AWS, Twilio and {settings.service.url} ...\n", flush=True)  # noqa: T201
    running = [gevent.spawn(_run, check, settings) for check in CHECKS]
    findings = [warning(SETTINGS, str(doubt)) for doubt in doubts] or [ok(SETTINGS, "complete and valid")]
    findings += [finding for each in running for finding in each.get()]
    print(table(findings, min(120, shutil.get_terminal_size((110, 24)).columns)))  # noqa: T201
    return all_is_well(findings)


def _run(check: Check, settings: Settings) -> list[Finding]:
    """Return the findings of a check. Raises nothing: a row that the check could not give has failed."""
    found: list[Finding] = []
    why = ""
    deadline = gevent.Timeout(DEADLINE_S)
    try:
        with deadline:
            for finding in check(settings):
                found.append(finding)  # noqa: PERF402 - those before a fault count
    except gevent.Timeout as timeout:
        if timeout is not deadline:
            raise
        why = f"no answer within {DEADLINE_S:g} s"
    except Exception as error:  # an unexpected answer must not hide the other rows
        why = f"the check itself failed ({type(error).__name__})"
    subjects = {finding.subject for finding in found}
    return found + [failed(subject, why) for subject in CHECKS[check] if subject not in subjects]
