"""The credentials of an IAM role: one request to STS for all, with a deadline, and no line waits for another's."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import gevent
import pytest

from lexbridge.errors import LexRejected, LexUnavailable
from lexbridge.lex import assumed_role
from lexbridge.lex.boto import LexClients
from lexbridge.lex.client import LexClient
from lexbridge.logs import Log
from tests.support.fake_sts import fake_sts
from tests.support.fixtures import Logged
from tests.support.flower_order import FLOWERS
from tests.support.lexes import asked, local_lex
from tests.support.rehearsal import wait_until
from tests.support.rig import PATIENCE_S, PATIENT, settings

ROLE = "arn:aws:iam::123456789012:role/flowers"


def two_lines() -> tuple[LexClient, LexClient]:
    """Return the clients of two lines of one process: one whose bot is asked as a role, and one without."""
    clients = LexClients(settings().service)
    of_role, plain = settings(BOT_ROLE_ARN=ROLE).line, settings().line
    return clients.make(of_role, PATIENT, "role"), clients.make(plain, PATIENT, "plain")


def tokens_of(lex: LexClient) -> list[str]:
    """Return the list of the session tokens with which each request from now on is signed."""
    tokens: list[str] = []

    def sent(request: Any, **_: object) -> None:
        token = request.headers["X-Amz-Security-Token"]
        tokens.append(token.decode() if isinstance(token, bytes) else token)

    lex._api.client.meta.events.register("before-send", sent)  # type: ignore[attr-defined]
    return tokens


def test_many_requests_ask_sts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with local_lex(monkeypatch, *[FLOWERS] * 20) as local, fake_sts(monkeypatch) as sts:
        lex, _ = two_lines()
        tokens = tokens_of(lex)
        asking = [gevent.spawn(lex.ask, replace(asked(), session_id=f"CA-{each}"), Log()) for each in range(20)]
        gevent.joinall(asking, timeout=PATIENCE_S, raise_error=True)
        assert sts.roles == [ROLE]
        assert len(local.requests) == 20
        assert tokens == ["token-1"] * 20


def test_a_role_that_is_refused_names_its_setting(monkeypatch: pytest.MonkeyPatch, logged: Logged) -> None:
    with local_lex(monkeypatch, FLOWERS) as local, fake_sts(monkeypatch) as sts:
        sts.refuses = True
        lex, other = two_lines()
        with pytest.raises(LexRejected, match="STS answered 403 AccessDenied; check BOT_ROLE_ARN"):
            lex.ask(asked(), Log())
        assert not local.requests
        assert other.ask(asked(), Log()).reply.messages
    (line,) = [one for one in logged() if one["event"] == "role-not-assumed"]
    assert (line["level"], line["role"]) == ("error", ROLE)
    assert "BOT_ROLE_ARN" in line["error"]


@pytest.mark.parametrize("fault", ["hangs", "is_broken"])
def test_an_sts_that_fails_holds_up_no_other_line(fault: str, monkeypatch: pytest.MonkeyPatch, logged: Logged) -> None:
    """The breaker does not open by it either: Lex is not asked, so nothing is known of it."""
    monkeypatch.setattr(assumed_role, "STS_ANSWER_S", 0.5)
    with local_lex(monkeypatch, *[FLOWERS] * 20) as local, fake_sts(monkeypatch) as sts:
        setattr(sts, fault, True)
        lex, other = two_lines()
        asking = [gevent.spawn(lex.ask, asked(), Log()) for _ in range(12)]
        wait_until(lambda: bool(sts.roles))
        for _ in range(5):
            assert other.ask(asked(), Log()).reply.messages
        gevent.joinall(asking, timeout=PATIENCE_S)
        for one in asking:
            assert isinstance(one.exception, LexUnavailable)
            assert "BOT_ROLE_ARN" in str(one.exception)
        assert len(local.requests) == 5
        assert "lex-down" not in [one["event"] for one in logged()]
        setattr(sts, fault, False)
        wait_until(lambda: _answers(lex))


def _answers(lex: LexClient) -> bool:
    try:
        return bool(lex.ask(asked(), Log()).reply.messages)
    except LexUnavailable:
        return False


def test_credentials_are_renewed_while_no_request_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    with local_lex(monkeypatch, *[FLOWERS] * 500), fake_sts(monkeypatch) as sts:
        sts.valid_for = timedelta(minutes=12)  # botocore renews from 15 minutes before the end on, and waits from 10
        lex, _ = two_lines()
        tokens = tokens_of(lex)
        lex.ask(asked(), Log())
        sts.hangs = True
        for _ in range(3):
            lex.ask(asked(), Log())
        assert tokens == ["token-1"] * 4
        wait_until(lambda: len(sts.roles) == 2)
        sts.hangs = False
        wait_until(lambda: sts.given == 2)
        wait_until(lambda: _answers(lex) and tokens[-1] == "token-2")


def test_credentials_that_have_expired_already_are_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    with local_lex(monkeypatch, FLOWERS) as local, fake_sts(monkeypatch) as sts:
        sts.valid_for = timedelta(minutes=-1)
        lex, _ = two_lines()
        with pytest.raises(LexUnavailable, match="have expired"):
            lex.ask(asked(), Log())
        assert not local.requests


def test_a_failure_stands_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each turn asks at most twice, and STS is not flooded with the requests of all turns."""
    with local_lex(monkeypatch, FLOWERS), fake_sts(monkeypatch) as sts:
        sts.is_broken = True
        monkeypatch.setattr(assumed_role, "FAILED_FOR_S", PATIENCE_S)
        lex, _ = two_lines()
        for _ in range(4):
            with pytest.raises(LexUnavailable, match="BOT_ROLE_ARN"):
                lex.ask(asked(), Log())
        assert len(sts.roles) == 1
