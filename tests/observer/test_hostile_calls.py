"""Calls whose words and figures are to harm whoever looks at them, from a file and live, in a real browser."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lexbridge.observer.calls.call_book import LATEST_S
from lexbridge.observer.calls.call_file import write_call
from lexbridge.telemetry.facts import Event
from tests.support.admin_server import Admin, admin
from tests.support.browser import open_browser
from tests.support.console_pages import wait_until
from tests.support.told_facts import BEGAN_S, LOUD_FRAME, ToldCall, worker_report

MARKUP = (
    "\"'><img src=x onerror=\"pwned('image')\"><script>pwned('script')</script><svg onload=pwned('svg')>"
    '<iframe srcdoc="<script>parent.pwned(1)</script>"></iframe><style>*{display:none}</style>'
    '<a href="javascript:pwned(1)">open</a><form action=//evil.example><base href=//evil.example>'
)
"""Text that runs a script if it is ever taken for HTML."""

WORDS = (
    MARKUP,
    "javascript:pwned('link')",
    "data:text/html,<script>pwned(1)</script>",
    "${pwned(1)}{{pwned(1)}}",
    "__proto__",
    "\u202e\u0000\u2028signs",
    "x" * 20_000,
)

KEYS = ("__proto__", "constructor", "prototype", "toString", "hasOwnProperty", "valueOf", "length")
"""Names that an object of JavaScript already has."""

NUMBERS = (1e308, -1e308, 1e15, -1, 0, 1e-300)

FIGURES: dict[str, tuple[str | int, ...]] = {
    "summary": ("began_s", "ended_s", "last_reply_ms", "worst_reply_ms", "faults", "errors", "no_inputs", "fillers"),
    "streams": ("began_s", "ended_s", "x_began_s", "pace", "worker_pid"),
    "turns": ("began_s", "x_s", "over_s", "started_ms", "ended_ms", "reply_ms", "queue_ms", "lex_ms", "turn"),
    "events": (0, 2, 7),
}
"""Figures of each part of a file, by name or by place."""

FRACTIONS: tuple[str | int, ...] = ("began_s", "ended_s", "x_began_s", "x_s", "over_s", "pace", 0, 7)
"""Figures that are no whole numbers."""

WATCH = """
window.harm = [];
window.pwned = how => harm.push(how);
window.alert = window.confirm = window.prompt = pwned;
document.addEventListener("securitypolicyviolation", event => harm.push(event.violatedDirective + event.blockedURI));
"""
"""Script that notes each script of a stranger's that runs, and each that the policy had to stop."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with open_browser() as chromium:
        yield chromium


@pytest.fixture
def server() -> Iterator[Admin]:
    with admin() as running:
        yield running


def told_call(server: Admin) -> ToldCall:
    """Let a call be told with audio, turns and faults, which is over."""
    call = ToldCall(server.book).begin()
    for _ in range(100):
        call.audio(LOUD_FRAME)
        call.at += 0.02
    call.turn(1, reply_ms=900)
    call.audio(LOUD_FRAME * 50, "bot")
    call.tell("lex-request-failed", "warning", error="throttled")
    call.turn(2, reply_ms=4000)
    call.end()
    return call


def exported(server: Admin) -> dict[str, Any]:
    record = server.book.find(told_call(server).call_sid)
    assert record is not None
    file: dict[str, Any] = json.loads(write_call(record, BEGAN_S + 60, words=True, give_way=lambda: None))
    return file


def each_leaf(value: Any, change: Callable[[Any], Any]) -> Any:
    """Return a value of JSON, all leaves of which are changed."""
    if isinstance(value, dict):
        return {name: each_leaf(one, change) for name, one in value.items()}
    if isinstance(value, list):
        return [each_leaf(one, change) for one in value]
    return change(value)


def hostile(word: str) -> dict[str, Any]:
    """Return words of an event with a word everywhere, also as names, and with names of JavaScript."""
    mapping = {word: word, **dict.fromkeys(KEYS, word), "deep": [[{word: [word]}]]}
    return {"transcript": word, "messages": [word, mapping], "slots": mapping, "raw": mapping, "attributes": mapping}


def hostile_file(server: Admin, word: str) -> dict[str, Any]:
    """Return a file in which every text is a word, but for those that hold it together."""
    file = exported(server)
    for turn in file["turns"]:
        for name in ("intent", "slot_to_elicit", "dialog_state", "transcript", "twiml", "keys", "outcome", "why"):
            turn[name] = word
        turn |= {name: hostile(word)[name] for name in ("messages", "slots", "raw")}
        turn["attributes_changed"] = hostile(word)["slots"]
    for number, event in enumerate(file["events"]):
        event[5] = {**each_leaf(event[5], lambda one: word if isinstance(one, str) else one), **hostile(word)["slots"]}
        event[6] = {**each_leaf(event[6], lambda _: word), **hostile(word)["slots"]}
        if number % 3 == 0:
            event[3], event[4] = word, word
    named = ("intent", "dialog_state", "ended_by", "why", "caller", "called", "mode", "speaking", "search")
    file["summary"] |= dict.fromkeys(named, word)
    file["summary"]["fault_counts"] = {word: 1, **dict.fromkeys(KEYS, 2)}
    file["streams"][0] |= {"mode": word, "how": word}
    return file


def opened(server: Admin, file: dict[str, Any]) -> str:
    answer = server.post("/console/api/open", data=json.dumps(file))
    assert answer.status_code == 200, answer.text
    call_sid: str = answer.json()["call_sid"]
    return call_sid


def with_figures(file: dict[str, Any], part: str, number: float, *names: str | int) -> dict[str, Any]:
    """Return the file with a number in place of these figures of a part."""
    whole = round(max(min(number, 2**53), -(2**53)))
    for one in [file[part]] if isinstance(file[part], dict) else file[part]:
        for name in names:
            one[name] = number if name in FRACTIONS else whole
    return file


def watched_page(browser: Any, size: dict[str, int] | None = None) -> Any:
    """Open a window whose harm is noted, and whose errors are kept."""
    page = browser.new_context(viewport=size).new_page()
    page.errors, page.dialogs = [], []
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.on("console", lambda line: page.errors.append(line.text) if line.type == "error" else None)
    page.on("dialog", lambda dialog: (page.dialogs.append(dialog.message), dialog.dismiss()))
    page.add_init_script(WATCH)
    return page


def look_at(page: Any, server: Admin, call_sid: str) -> None:
    """Look at a call's page, and point at its time line."""
    page.goto(f"{server.url}/console/#/call/{call_sid}")
    page.wait_for_selector(".transcript, .card.empty")
    wait_until(page, "document.querySelector('canvas.picture')?.width > 0")
    box = page.locator("canvas.picture").bounding_box()
    for share in (0.1, 0.5, 0.9):
        page.mouse.move(box["x"] + share * box["width"], box["y"] + box["height"] / 2)


def look_at_all(page: Any, server: Admin, call_sid: str) -> str:
    """Look at each page, open what can be opened, and point at the time line. Return the text of the call's page."""
    for name in ("calls", "latency", "health", "settings"):
        page.goto(f"{server.url}/console/#/{name}")
        page.wait_for_selector("main h1, main h2, main table, main .card")
    look_at(page, server, call_sid)
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    for button in page.locator("main button:visible").all()[:30]:
        if "wav" not in (button.inner_text() or ""):
            button.click(force=True)
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    text: str = page.inner_text("main")
    return text


def check_harmless(page: Any) -> None:
    """Check that no script of a stranger's ran or was tried, and that the page is not broken."""
    assert page.evaluate("window.harm") == []
    assert page.evaluate("Object.keys(Object.prototype).length") == 0
    assert page.dialogs == []
    assert page.errors == []
    assert page.evaluate("location.origin") in page.url
    assert page.locator("main img, main script, main iframe, main form[action], main base, main style").count() == 0
    assert page.locator("a[href^='javascript:'], a[href^='data:text']").count() == 0
    page.context.close()


@pytest.mark.parametrize("word", WORDS, ids=["markup", "link", "data", "template", "proto", "signs", "long"])
def test_words_of_a_file_are_shown_and_do_nothing(browser: Any, server: Admin, word: str) -> None:
    call_sid = opened(server, hostile_file(server, word))
    page = watched_page(browser)
    text = look_at_all(page, server, call_sid)
    assert word[:10].split("\u2028")[-1] in text
    check_harmless(page)


@pytest.mark.parametrize("part", FIGURES)
def test_no_figure_of_a_file_breaks_the_page(browser: Any, server: Admin, part: str) -> None:
    page = watched_page(browser)
    for number in NUMBERS:
        files = {name: with_figures(exported(server), part, number, name) for name in FIGURES[part]}
        answers = {name: server.post("/console/api/open", data=json.dumps(file)) for name, file in files.items()}
        taken = [name for name, answer in answers.items() if answer.status_code == 200]
        for name in set(answers) - set(taken):
            assert answers[name].status_code == 400
            assert answers[name].json()["error"].startswith(("the file has times that ", "this is no call "))
        page.goto("about:blank")
        look_at(page, server, opened(server, with_figures(exported(server), part, number, *taken)))
        assert page.errors == [], number
    check_harmless(page)


def test_words_of_a_live_call_are_shown_and_do_nothing(browser: Any, server: Admin) -> None:
    call = told_call(server)
    live = ToldCall(server.book, "CA2", "MZ2").begin()
    page = watched_page(browser)
    look_at(page, server, call.call_sid)
    page.goto(f"{server.url}/console/#/call/CA2")
    page.wait_for_selector(".transcript, .card.empty")
    for word in WORDS:
        told = {"intent": word, "dialog_state": word, "slot_to_elicit": word, "error": word, "why": word}
        live.tell("call-described", "debug", caller=word, called=word)
        live.tell("utterance-opened", "debug", turn=1, started_ms=0)
        live.tell("lex-answered", "debug", hostile(word), turn=1, **told)
        live.tell("update-made", "debug", {"twiml": word, **hostile(word)["slots"]}, number=1)
        live.tell("turn-latency", turn=1, outcome=word, reply_ms=900)
        live.tell("lex-request-failed", "warning", **told)
        live.tell(word, word, hostile(word), **hostile(word)["slots"])
        live.at += 1
        server.book.take(Event(live.now_s, "", "", -1, "error", word, hostile(word)["slots"]))
        server.book.take(worker_report(live.at, state=word))
        wait_until(page, "word => document.body.innerText.includes(word)", word[:10].split("\u2028")[-1])
    look_at_all(page, server, "CA2")
    check_harmless(page)


def test_a_clock_that_was_set_during_a_call_stops_no_page(browser: Any, server: Admin) -> None:
    call = ToldCall(server.book).begin()
    call.turn(1)
    call.at = LATEST_S - BEGAN_S - 100  # thousands of years later
    call.turn(2)
    call.end()
    page = watched_page(browser)
    look_at(page, server, call.call_sid)
    check_harmless(page)


def test_a_file_that_is_no_call_is_refused_in_words(browser: Any, server: Admin, tmp_path: Path) -> None:
    page = watched_page(browser)
    page.goto(f"{server.url}/console/#/calls")
    page.wait_for_selector("main")
    for name, content in {
        "no JSON": b"<script>pwned(1)</script>",
        "another": b'{"__proto__": {"lexbridge_call": 1}, "constructor": {"prototype": {"pwned": 1}}}',
        "deep": b"[" * 200_000,
        "markup in a name <img src=x onerror=pwned(1)>": b"{}",
    }.items():
        page.set_input_files("#open-file", {"name": f"{name}.json", "mimeType": "application/json", "buffer": content})
        wait_until(page, "name => document.querySelector('[role=alert]')?.innerText.startsWith(name)", name)
    page.errors = [one for one in page.errors if "status of 400" not in one]  # Chromium's own line of a refusal
    check_harmless(page)
    assert server.ask("/ping").text == "pong"
