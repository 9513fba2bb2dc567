"""The command `server.py --check=live`, which asks AWS, Twilio and the service whether calls would work.

It begins no call, no session and no stream. All checks run side by side, each with a deadline; a fault in one does not
stop the others.
"""

import logging
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import gevent
from gevent.pool import Pool

from lexbridge import logs
from lexbridge.config.line_settings import LineSettings
from lexbridge.config.lines import LineTable
from lexbridge.config.settings import Settings
from lexbridge.config.twilio_account import TwilioAccount
from lexbridge.errors import Problem
from lexbridge.server.checks.address import READY, SOCKET, WEBHOOK, check_address
from lexbridge.server.checks.aws import BOT, IDENTITY, PERMISSIONS, check_bot, check_identity
from lexbridge.server.checks.findings import Finding, all_is_well, failed, ok, warning
from lexbridge.server.checks.findings import table as format_findings
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

AT_ONCE = 20
"""Checks that run side by side, because a table may have hundreds of bots."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A check, with settings whose default line is the line that it asks for.

    `of`: the bot or the Twilio account that its rows name, or "" if there is only one.
    """

    check: Check
    settings: Settings
    of: str = ""


def check_live(settings: Settings, table: LineTable, doubts: Sequence[Problem]) -> bool:
    """Print the table of findings. Return whether all is well. Each bot and Twilio account is asked once.

    `doubts`: warnings about the settings.
    """
    logs.configure("ERROR", "text", logging.StreamHandler(sys.stderr))  # the table has the rest
    print(f"Asking AWS, Twilio and {settings.service.url} ...\n", flush=True)  # noqa: T201
    pool = Pool(AT_ONCE)
    running = [pool.spawn(_run, asked) for asked in _asked(settings, table)]
    findings = [warning(SETTINGS, str(doubt)) for doubt in doubts] or [ok(SETTINGS, "complete and valid")]
    findings += [finding for each in running for finding in each.get()]
    print(format_findings(findings, min(120, shutil.get_terminal_size((110, 24)).columns)))  # noqa: T201
    return all_is_well(findings)


def _asked(settings: Settings, table: LineTable) -> Iterator[_Asked]:
    """Yield all checks: of each role, bot and account that is used once, and of the service's address."""
    lines = [] if table.default is None else [("", table.default)]
    lines += [(one.bot, one.settings) for one in table.lines.values()]
    roles: dict[str | None, LineSettings] = {}
    bots: dict[object, tuple[str, LineSettings]] = {}
    accounts: dict[TwilioAccount, LineSettings] = {}
    for bot, line in [*lines, *table.bots.items()]:
        roles.setdefault(line.bot_role_arn, line)
        bots.setdefault((line.bot, line.aws_region, line.bot_role_arn, line.bot_endpoint_url), (bot, line))
    for _, line in lines:
        accounts.setdefault(line.account, line)
    for role, line in roles.items():
        yield _Asked(check_identity, Settings(settings.service, line), (role or "") if len(roles) > 1 else "")
    for bot, line in bots.values():
        yield _Asked(check_bot, Settings(settings.service, line), bot or "(default)" if len(bots) > 1 else "")
    for account, line in accounts.items():
        service = replace(settings.service, account=account)
        of = account.twilio_account_sid or "(own)" if len(accounts) > 1 else ""
        yield _Asked(check_twilio, Settings(service, line), of)
    yield _Asked(check_address, settings)


def _run(asked: _Asked) -> list[Finding]:
    """Return the findings of a check, whose subjects name the bot or account that was asked for."""
    findings = _findings(asked.check, asked.settings)
    return [replace(one, subject=f"{one.subject} {asked.of}".strip()) for one in findings]


def _findings(check: Check, settings: Settings) -> list[Finding]:
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
