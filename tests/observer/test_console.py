"""The console's pages in headless Chromium: what an operator sees, and that no page breaks its security policy."""

import time
from typing import Any

import pytest

from tests.support.browser import take_screenshot
from tests.support.console_pages import (
    COLOURS,
    LOOKS,
    PHONE,
    check_words,
    close,
    open_console,
    rows_of,
    setting,
    wait_until,
)
from tests.support.console_server import ConsoleServer
from tests.support.told_calls import Told, live_rows

pytest_plugins = ["tests.support.console_fixtures"]

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


def test_lines_have_a_column_and_a_filter(browser: Any, server: ConsoleServer, order: Told) -> None:
    page = open_console(browser, server)
    page.wait_for_selector("table.calls")
    assert page.query_selector("td.line-name") is None
    assert page.query_selector("select[aria-label=Line]") is None
    order.summary_fields |= {"line": "flower-shop"}
    page.reload()
    page.wait_for_selector("td.line-name")
    row = next(one for one in rows_of(page, "Recent") if "+1206•••0142" in one)
    check_words(row, "flower-shop")
    page.select_option("select[aria-label=Line]", "=flower-shop")
    wait_until(page, "document.querySelectorAll('table.calls tbody tr').length === 1")
    page.select_option("select[aria-label=Line]", "=")
    wait_until(page, "[...document.querySelectorAll('td.line-name')].every((one) => one.textContent === 'default')")
    page.select_option("select[aria-label=Line]", "")
    wait_until(page, "document.querySelectorAll('table.calls tbody tr').length > 2")
    close(page)


def test_search_finds_events_reasons_and_workers(browser: Any, server: ConsoleServer, order: Told) -> None:
    more = {"errors": 1, "warnings": 2, "faults": 3, "fault_counts": {"call-update-failed": 2, "lex-failed": 1}}
    order.summary_fields |= {**more, "ended_by": "lexbridge", "why": "no-input", "worker_pids": [4101, 4177]}
    page = open_console(browser, server)
    page.wait_for_selector("table.calls")
    row = next(one for one in rows_of(page, "Recent") if "+1206•••0142" in one)
    check_words(row, "✕ 1 error", "2 warnings", "by lexbridge: no-input")
    for words in ("lex-failed", "no-input", "4177"):
        page.fill("input[type=search]", words)
        wait_until(page, "document.querySelectorAll('table.calls tbody tr').length === 1")
    page.fill("input[type=search]", "")
    page.click(".tile >> text=faults in these")
    wait_until(page, "[...document.querySelectorAll('td.notes')].every((one) => /fault|error/.test(one.textContent))")
    assert page.is_checked("text=only with faults")
    close(page)


def test_a_new_call_is_counted_soon(browser: Any, server: ConsoleServer) -> None:
    page = open_console(browser, server)
    page.wait_for_selector(".connection.open")
    wait_until(page, "document.querySelector('.totals').textContent.includes('calls since start8')")
    server.rows += (new := live_rows(1, time.time()))
    server.tell("calls", new)
    wait_until(page, "document.querySelector('.totals').textContent.includes('calls since start9')")
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


def test_a_call_of_another_day_has_its_day(browser: Any, server: ConsoleServer, order: Told) -> None:
    order.summary_fields |= {"began_s": 1_767_225_600 - 86_400 * 9, "ended_s": 1_767_225_700 - 86_400 * 9}
    page = open_console(browser, server)
    page.wait_for_selector("tr.ended td.age:has-text('12-23 00:00')")
    assert page.title() == "Calls - lexbridge console"
    close(page)


def test_the_first_link_skips_to_the_page(browser: Any, server: ConsoleServer) -> None:
    """The link is found by its place: where a first Tab begins differs from one version of Chromium to the next."""
    page = open_console(browser, server)
    page.wait_for_selector("nav")
    assert page.evaluate("document.querySelector('a, button, input').textContent") == "Skip to the page"
    page.focus("a, button, input")
    page.keyboard.press("Enter")
    wait_until(page, "document.activeElement === document.querySelector('main')")
    close(page)


# -- the other pages

NOTE_CHANGES = """() => {
  window.changes = [];
  const note = () => window.changes.push(document.body.innerText);
  new MutationObserver(note).observe(document.body, { childList: true, characterData: true, subtree: true });
}"""
"""Keeps each text of the page from now on in `changes`, because some is there for a moment only."""


def test_old_figures_are_said_to_be_old(browser: Any, server: ConsoleServer) -> None:
    page = open_console(browser, server, "health")
    page.wait_for_selector("text=None. That is how it should be.")
    page.route("**/console/api/health", lambda route: route.fulfill(status=500, json={"error": "It failed."}))
    page.wait_for_selector("main [role=alert] >> text=It failed. What you see is from")
    page.context.close()


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
    when = {"at_s": minute_s - 700, "call_sid": "", "fields": {}}
    server.health["lines"] = [{**when, "level": level, "name": "lex-failed"} for level in ("warning", "error")]
    history = [
        [minute_s - 60 * (30 - i), 900 + 10 * (i % 7), 1400 + 60 * (i % 5), 2400 + 300 * (i % 4), 40 + i]
        for i in range(30)
    ]
    del history[9:14]  # nobody called
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
    columns = page.evaluate(
        "async () => (await import('./static/js/latency_chart.js')).columnsOf([[60, 9, 9, 9, 1], [180, 7, 8, 9, 2]])"
    )
    assert columns == [[60, 120, 180], [1, None, 2], [0.009, None, 0.007], [0.009, None, 0.008], [0.009, None, 0.009]]
    page.wait_for_selector(".chart-note >> text=error")
    assert "Times of day are those of this browser, UTC" in page.inner_text("footer")
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
    title, metrics = page.locator("main h1").bounding_box(), page.locator("main a >> text=Metrics").bounding_box()
    assert title["x"] + title["width"] < metrics["x"]
    take_screenshot(page, f"console-health-{scheme}-{'phone' if size else 'desktop'}")
    close(page)


def test_health_leads_to_the_event_in_its_call(browser: Any, server: ConsoleServer, order: Told) -> None:
    at_s, sid = order.began_s + 21.6, order.streams[0]["stream_sid"]
    order.event(21.6, sid, "worker-ended", "debug", pid=4101)
    line = {"at_s": at_s, "level": "error", "name": "worker-ended", "call_sid": "", "fields": {"pid": 4101}}
    server.health = {"refusals": {}, "errors": {}, "lines": [{**line, "at_s": time.time(), "calls": []}]}
    server.workers[0] |= {"state": "ended", "ended_s": at_s, "signal": "SIGKILL", "lost_calls": [order.call_sid]}
    page = open_console(browser, server)
    page.wait_for_selector("nav .mark >> text=1")
    server.health["lines"] = [{**line, "calls": [order.call_sid]}]
    page.click("nav >> text=Health")
    page.wait_for_selector("nav .mark", state="detached")  # that error is older than ten minutes
    page.wait_for_selector("text=SIGKILL, hit 1 call: CA42e9d7")
    page.click(".health-lines a")
    page.wait_for_selector(".events[open] tr.selected:has-text('worker-ended')")
    page.wait_for_selector("li.turn.selected:has-text('on friday')")
    page.wait_for_selector(".readout:has-text('0:21')")
    close(page)


@pytest.mark.parametrize(("scheme", "size"), LOOKS)
def test_settings_page(browser: Any, server: ConsoleServer, scheme: str, size: Any) -> None:
    usual = setting("HANGOVER_MS", "700", is_set=False, default="700", group="Where an utterance starts and ends")
    server.settings = [setting("URL", "https://bridge.example.com"), setting("TWILIO_AUTH_TOKEN", None), usual]
    page = open_console(browser, server, "settings", size, scheme)
    page.wait_for_selector("text=secret, not shown")
    assert "700 default" in page.inner_text("[aria-label='Where an utterance starts and ends']").replace("\xa0", " ")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate(NOTE_CHANGES)
    page.click("text=Copy as .env")
    wait_until(page, "changes.some((text) => text.includes('Copied'))")  # for two seconds
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
    assert page.text_content("nav .mark") == "1 fault is on"
    assert server.posted == [("/console/api/rehearsal", {"name": "lex-slow", "on": True})]
    take_screenshot(page, "console-faults")
    page.click("text=Do it once")
    page.wait_for_selector("text=done")
    page.click("text=Switch off")
    page.wait_for_selector("text=A fault is on.", state="detached")
    slow["is_on"] = True  # by the phone, or in another window
    page.wait_for_selector("text=A fault is on.")
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
    page.wait_for_selector("dialog >> text='Calls, Latency, Health, Settings'")  # no page of faults is here
    take_screenshot(page, "console-help")
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog", state="detached")
    page.keyboard.press("t")
    wait_until(page, "document.documentElement.dataset.theme === 'dark'")
    page.reload()
    wait_until(page, "document.documentElement.dataset.theme === 'dark'")  # the choice stays
    close(page)


@pytest.mark.parametrize(
    ("path", "whole"),
    [
        ("", "tr.ended"),
        ("latency", "h1"),
        ("health", "text=4103"),
        ("settings", "text=https://bridge.example.com"),
        ("call/CA7c1f00d24be84a5e9d3a6b1c2f5e8a90", ".transcript li"),
    ],
)
def test_no_page_is_wider_than_a_phone(browser: Any, server: ConsoleServer, path: str, whole: str) -> None:
    server.settings = [setting("URL", "https://bridge.example.com")]
    page = open_console(browser, server, path, PHONE)
    page.wait_for_selector("main h1")
    page.wait_for_selector(f"main >> {whole}")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    close(page)
