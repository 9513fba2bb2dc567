"""The console's page of one call in headless Chromium: its timeline, its transcript, its events."""

import json
import time
from typing import Any

import pytest

from tests.support.browser import take_screenshot
from tests.support.console_pages import (
    COLOURS,
    LOOKS,
    check_words,
    close,
    open_call,
    open_console,
    point_until,
    setting,
    until,
    wait_until,
)
from tests.support.console_server import ConsoleServer
from tests.support.told_calls import Told, booking

pytest_plugins = ["tests.support.console_fixtures"]

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
    place = point_until(page, 5.3 / 33.3, "the caller speaks")
    check_words(page.inner_text(".tip"), "threshold -36.3", "of the bot's audio")
    page.mouse.click(*place)
    page.wait_for_selector(".readout:has-text('0:05')")
    page.keyboard.press("Shift+ArrowRight")
    page.wait_for_selector(".readout:has-text('0:07')")
    page.mouse.wheel(0, -600)  # after the click, the wheel zooms
    page.keyboard.press("Home")
    page.wait_for_selector(".readout:has-text('0:00.0')")
    for _ in range(3):
        page.keyboard.press("n")
    page.wait_for_selector(".readout:has-text('turn 3: pre-roll')")  # the first of its stream, the third of the call
    close(page)


def test_no_words_cover_another_marker(browser: Any, server: ConsoleServer, order: Told) -> None:
    page = open_call(browser, server, order)
    script = """async () => (await import("./static/js/marker_places.js")).placeMarkers([
      { x: 100, kind: "filler", label: "filler" }, { x: 112, kind: "fault", label: "lex-failed" },
      { x: 114, kind: "update", label: "update 1" }, { x: 118, kind: "update", label: "update 2" },
      { x: 195, kind: "note", label: "bot ends" }], { left: 42, right: 200, widthOf: (words) => 6 * words.length })"""
    places = page.evaluate(script)
    spans = []
    for place in places:
        spans.append((place["row"], place["x"] - 4, place["x"] + 4))
        if label := place["label"]:
            width = 6 * len(place["one"]["label"])
            start = label["x"] - (width if label["align"] == "right" else 0)
            spans.append((place["row"], start, start + width))
    for i, (row, start, end) in enumerate(spans):
        assert start >= 42
        assert end <= 200
        assert [one for one in spans[i + 1 :] if one[0] == row and one[1] < end and start < one[2]] == []
    assert places[0]["one"]["label"] == "lex-failed"
    assert places[0]["label"] is not None
    close(page)


def test_words_of_a_fault_find_another_row(browser: Any, server: ConsoleServer, order: Told) -> None:
    page = open_call(browser, server, order)
    places = page.evaluate("""async () => (await import("./static/js/marker_places.js")).placeMarkers([
      { x: 60, kind: "fault", label: "lex-failed" }, { x: 132, kind: "fault", label: "lex-failed" },
      { x: 190, kind: "update", label: "update 7" }], { left: 42, right: 250, widthOf: (text) => 6 * text.length })""")
    rows = [(place["one"]["x"], place["row"], place["label"] is not None) for place in places]
    assert rows == [(60, 1, True), (132, 0, True), (190, 0, True)]
    close(page)


def test_updates_of_a_long_call_are_ticks(browser: Any, server: ConsoleServer, order: Told) -> None:
    page = open_call(browser, server, order)
    script = """async (n) => {
      const { ticksAmong } = await import("./static/js/marker_places.js");
      const markers = [...Array(n).fill({ kind: "update" }), { kind: "fault" }, { kind: "mark" }];
      return markers.filter(ticksAmong(markers, 900)).map((one) => one.kind);
    }"""
    assert page.evaluate(script, 10) == ["mark"]
    assert page.evaluate(script, 11) == ["update"] * 11 + ["mark"]
    close(page)


def test_tip_stays_in_the_window(browser: Any, server: ConsoleServer, stream_call: Told) -> None:
    page = open_call(browser, server, stream_call, {"width": 1280, "height": 520})
    box = page.locator("canvas.picture").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 72 + (box["width"] - 72) * 5.3 / 33.3, 500)
    tip = page.locator(".tip")
    tip.wait_for()
    at = tip.bounding_box()
    assert at is not None
    assert at["y"] >= 0
    assert at["y"] + at["height"] <= 520
    close(page)


def test_plus_leads_to_the_newest_speech(browser: Any, server: ConsoleServer, order: Told) -> None:
    page = open_call(browser, server, order)
    wait_until(page, "document.querySelector('.overview').width > 300")
    for _ in range(5):
        page.click("[aria-label='Zoom in']")
    point_until(page, 33.6 / 38.4, "turn 5", right_px=20)
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
    until(page, lambda: server.followed[-1] is None)  # the worker need not tell the audio any more
    close(page)


def test_late_answer_does_not_revive_an_ended_call(browser: Any, server: ConsoleServer) -> None:
    told = booking(time.time() - 20, ended=False)
    server.calls = {told.call_sid: told}
    page = open_call(browser, server, told)
    page.wait_for_selector(".connection.open")
    held: list[Any] = []

    def hold_first(route: Any) -> None:
        if held:
            route.continue_()
        else:
            held.extend([route, route.fetch()])  # what the server knows now, for later

    page.route(f"**/calls/{told.call_sid}", hold_first)
    server.tell("dropped", {"call_sid": told.call_sid})
    until(page, lambda: len(held) == 2)
    told.summary_fields |= {"state": "ended", "ended_s": time.time(), "ended_by": "bot"}
    server.tell("dropped", {"call_sid": told.call_sid})
    page.wait_for_selector("text=The bot ended it")
    route, answer = held
    with page.expect_response(f"**/calls/{told.call_sid}"):
        route.fulfill(response=answer)
    page.evaluate("new Promise((done) => setTimeout(done, 300))")
    assert page.is_visible("text=The bot ended it")
    close(page)


def test_transcript_of_a_live_call_stays_at_its_end(browser: Any, server: ConsoleServer) -> None:
    told = booking(time.time() - 40, ended=False)
    server.calls = {told.call_sid: told}
    last = told.turns[-1]
    told.turns = [{**last, "turn": turn, "began_s": told.began_s + turn} for turn in range(1, 12)]
    page = open_call(browser, server, told)
    page.wait_for_selector(".connection.open")
    is_at_end = """(() => {
      const { scrollTop, scrollHeight, clientHeight } = document.querySelector(".transcript");
      return scrollHeight > 2 * clientHeight && scrollTop + clientHeight >= scrollHeight - 2;
    })()"""
    wait_until(page, is_at_end)
    server.tell("turn", {**last, "turn": 12, "began_s": told.began_s + 12, "transcript": "and a newspaper"})
    page.wait_for_selector("li.turn:has-text('and a newspaper')")
    wait_until(page, is_at_end)
    page.keyboard.press("n")  # a reader of what was before is left there
    page.wait_for_selector("li.turn.selected")
    server.tell("turn", {**last, "turn": 13, "began_s": told.began_s + 13, "transcript": "thank you"})
    page.wait_for_selector("li.turn:has-text('thank you')")
    assert not page.evaluate(is_at_end)
    page.keyboard.press("f")
    wait_until(page, is_at_end)
    assert page.evaluate("scrollY") == 0  # the timeline is in sight all the while
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
    wait_until(page, "/0:(0[1-9]|[123])/.test(document.querySelector('.readout').textContent)")
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
    page.keyboard.press("Escape")  # closes the menu, not the call
    page.wait_for_selector("text=Without words", state="hidden")
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
