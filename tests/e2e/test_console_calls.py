"""The console beside real calls: it follows one as it happens, hears it again, and outlives the observer process."""

import os
import signal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from lexbridge.offline.twilio.events import EndReason
from tests.support.browser import open_browser, open_page, take_screenshot
from tests.support.flower_order import DAY, ELSE, ORDER
from tests.support.rehearsal import wait_until
from tests.support.rig import PATIENCE_S
from tests.support.server_process import said
from tests.support.watched_service import PASSWORD, WatchedService, watched_service

pytestmark = pytest.mark.e2e


def open_console(browser: Any, service: WatchedService) -> Any:
    """Open the console with the password in the address, as people keep it in their bookmarks."""
    return open_page(browser, service.admin_url.replace("://", f"://any:{quote(PASSWORD)}@"))


def observer_pid(service: WatchedService) -> int:
    """Return the process id of the newest observer, from the log."""
    return int(said(service.bridge, "observing")[-1]["pid"])


def test_an_order_is_followed_and_heard_again(tmp_path: Path) -> None:
    with watched_service(tmp_path, *ORDER) as service, open_browser() as browser:
        page = open_console(browser, service)
        page.wait_for_selector("text=No call yet")
        call = service.place_call(*ORDER[:-1])
        page.wait_for_selector("tr.live")
        page.goto(f"{page.url.partition('#')[0]}#/call/{call.sid}")
        page.wait_for_selector(f".transcript >> text={ELSE}")  # told while it happens
        assert call.over is None
        service.caller.say(ORDER[-1])
        assert call.wait(PATIENCE_S).reason is EndReason.HANGUP_VERB
        wait_until(lambda: said(service.bridge, "call-ended"))
        assert [line["ended_by"] for line in said(service.bridge, "call-ended")] == ["bot"]
        page.wait_for_selector("text=The bot ended it")
        page.locator(".turns tbody tr").nth(len(ORDER) - 1).wait_for()
        assert page.locator(".turns tbody tr").count() == len(ORDER)
        take_screenshot(page, "console-real-order")
        page.keyboard.press("w")
        page.fill("input[name=hangover_ms]", "300")
        page.click("text=Hear it again")
        page.wait_for_selector(".differences >> text=earlier, and so would the reply")
        with page.expect_download() as download:
            page.click("text=Export")
            page.click("text=With words and audio")
        download.value.save_as(tmp_path / "call.json")
        page.set_input_files("#open-file", tmp_path / "call.json")
        page.wait_for_selector(".call-header >> text=from a file")
        page.wait_for_selector(f".transcript >> text={DAY}")
        assert page.errors == []


def test_an_observer_that_dies_is_waited_for(tmp_path: Path) -> None:
    with watched_service(tmp_path, *ORDER) as service, open_browser() as browser:
        page = open_console(browser, service)
        page.wait_for_selector(".connection.open")
        call = service.place_call(*ORDER[:-1])
        page.wait_for_selector("tr.live")
        before = observer_pid(service)
        os.kill(before, signal.SIGKILL)
        page.wait_for_selector("text=Connection lost, trying again")
        page.wait_for_selector(".connection.open")
        wait_until(lambda: observer_pid(service) != before)
        assert call.over is None
        wait_until(lambda: ELSE in " ".join(service.caller.heard))
        service.caller.say(ORDER[-1])
        page.wait_for_selector("tr.live, tr.ended")  # the call went on, and is told of again
        assert call.wait(PATIENCE_S).reason is EndReason.HANGUP_VERB
