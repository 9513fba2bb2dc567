"""The table of lines for people: what `server.py --check` prints of it, and the answer of `--which`."""

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from lexbridge.config.bots import Bot, LexV2Bot
from lexbridge.config.line_settings import LineSettings
from lexbridge.config.lines import IncomingCall, Line, LineTable
from lexbridge.config.route import CallRoute

HEADINGS = ("line", "calls", "bot", "locale", "region", "replies", "voice", "limits")
DEFAULT_LINE = "(default)"

_CALLS_COLUMNS = 44
"""Columns for the conditions of a line, beyond which they go on below."""

MAX_OTHERS = 20
"""Lines with another number that an answer lists, because a table may have thousands."""


def describe_lines(table: LineTable) -> str:
    """Return the table in aligned columns, without any secret."""
    rows = [_row(line.name, _calls(line), line.bot, line.settings, line.weight) for line in table.lines.values()]
    if table.default is not None:
        rows.append(_row(DEFAULT_LINE, "all others" if rows else "all calls", "", table.default, None))
    named = {line.bot for line in table.lines.values()}
    others = [name for name in table.bots if name not in named]
    said = ["", f"Bots without a line, which a bot may hand calls to: {', '.join(others)}"] if others else []
    return "\n".join([*_aligned([HEADINGS, *rows]), *said])


def describe_choice(table: LineTable, call: IncomingCall) -> tuple[str, bool]:
    """Return which line answers a call, why none before it does, and whether one does at all.

    A call without an AccountSid is taken to be one of the account whose lines serve it.
    """
    if not call.form.get("AccountSid"):
        account_sid = next((line.account_sid for line in table.lines.values() if line.match.serves(call)), "")
        call = replace(call, form={**call.form, "AccountSid": account_sid})
    route = table.choose(call)
    line = None if route is None else table.lines.get(route.line)
    said = list(_answer(table, route, line))
    before = [one for one in _before(table, line) if not _shares(one, line)]
    reasons = [(one, _why_not(table, one, call)) for one in before]
    said += _reasons(reasons, "The lines before it do not:" if line is not None else "No line of the table does:")
    return "\n".join(said), route is not None


def _answer(table: LineTable, route: CallRoute | None, line: Line | None) -> Iterator[str]:
    if route is None:
        yield "No line answers: the caller hears that the service is not available, and the call ends."
        return
    if line is None:
        yield "The default line answers: the bot of the environment."
    else:
        yield f"The line {line.name} answers: {_calls(line)}"
        sharing = [one for one in table.lines.values() if _shares(one, line)]
        if len(sharing) > 1:
            total = sum(one.weight or 0 for one in sharing)
            shares = ", ".join(f"{one.name} {one.weight} of {total}" for one in sharing)
            yield f"  It shares these calls by weight: {shares}."
    settings = table.settings_of(route)
    if settings is not None:
        name = "" if line is None else line.bot
        region = settings.aws_region
        yield f"  {_bot(name, settings.bot)}, {_locale(settings.bot)}, in {region}; replies by {settings.reply_mode}"


def _shares(one: Line, line: Line | None) -> bool:
    """Return whether a line shares its calls with `line` by weight, or is that line."""
    if line is None or line.weight is None or one.weight is None:
        return one is line
    return one.account_sid == line.account_sid and one.match.key == line.match.key


def _before(table: LineTable, line: Line | None) -> Iterator[Line]:
    for one in table.lines.values():
        if one is line:
            return
        yield one


def _why_not(table: LineTable, line: Line, call: IncomingCall) -> list[str]:
    """Return why the line does not serve the call. The number, if it is why, comes first."""
    unmet = list(line.match.unmet(call))
    if not unmet and line.account_sid != table.account_of(call):
        return [f"its calls are those of the Twilio account {line.account_sid or 'of the environment'}"]
    return unmet


def _reasons(reasons: Sequence[tuple[Line, list[str]]], heading: str) -> Iterator[str]:
    """Yield why each of the lines does not answer, but not each of many that have another number."""
    others = [one for one, why in reasons if why and why[0].startswith("to is ")]
    hidden = {one.name for one in others} if len(others) > MAX_OTHERS else set()
    shown = [(one.name, "; ".join(why)) for one, why in reasons if one.name not in hidden]
    if shown or hidden:
        yield heading
        yield from (f"  {line}" for line in _aligned(shown, wrapped_column=None))
    if hidden:
        yield f"  {len(hidden)} others: they serve other numbers"


def _row(name: str, calls: str, bot_name: str, settings: LineSettings, weight: int | None) -> tuple[str, ...]:
    voice = " ".join(filter(None, (settings.say_voice, settings.say_language)))
    place = settings.aws_region + (" (role)" if settings.bot_role_arn else "")
    limits = [
        *([] if settings.line_max_calls is None else [f"{settings.line_max_calls} calls"]),
        *([] if settings.max_call_s is None else [f"{settings.max_call_s:g} s"]),
        *([] if settings.max_turns is None else [f"{settings.max_turns} turns"]),
        *([] if weight is None else [f"weight {weight}"]),
    ]
    bot = _bot(bot_name, settings.bot)
    return (name, calls, bot, _locale(settings.bot), place, settings.reply_mode, voice or "-", ", ".join(limits) or "-")


def _calls(line: Line) -> str:
    return f"{line.match}{f', account {line.account_sid}' if line.account_sid else ''}"


def _bot(name: str, bot: Bot) -> str:
    """Return the name of a bot in the table, or else what AWS calls it."""
    return name or (f"{bot.bot_id} {bot.alias_id}" if isinstance(bot, LexV2Bot) else f"{bot.name} {bot.alias} (V1)")


def _locale(bot: Bot) -> str:
    return bot.locale_id if isinstance(bot, LexV2Bot) else "Lex V1"


def _aligned(rows: Iterable[Sequence[str]], wrapped_column: int | None = 1) -> Iterator[str]:
    """Yield the lines of a text table. `wrapped_column`: that whose long cells go on below."""
    wrapped = [
        [
            (textwrap.wrap(cell, _CALLS_COLUMNS, break_long_words=False, break_on_hyphens=False) or [""])
            if at == wrapped_column
            else [cell]
            for at, cell in enumerate(row)
        ]
        for row in rows
    ]
    widths = [max(len(part) for cell in column for part in cell) for column in zip(*wrapped, strict=True)]
    for row in wrapped:
        for at in range(max(map(len, row))):
            parts = [cell[at] if at < len(cell) else "" for cell in row]
            yield "  ".join(part.ljust(width) for part, width in zip(parts, widths, strict=True)).rstrip()
