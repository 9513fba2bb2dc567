"""The routing hook, at a real server: what it is asked, what its answers do, and what it can never do to calls."""

import dataclasses
import json
import time
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import gevent
import pytest

from lexbridge.config.lines import Line, LineTable
from lexbridge.config.settings import Settings
from lexbridge.logs import Log
from lexbridge.server import build
from lexbridge.web.fair_places import FairPlaces
from lexbridge.web.route_hook import MAX_QUESTIONS_OF_ONE, Question, RouteHook
from tests.support import hook_server
from tests.support.event_receiver import verifier_of_the_docs
from tests.support.fixtures import Logged
from tests.support.hook_server import SECRET, Answer, HookServer, body, closed_port, raw, says
from tests.support.lines import called
from tests.support.rehearsal import wait_until
from tests.support.rig import PATIENCE_S, settings
from tests.support.webhook_client import FORM, STREAM_SID, WebhookClient, has_a_token, parameters

GREETED = "You will be interacting with Lex bot in 3, 2, 1. Go."
QUICK_S = 0.3
THEIRS = "AC" + "9" * 32
NEVER = called("+19995550100")
QUESTION = Question(FORM, {}, "")


def words(text: str) -> list[str | None]:
    """Return what a document says."""
    return [say.text for say in ElementTree.fromstring(text).iter("Say")]


def of_event(logged: Logged, event: str) -> list[dict[str, Any]]:
    """Return the log lines of an event."""
    return [line for line in logged() if line["event"] == event]


def two_lines(own: Settings) -> LineTable:
    """Return a table with the default line, one that no call has by itself, and one of another Twilio account."""
    line = own.line
    account = dataclasses.replace(line.account, twilio_account_sid=THEIRS, twilio_auth_token="another")
    return LineTable(
        line,
        [
            Line("sales", dataclasses.replace(line, greeting="Sales here."), NEVER),
            Line("theirs", dataclasses.replace(line, greeting="Theirs.", account=account), account_sid=THEIRS),
        ],
    )


def client(hook: HookServer, **changes: str) -> WebhookClient:
    """Return a client of a service that asks the hook."""
    return WebhookClient(table=two_lines, **hook.settings, **changes)


def test_the_question_tells_the_call_and_is_signed() -> None:
    with HookServer().running() as hook:
        form = {**FORM, "CallerName": "Zoë", "CallToken": "a secret of the call"}
        assert words(client(hook).post("/twiml?campaign=spring", form).text) == [GREETED]
        ((headers, asked),) = hook.requests
        assert verifier_of_the_docs()(headers, asked, SECRET, time.time())
        question = json.loads(asked)
        assert headers["content-type"] == "application/json"
        assert (question["type"], question["id"]) == ("call.route", headers["webhook-id"])
        twilio = {name: value for name, value in form.items() if name != "CallToken"}
        assert question["data"] == {
            "call_sid": FORM["CallSid"],
            "account_sid": FORM["AccountSid"],
            "from": "+12065550100",
            "to": "+12065550199",
            "direction": "inbound",
            "line": "",
            "is_new": True,
            "query": {"campaign": "spring"},
            "twilio": twilio,
        }


def test_the_answer_names_the_line_the_greeting_and_attributes() -> None:
    attributes = {"tier": "gold", "note": "5 < 6"}
    with HookServer(says({"line": "sales", "attributes": attributes, "greeting": "Hello Zoë."})).running() as hook:
        answer = client(hook).post("/twiml")
        assert words(answer.text) == ["Hello Zoë."]
        sent = parameters(answer)
        assert sent["lexbridge:line"] == "sales"
        assert sent["lexbridge:greeting"] == "Hello Zoë."
        assert attributes.items() <= sent.items()
        assert "line=sales" in answer.text


def test_no_cookie_goes_from_one_call_to_the_next() -> None:
    with HookServer(body(b"{}", "200 OK", "Set-Cookie: session=of-the-first-caller; Path=/")).running() as hook:
        asking = client(hook)
        for _ in range(2):
            assert words(asking.post("/twiml").text) == [GREETED]
        assert [headers.get("cookie") for headers, _ in hook.requests] == [None, None]


def test_a_line_without_more_keeps_its_own_greeting() -> None:
    with HookServer(says({"line": "sales"})).running() as hook:
        answer = client(hook).post("/twiml")
        assert words(answer.text) == ["Sales here."]
        assert "lexbridge:hook" not in parameters(answer)
        assert "hook=1" not in answer.text


@pytest.mark.parametrize("path", ["/twiml/keys?of=lexbridge-0&hook=1", "/twiml/resume?lost=1&of=lexbridge-0&hook=1"])
def test_attributes_go_with_the_next_stream_of_a_call(path: str) -> None:
    """The bot may not have had a turn yet, so the hook is asked for them once more."""
    with HookServer(says({"line": "sales", "attributes": {"tier": "gold"}})).running() as hook:
        twilio = client(hook)
        first = twilio.post("/twiml")
        assert first.text.count("hook=1") == 3  # keys, resume, status
        answer = twilio.post(path, {**FORM, "Digits": "1"})
        sent = parameters(answer)
        assert (sent["tier"], sent["lexbridge:hook"]) == ("gold", "1")
        assert "hook=1" in answer.text
        assert [asked["data"]["is_new"] for asked in hook.questions] == [True, False]
        assert "lexbridge:line" not in sent  # the address has the line, and the hook cannot change it any more


def test_a_call_without_attributes_is_asked_about_once() -> None:
    with HookServer().running() as hook:
        twilio = client(hook)
        for path in ("/twiml", "/twiml/keys?of=lexbridge-0", f"/twiml/resume?lost=1&of={STREAM_SID}"):
            twilio.post(path, {**FORM, "Digits": "1"})
        assert len(hook.requests) == 1


def test_a_refused_caller_hears_the_words_and_is_hung_up(logged: Logged) -> None:
    with HookServer(says({"line": "sales", "refuse": {"say": "We are <closed>."}})).running() as hook:
        document = ElementTree.fromstring(client(hook).post("/twiml").text)
        assert [verb.tag for verb in document] == ["Say", "Hangup"]
        assert document[0].text == "We are <closed>."
        (line,) = of_event(logged, "call-refused")
        assert (line["why"], line["level"]) == ("routing hook", "info")


@pytest.mark.parametrize("reason", ["busy", "rejected"])
def test_a_call_may_be_rejected_unanswered(reason: str) -> None:
    with HookServer(says({"refuse": {"reason": reason}})).running() as hook:
        document = ElementTree.fromstring(client(hook).post("/twiml").text)
        assert [(verb.tag, verb.attrib) for verb in document] == [("Reject", {"reason": reason})]


@pytest.mark.parametrize("line", ["theirs", "unknown"])
def test_no_call_goes_to_a_line_of_another_account(line: str, logged: Logged) -> None:
    with HookServer(says({"line": line, "attributes": {"tier": "gold"}})).running() as hook:
        answer = client(hook).post("/twiml")
        assert words(answer.text) == [GREETED]
        assert "tier" not in parameters(answer)
        (found,) = of_event(logged, "route-not-answered")
        assert found["reason"] == "unknown line"


def test_the_hook_may_find_a_line_where_the_table_has_none() -> None:
    with HookServer(says({"line": "sales"})).running() as hook:
        sales = Line("sales", settings(GREETING="Sales here.").line, NEVER)
        assert words(WebhookClient(table=lambda _: LineTable(None, [sales]), **hook.settings).post("/twiml").text) == [
            "Sales here."
        ]
        assert hook.questions[0]["data"]["line"] is None


def test_a_welcome_of_the_bot_gives_way_to_a_greeting() -> None:
    with HookServer(says({"greeting": "Hello Zoë."})).running() as hook:
        twilio = WebhookClient(WELCOME="bot", WELCOME_INTENT="Hello", **hook.settings)
        assert words(twilio.post("/twiml").text) == ["Hello Zoë."]


def test_unknown_keys_are_ignored_and_named(logged: Logged) -> None:
    with HookServer(says({"lines": "sales", "line": "sales"})).running() as hook:
        assert words(client(hook).post("/twiml").text) == ["Sales here."]
        (found,) = of_event(logged, "route-answer-odd")
        assert (found["reason"], found["keys"]) == ("unknown keys", "lines")


FAILURES: dict[str, tuple[Answer, str]] = {
    "hangs": (hook_server.hangs, "timeout"),
    "drips": (hook_server.drips, "timeout"),
    "floods": (hook_server.floods, "too long"),
    "is huge": (body(b"{}" + b" " * 100_000), "too long"),
    "says it is huge": (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n{"), "too long"),
    "ends early": (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"), "cut off"),
    "closes": (lambda connection: connection.close(), "no connection"),
    "no HTTP": (raw(b"hello\r\n\r\n"), "no connection"),
    "redirects": (body(b"", "302 Found", "Location: http://169.254.169.254/"), "status 302"),
    "a fault": (body(b"{}", "500 Oops"), "status 500"),
    "refuses": (body(b"{}", "401 No"), "status 401"),
    "no JSON": (body(b"<html>hello</html>"), "not JSON"),
    "compressed": (body(b"{}", "200 OK", "Content-Encoding: gzip"), "compressed"),
    "a bad answer": (says({"line": 5}), "bad answer"),
}


@pytest.mark.parametrize(("answer", "why"), FAILURES.values(), ids=FAILURES)
def test_whatever_the_hook_does_the_table_decides(answer: Answer, why: str, logged: Logged) -> None:
    with HookServer(answer).running() as hook:
        assert RouteHook(hook.url, SECRET, deadline_s=QUICK_S if why == "timeout" else 60).ask(QUESTION, Log()) is None
        assert len(hook.requests) == 1  # one attempt
        (found,) = of_event(logged, "route-not-answered")
        assert found["reason"] == why


def test_a_hook_that_is_not_there_leaves_it_to_the_table(logged: Logged) -> None:
    twilio = WebhookClient(ROUTE_URL=closed_port(), ROUTE_SECRET=SECRET)
    assert words(twilio.post("/twiml").text) == [GREETED]
    twilio.post("/twiml")
    (found,) = of_event(logged, "route-not-answered")  # one line for both
    assert found["reason"] == "no connection"


def test_a_hook_that_hangs_is_asked_by_few_calls_at_once(logged: Logged) -> None:
    with HookServer(hook_server.hangs).running() as server:
        hook = RouteHook(server.url, SECRET, deadline_s=1.0, places=FairPlaces(9, 3))
        asking = [gevent.spawn(hook.ask, QUESTION, Log()) for _ in range(20)]
        gevent.joinall(asking, timeout=PATIENCE_S)
        assert server.most_at_once == 3
        assert [one.value for one in asking] == [None] * 20
        reasons = [line["reason"] for line in of_event(logged, "route-not-answered")]
        assert sorted(reasons) == ["timeout", "too many at once"]


def test_no_account_takes_the_places_of_another(logged: Logged) -> None:
    """The hook hangs for the calls of one account, which come without end."""
    with HookServer(hook_server.hangs).running() as server:
        hook = RouteHook(server.url, SECRET, deadline_s=600)
        flood = [gevent.spawn(hook.ask, QUESTION, Log()) for _ in range(300)]
        wait_until(lambda: len(server.requests) == MAX_QUESTIONS_OF_ONE)
        assert [line["reason"] for line in of_event(logged, "route-not-answered")] == ["too many at once"]
        server.answer = says({"line": "theirs"})
        answer = hook.ask(Question({**FORM, "AccountSid": THEIRS}, {}, ""), Log())
        assert answer is not None
        assert answer.line == "theirs"
        assert len(server.requests) == MAX_QUESTIONS_OF_ONE + 1
        gevent.killall(flood)


def test_an_account_is_one_whatever_its_calls_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every AccountSid that no line names is of the environment's account, whose places its calls share."""
    made: list[Callable[[str], str]] = []

    class Hook(RouteHook):
        def __init__(self, url: str, secret: str, signer_of: Callable[[str], str]) -> None:
            made.append(signer_of)
            super().__init__(url, secret, signer_of)

    monkeypatch.setattr(build, "RouteHook", Hook)
    WebhookClient(table=two_lines, ROUTE_URL=closed_port(), ROUTE_SECRET=SECRET)
    (signer_of,) = made
    assert signer_of("AC" + "1" * 32) == signer_of("AC" + "2" * 32) != signer_of(THEIRS)


def test_others_go_on_while_the_hook_floods() -> None:
    with HookServer(hook_server.floods).running() as server:
        asking = gevent.spawn(RouteHook(server.url, SECRET, deadline_s=60).ask, QUESTION, Log())
        turns = 0
        while not asking.ready():
            gevent.sleep(0.001)
            turns += 1
        assert turns > 5


def test_places_are_free_again_after_failures() -> None:
    with HookServer(body(b"", "500 Oops")).running() as server:
        hook = RouteHook(server.url, SECRET, places=FairPlaces(1, 1))
        for _ in range(5):
            assert hook.ask(QUESTION, Log()) is None
        server.answer = says({"line": "sales"})
        answer = hook.ask(QUESTION, Log())
        assert answer is not None
        assert answer.line == "sales"


def test_a_full_process_does_not_ask_the_hook() -> None:
    with HookServer().running() as hook:
        twilio = client(hook)
        twilio.calls.admission.is_draining = True
        assert words(twilio.post("/twiml").text) == ["Sorry, all lines are busy. Please call again later."]
        assert hook.requests == []


def test_the_log_has_neither_number_nor_answer(logged: Logged) -> None:
    answer = {"attributes": {"name": "Zoe"}, "greeting": "Hello Zoe.", "unknown": "+12065550111"}
    with HookServer(says(answer)).running() as hook:
        client(hook).post("/twiml")
    shown = json.dumps(logged())
    assert "Zoe" not in shown
    assert "2065550" not in shown


def test_without_a_hook_nothing_is_asked() -> None:
    answer = WebhookClient().post("/twiml")
    sent = parameters(answer)
    assert has_a_token(sent)
    assert "hook" not in answer.text
