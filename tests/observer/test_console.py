"""The console's pages in headless Chromium: what an operator sees, and that no page breaks its security policy."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.browser import open_browser, open_page, take_screenshot
from tests.support.console_server import ConsoleServer
from tests.support.told_calls import Told, booking, flower_order, live_rows

PHONE = {"width": 360, "height": 740}
"""The narrowest phone that is sold."""

LOOKS = [("light", None), ("dark", None), ("light", PHONE)]
"""Schemes and sizes of which screenshots are kept."""

COLOURS = """canvas => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return new Set(new Uint32Array(data.buffer)).size;
}"""
"""Number of colours on a canvas: 1 if nothing is drawn."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with open_browser() as chromium:
        yield chromium


@pytest.fixture
def server() -> Iterator[ConsoleServer]:
    now_s = time.time()
    with ConsoleServer([flower_order(now_s - 900), booking(now_s - 300)], live_rows(6, now_s)) as started:
        yield started


@pytest.fixture
def order(server: ConsoleServer) -> Told:
    return server.calls["CA42e9d7b3759554ce6070bf7bf93f3b2b"]


@pytest.fixture
def stream_call(server: ConsoleServer) -> Told:
    return server.calls["CA7c1f00d24be84a5e9d3a6b1c2f5e8a90"]


def open_console(browser: Any, server: ConsoleServer, path: str = "", *more: Any) -> Any:
    """Open a page of the console. `path`: what stands behind `#/`."""
    return open_page(browser, f"{server.url}#/{path}", *more)


def open_call(browser: Any, server: ConsoleServer, told: Told, *more: Any) -> Any:
    page = open_console(browser, server, f"call/{told.call_sid}", *more)
    page.wait_for_selector(".transcript, .card.empty")
    wait_until(page, "document.querySelector('canvas.picture')?.width > 0")
    return page


def rows_of(page: Any, title: str) -> list[str]:
    return [" ".join(text.split()) for text in page.locator(f'[aria-label="{title} calls"] tbody tr').all_inner_texts()]


def wait_until(page: Any, expression: str, told: Any = None) -> None:
    """Wait until an expression is true in the page. Playwright's own wait evaluates text, which the policy forbids."""
    for _ in range(600):
        if page.evaluate(expression, told):
            return
        page.wait_for_timeout(50)
    raise AssertionError(expression)


def check_words(text: str, *words: str) -> None:
    """Check that a text has all of these words."""
    assert [one for one in words if one not in text] == []


def close(page: Any) -> None:
    """Leave a page that had no error: none of its scripts, and none of the security policy."""
    assert page.errors == []
    page.context.close()


# -- the list


@pytest.mark.parametrize(("scheme", "size"), LOOKS)
def test_list_shows_live_and_recent_calls(browser: Any, server: ConsoleServer, scheme: str, size: Any) -> None:
    page = open_console(browser, server, "calls", size, scheme)
    page.wait_for_selector("table.calls")
    assert len(rows_of(page, "Live")) == 6
    (newest, oldest) = rows_of(page, "Recent")
    check_words(newest, "+1425•••7731", "2 streams", "1 barge-in")
    check_words(oldest, "+1206•••0142", "3.81 s", "1 filler", "1 fault")
    take_screenshot(page, f"console-calls-{scheme}-{'phone' if size else 'desktop'}")
    close(page)


def test_search_worker_and_faults_narrow_the_list(browser: Any, server: ConsoleServer) -> None:
    page = open_console(browser, server)
    page.fill("input[type=search]", "0142 fulfilled")
    wait_until(page, "document.querySelectorAll('table.calls tbody tr').length === 1")
    assert "+1206•••0142" in rows_of(page, "Recent")[0]
    page.fill("input[type=search]", "")
    page.select_option("select", "4103")
    wait_until(page, "[...document.querySelectorAll('td.worker')].every((one) => one.textContent === '4103')")
    page.select_option("select", "")
    page.check("text=only with faults")
    wait_until(page, "[...document.querySelectorAll('td.notes')].every((one) => one.textContent.includes('fault'))")
    close(page)


def test_keyboard_alone_leads_to_a_call_and_back(browser: Any, server: ConsoleServer) -> None:
    page = open_console(browser, server)
    page.wait_for_selector("table.calls")
    for key in ["j"] * 7:
        page.keyboard.press(key)
    page.keyboard.press("Enter")
    page.wait_for_selector(".transcript")
    assert "+1425•••7731" in page.inner_text("h1")
    page.keyboard.press("Escape")
    page.wait_for_selector("table.calls")
    close(page)


def test_changes_of_calls_are_shown_as_they_come(browser: Any, server: ConsoleServer) -> None:
    page = open_console(browser, server)
    page.wait_for_selector(".connection.open")
    changed = {**server.rows[0], "speaking": "lex", "turns": 41, "faults": 7}
    new = {**live_rows(1, time.time())[0], "caller": "+4366•••0815"}
    server.tell("calls", [changed, new])
    page.wait_for_selector("text=7 faults")
    page.wait_for_selector("text=+4366•••0815")
    server.tell("calls", [{**new, "state": "ended", "ended_s": time.time(), "ended_by": "caller"}])
    wait_until(page, "document.querySelectorAll('[aria-label=\"Recent calls\"] tbody tr').length === 3")
    close(page)


def test_two_hundred_calls_change_all_the_time(browser: Any, server: ConsoleServer) -> None:
    server.rows = live_rows(200, time.time())
    page = open_console(browser, server)
    page.wait_for_selector(".connection.open")
    for turns in range(20):
        server.tell("calls", [{**one, "turns": 100 + turns} for one in server.rows])
    wait_until(page, "[...document.querySelectorAll('tr.live td.turn-count')].every(one => one.textContent === '119')")
    assert len(rows_of(page, "Live")) == 200
    close(page)


@pytest.mark.parametrize(("scheme", "size"), LOOKS)
def test_empty_list_says_how_to_call(browser: Any, scheme: str, size: Any) -> None:
    with ConsoleServer() as server:
        server.settings = [setting("URL", "https://bridge.example.com")]
        page = open_console(browser, server, "", size, scheme)
        page.wait_for_selector("text=https://bridge.example.com/twiml")
        take_screenshot(page, f"console-empty-{scheme}-{'phone' if size else 'desktop'}")
        close(page)


def test_empty_list_of_a_rehearsal_leads_to_the_phone(browser: Any) -> None:
    with ConsoleServer() as server:
        server.settings = [setting("REHEARSAL_URL", "http://127.0.0.1:8190")]
        server.rehearsal = {"phone_url": "http://127.0.0.1:8190/", "faults": []}
        page = open_console(browser, server)
        page.wait_for_selector("text=Open the phone and call")
        assert page.get_attribute("text=Open the phone and call", "href") == "http://127.0.0.1:8190/"
        close(page)


def test_lost_server_is_told_and_comes_back(browser: Any, server: ConsoleServer) -> None:
    page = open_console(browser, server)
    page.wait_for_selector(".connection.open")
    server.stop()
    page.wait_for_selector("text=Connection lost, trying again")
    assert len(rows_of(page, "Live")) == 6  # what was known stays
    take_screenshot(page, "console-lost")
    server.rows = live_rows(2, time.time())
    server.start()
    page.wait_for_selector(".connection.open")
    wait_until(page, "document.querySelectorAll('tr.live').length === 2")
    assert page.locator("[role=alert]").count() == 0
    assert all("ERR_" in error for error in page.errors)  # the browser tells of the broken connections
    page.context.close()


# -- one call


@pytest.mark.parametrize(("scheme", "size"), LOOKS)
def test_call_shows_its_story(browser: Any, server: ConsoleServer, order: Told, scheme: str, size: Any) -> None:
    page = open_call(browser, server, order, size, scheme)
    assert page.locator("canvas.picture").evaluate(COLOURS) > 10
    assert page.locator("canvas.overview").evaluate(COLOURS) > 3
    turns = page.locator("li.turn").all_inner_texts()
    assert len(turns) == 5
    check_words(turns[1], "“roses”", "A filler", "3.81 s", "What day do you want the roses to be picked up?")
    assert page.locator("li.turn").nth(1).locator(".slots .new").inner_text().startswith("FlowerType roses")
    cells = page.locator(".turns tbody tr").nth(2).locator("td").all_inner_texts()
    assert [cell.strip() for cell in cells[1:5]] == ["700 ms", "102 ms", "131 ms", "0.93 s"]
    take_screenshot(page, f"console-order-{scheme}-{'phone' if size else 'desktop'}")
    close(page)


@pytest.mark.parametrize(("scheme", "size"), LOOKS)
def test_stream_call_is_drawn(browser: Any, server: ConsoleServer, stream_call: Told, scheme: str, size: Any) -> None:
    page = open_call(browser, server, stream_call, size, scheme)
    assert page.locator("canvas.picture").evaluate(COLOURS) > 10
    assert "keys 428153" in page.inner_text(".transcript")
    take_screenshot(page, f"console-booking-{scheme}-{'phone' if size else 'desktop'}")
    close(page)


def test_transcript_reads_as_the_caller_heard_it(browser: Any, server: ConsoleServer, order: Told) -> None:
    sid = order.streams[0]["stream_sid"]
    server.settings = [setting("WELCOME", "greeting"), setting("GREETING", "This is the flower shop.")]
    order.event(0.0, "", "call-answered")
    order.event(8.0, sid, "no-input", times=1, ends_call=False, by_document=False)
    order.event(8.0, sid, "update-made", number=90, words={"twiml": "<Response><Say>Are you there?</Say></Response>"})
    order.event(13.61, sid, "update-made", number=91, words={"twiml": "<Response><Say>One moment.</Say></Response>"})
    order.event(18.0, sid, "utterance-dropped", "warning", turn=9, why="the request was not taken")
    order.turns[3] |= {"reply_ms": None, "queue_ms": 2400}  # answered, and never heard
    order.turns += [{**order.turns[0], "turn": 9, "began_s": order.began_s + 18, "outcome": "dropped"}]
    order.turns[-1] |= {"transcript": None, "messages": [], "intent": None, "dialog_state": None, "slots": {}}
    order.stream("MZ02", 38.5, 3000, 4103)
    page = open_call(browser, server, order)
    entries = [" ".join(text.split()) for text in page.locator(".transcript li:not(.slots li)").all_inner_texts()]
    check_words(entries[0], "The greeting", "This is the flower shop.")
    check_words(entries[2], "asked again", "Are you there?")
    check_words(entries[3], "roses", "A filler, while the caller waits Bot: One moment.", "What day do you want")
    assert entries[3].index("One moment.") < entries[3].index("What day do you want")
    check_words(entries[4], "(not sent to Lex: the request was not taken)")
    check_words(entries[6], "at half past ten", "replaced: the caller can hardly have heard it")
    assert [one for one in entries if "; the call went on after 0.5 s in worker 4103" in one] == [entries[-1]]
    assert "waiting for an earlier turn 2.40 s" in (page.locator(".bar").nth(4).get_attribute("title") or "")
    assert page.locator(".transcript ol").evaluate("list => list.scrollHeight - list.clientHeight") <= 1
    take_screenshot(page, "console-transcript")
    close(page)


def test_pointer_and_keys_read_the_timeline(browser: Any, server: ConsoleServer, stream_call: Told) -> None:
    page = open_call(browser, server, stream_call)
    box = page.locator("canvas.picture").bounding_box()
    assert box is not None
    at_5_s = box["x"] + 72 + (box["width"] - 72) * 5.3 / 33.3
    page.mouse.move(at_5_s, box["y"] + 80)
    page.wait_for_selector(".tip:has-text('the caller speaks')")
    check_words(page.inner_text(".tip"), "threshold -36.3", "of the bot's audio")
    page.mouse.click(at_5_s, box["y"] + 80)
    page.wait_for_selector(".readout:has-text('0:05')")
    page.keyboard.press("Shift+ArrowRight")
    page.wait_for_selector(".readout:has-text('0:07')")
    page.mouse.wheel(0, -600)  # after the click, the wheel zooms
    page.keyboard.press("Home")
    page.wait_for_selector(".readout:has-text('0:00')")
    close(page)


def test_zoomed_timeline_draws_other_things(browser: Any, server: ConsoleServer, order: Told) -> None:
    page = open_call(browser, server, order)
    picture = page.locator("canvas.picture")
    whole = picture.evaluate("canvas => canvas.toDataURL()")
    page.keyboard.press("n")
    page.wait_for_selector("li.turn.selected")
    page.keyboard.press("+")
    wait_until(page, "whole => document.querySelector('canvas.picture').toDataURL() !== whole", whole)
    page.click("text=Whole call")
    page.keyboard.press("0")
    wait_until(page, "document.querySelector('.readout').textContent.includes('pre-roll')")
    take_screenshot(page, "console-turn")
    close(page)


def test_details_show_attributes_lex_and_twiml(browser: Any, server: ConsoleServer, order: Told) -> None:
    page = open_call(browser, server, order)
    page.locator("li.turn").last.locator("button.link").click()
    details = page.inner_text(".details")
    check_words(details, "F-1001", "removed", '"PickupTime": "10:30"')
    check_words(details, "<Say>Thanks, your order for roses has been placed.</Say>")
    close(page)


def test_events_are_listed_with_their_fields(browser: Any, server: ConsoleServer, order: Told) -> None:
    page = open_call(browser, server, order)
    page.click(".events summary")
    page.select_option(".events select", "warning")
    page.wait_for_selector(".events tr.warning")
    assert "Twilio answered 503, code 20500" in page.inner_text(".events tr.warning")
    assert "What to do" in (page.get_attribute(".events tr.warning", "title") or "")
    close(page)


def test_live_call_grows_as_it_happens(browser: Any, server: ConsoleServer) -> None:
    now_s = time.time()
    told = booking(now_s - 20, ended=False)
    later, told.turns, told.events = told.turns[0], [], told.events[:1]
    server.calls = {told.call_sid: told}
    line = told.lines[told.streams[0]["stream_sid"]]
    page = open_call(browser, server, told)
    page.wait_for_selector(".connection.open")
    assert server.followed[-1] == told.call_sid
    assert page.get_attribute("text=Follow live", "aria-pressed") == "true"
    before = page.locator("canvas.picture").evaluate("canvas => canvas.toDataURL()")
    server.tell("levels", {"streams": [line.piece(0, 8000)]})
    server.tell("fact", [now_s, line.stream_sid, 8000, "info", "barged-in", {"heard_ms": 4000}, {}])
    server.tell("turn", later)
    page.wait_for_selector("li.turn:has-text('i would like to check my booking')")
    wait_until(page, "was => document.querySelector('canvas.picture').toDataURL() !== was", before)
    page.keyboard.press("2")
    page.wait_for_selector("text=Since the start")
    for _ in range(200):
        if server.followed[-1] is None:
            break
        page.wait_for_timeout(50)
    assert server.followed[-1] is None  # the worker need not tell the audio any more
    close(page)


def test_forgotten_call_is_said_to_be(browser: Any, server: ConsoleServer) -> None:
    page = open_console(browser, server, "call/CAnone")
    page.wait_for_selector("text=The console does not know this call")
    assert all("404" in error for error in page.errors)
    page.context.close()


def test_recording_is_played_in_step(browser: Any, server: ConsoleServer, order: Told) -> None:
    page = open_call(browser, server, order)
    page.keyboard.press(" ")
    page.wait_for_selector("text=Pause")
    page.wait_for_selector(".readout:has-text('0:01')")
    page.keyboard.press(" ")
    page.wait_for_selector("text=▶ Play")
    close(page)


def test_what_if_tells_the_difference(browser: Any, server: ConsoleServer, order: Told) -> None:
    spans = [
        {"stream_sid": one["stream_sid"], **{name: one[name] for name in ("started_ms", "ended_ms")}}
        for one in order.turns
    ]
    then = [{**one, "ended_ms": one["ended_ms"] - 300} for one in spans[:-1]]
    server.what_if = {"now": spans, "then": then, "then_levels": {"streams": []}}
    page = open_call(browser, server, order)
    page.keyboard.press("w")
    page.fill("input[name=hangover_ms]", "400")
    page.click("text=Hear it again")
    page.wait_for_selector(".differences li")
    assert server.posted == [(f"/calls/{order.call_sid}/what-if", {"hangover_ms": 400})]
    words = page.inner_text(".differences")
    check_words(words, "4 utterances instead of 5.", "end 300 ms earlier", "Not heard any more")
    assert page.locator(".what-if canvas").evaluate(COLOURS) > 3
    take_screenshot(page, "console-what-if")
    page.keyboard.press("Escape")
    page.wait_for_selector(".what-if", state="detached")
    close(page)


def test_exported_file_is_opened_again(browser: Any, server: ConsoleServer, order: Told, tmp_path: Any) -> None:
    page = open_call(browser, server, order)
    page.click("text=Export")
    with page.expect_download() as download:
        page.click("text=Without words")
    path = tmp_path / "call.json"
    download.value.save_as(path)
    assert json.loads(path.read_text())["lexbridge_call"] == 1
    page.keyboard.press("Escape")
    page.wait_for_selector("table.calls")
    page.set_input_files("#open-file", path)
    wait_until(page, "location.hash.startsWith('#/call/CA42e9d7')")
    assert server.posted[-1][0] == "/console/api/open"
    (tmp_path / "no.json").write_text("no")
    page.set_input_files("#open-file", tmp_path / "no.json")
    page.wait_for_selector("text=no.json could not be opened. It is no JSON file.")
    close(page)


# -- the other pages


def setting(name: str, value: str | None, **more: Any) -> dict[str, Any]:
    told = {"is_set": True, "is_hidden": value is None, "default": None, "group": "Twilio and the addresses"}
    return {"name": name, "value": value, **told, "help": f"Help of `{name}`", **more}


def measured(p50: int, p90: int, p99: int) -> dict[str, int]:
    return {"p50": p50, "p90": p90, "p99": p99, "turns": 830}


@pytest.mark.parametrize(("scheme", "size"), LOOKS)
def test_latency_page(browser: Any, server: ConsoleServer, order: Told, scheme: str, size: Any) -> None:
    figures = {
        "reply_ms": measured(989, 1420, 3808),
        "lex_ms": measured(280, 640, 3104),
        "end_ms": measured(700, 700, 900),
    }
    minute_s = int(time.time()) // 60 * 60
    history = [
        [minute_s - 60 * (30 - i), 900 + 10 * (i % 7), 1400 + 60 * (i % 5), 2400 + 300 * (i % 4), 40] for i in range(30)
    ]
    slow = {
        "call_sid": order.call_sid,
        "stream_sid": order.turns[1]["stream_sid"],
        "turn": 2,
        "at_s": time.time() - 800,
    }
    slow |= {name: order.turns[1][name] for name in ("reply_ms", "end_ms", "lex_ms", "update_ms", "filler", "outcome")}
    server.latency = {"last_hour": figures, "since_start": figures, "history": history, "slowest": [slow]}
    page = open_console(browser, server, "latency", size, scheme)
    page.wait_for_selector(".chart canvas")
    assert "989 ms" in page.inner_text("[aria-label='The last hour']")
    assert page.locator(".chart canvas").evaluate(COLOURS) > 5
    take_screenshot(page, f"console-latency-{scheme}-{'phone' if size else 'desktop'}")
    page.click("[aria-label='Slowest turns'] a")
    page.wait_for_selector("li.turn.selected:has-text('roses')")
    close(page)


@pytest.mark.parametrize(("scheme", "size"), LOOKS)
def test_health_page(browser: Any, server: ConsoleServer, scheme: str, size: Any) -> None:
    remedy = "The signature is right for http: set URL to https."
    fields = {"reason": "unsigned webhook", "count": 1, "remedy": remedy}
    line = {"at_s": time.time(), "level": "warning", "name": "peer-refused", "call_sid": "", "fields": fields}
    server.health = {"refusals": {"unsigned webhook": 3}, "errors": {"peer-refused": 3}, "lines": [line]}
    page = open_console(browser, server, "health", size, scheme)
    page.wait_for_selector("text=What to do:")
    text = page.inner_text("main")
    check_words(text, remedy, "unsigned webhook", "4103")
    take_screenshot(page, f"console-health-{scheme}-{'phone' if size else 'desktop'}")
    close(page)


@pytest.mark.parametrize(("scheme", "size"), LOOKS)
def test_settings_page(browser: Any, server: ConsoleServer, scheme: str, size: Any) -> None:
    usual = setting("HANGOVER_MS", "700", is_set=False, default="700", group="Where an utterance starts and ends")
    server.settings = [setting("URL", "https://bridge.example.com"), setting("TWILIO_AUTH_TOKEN", None), usual]
    page = open_console(browser, server, "settings", size, scheme)
    page.wait_for_selector("text=secret, not shown")
    assert "700 default" in page.inner_text("[aria-label='Where an utterance starts and ends']").replace("\xa0", " ")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.click("text=Copy as .env")
    page.wait_for_selector("text=Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == "URL=https://bridge.example.com\n# TWILIO_AUTH_TOKEN=  (secret, not shown)\n"
    take_screenshot(page, f"console-settings-{scheme}-{'phone' if size else 'desktop'}")
    close(page)


def test_faults_of_a_rehearsal_are_switched(browser: Any, server: ConsoleServer) -> None:
    server.settings = [setting("REHEARSAL_URL", "http://127.0.0.1:8190")]
    slow = {"name": "lex-slow", "help": "Lex answers late.", "is_on": False, "is_once": False}
    killed = {**slow, "name": "worker-killed", "help": "A worker is killed.", "is_once": True}
    server.rehearsal = {"phone_url": "http://127.0.0.1:8190/", "faults": [slow, killed]}
    page = open_console(browser, server, "faults")
    page.click("text=Switch on")
    page.wait_for_selector("text=A fault is on.")
    assert server.posted == [("/console/api/rehearsal", {"name": "lex-slow", "on": True})]
    take_screenshot(page, "console-faults")
    page.click("text=Do it once")
    page.wait_for_selector("text=done")
    page.click("text=Switch off")
    page.wait_for_selector("text=A fault is on.", state="detached")
    close(page)


def test_without_a_rehearsal_there_is_no_page_of_faults(browser: Any, server: ConsoleServer) -> None:
    page = open_console(browser, server, "faults")
    page.wait_for_selector("table.calls")
    assert page.locator("nav >> text=Faults").count() == 0
    close(page)


def test_help_and_theme_by_keyboard(browser: Any, server: ConsoleServer) -> None:
    page = open_console(browser, server)
    page.wait_for_selector("table.calls")
    page.keyboard.press("?")
    page.wait_for_selector("dialog[open] >> text=Move the cursor")
    take_screenshot(page, "console-help")
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog", state="detached")
    page.keyboard.press("t")
    wait_until(page, "document.documentElement.dataset.theme === 'dark'")
    page.reload()
    wait_until(page, "document.documentElement.dataset.theme === 'dark'")  # the choice stays
    close(page)


@pytest.mark.parametrize("path", ["", "latency", "health", "settings", "call/CA7c1f00d24be84a5e9d3a6b1c2f5e8a90"])
def test_no_page_is_wider_than_a_phone(browser: Any, server: ConsoleServer, path: str) -> None:
    page = open_console(browser, server, path, PHONE)
    page.wait_for_selector("main h1")
    page.wait_for_timeout(300)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    close(page)
