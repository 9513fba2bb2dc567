"""A line that is full when a stream of a new call begins: the stream is refused, and a resumed call is served."""

import secrets
import time

import pytest

from lexbridge.bridge.lines import LineRuntime, LineRuntimes, LoadedTable
from lexbridge.bridge.live_calls import CallRegistry
from lexbridge.bridge.stream_check import StreamCheck, StreamRefused
from lexbridge.call.events import Started
from lexbridge.call.stream_parameters import LINE_PARAMETER, LOST, RESUMED_PARAMETER, TOKEN_PARAMETER
from lexbridge.config.twilio_account import TwilioAccounts
from lexbridge.net.close_codes import TRY_AGAIN_LATER
from lexbridge.twilio.stream_token import make_stream_token
from lexbridge.twilio.twiml import TwimlDocuments
from lexbridge.twilio.used_tokens import UsedTokens
from tests.support.lines import line, lines
from tests.support.live_calls import live_stream
from tests.support.rehearsal import RehearsedLex
from tests.support.rig import TOKEN, settings

ACCOUNT_SID = "AC" + "1" * 32


def started(call_sid: str, served_by: str, **more: str) -> Started:
    """Return the start of a stream with a token of its own. `served_by`: the line in the token."""
    token = make_stream_token(TOKEN, call_sid, ACCOUNT_SID, time.time(), nonce=secrets.token_hex(4), route=served_by)
    parameters = {TOKEN_PARAMETER: token, LINE_PARAMETER: served_by, **more}
    return Started(f"MZ{call_sid[2:]}", call_sid, ACCOUNT_SID, parameters)


def test_a_stream_of_a_full_line_is_refused_once() -> None:
    """Another process has answered the webhook, so that this one did not expect the call."""
    environment = settings()
    table = lines(line("shop", "+12065550111", LINE_MAX_CALLS="1"), line("clinic", "+12065550112"))(environment)
    runtimes = LineRuntimes(
        LoadedTable(table),
        TwilioAccounts(environment.service.account),
        lambda route, of: LineRuntime.make(
            route, of, TwimlDocuments("https://a.example", "wss://a.example", 9), RehearsedLex()
        ),
    )
    calls = CallRegistry(max_calls=100)
    check = StreamCheck([TOKEN], UsedTokens(), calls)
    calls.add(live_stream("CA1", line="shop"))
    with pytest.raises(StreamRefused, match="line full") as refused:
        check.check(started("CA2", "shop"), runtimes)
    assert (refused.value.code, refused.value.hints) == (TRY_AGAIN_LATER, {"line": "shop"})
    resumed = {RESUMED_PARAMETER: LOST}
    assert check.check(started("CA2", "shop", **resumed), runtimes).route.line == "shop"
    assert check.check(started("CA3", "clinic"), runtimes).route.line == "clinic"
    calls.expected.add("CA4", "shop", 0)
    assert check.check(started("CA4", "shop"), runtimes).route.line == "shop"
