"""The console's pages in a browser: opening them, reading them, leaving them."""

import time
from collections.abc import Callable
from typing import Any

from tests.support.browser import PATIENCE_MS, open_page
from tests.support.console_server import ConsoleServer
from tests.support.told_calls import Told

PHONE = {"width": 360, "height": 740}
"""The narrowest phone that is sold."""

LOOKS = [("light", None), ("dark", None), ("light", PHONE)]
"""Schemes and sizes of which screenshots are kept."""

COLOURS = """canvas => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return new Set(new Uint32Array(data.buffer)).size;
}"""
"""Number of colours on a canvas: 1 if nothing is drawn."""


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
    until(page, lambda: page.evaluate(expression, told), expression)


def until(page: Any, holds: Callable[[], object], what: str = "") -> None:
    """Wait until `holds()` is true, while the page goes on. `what`: that, in words, for a test that fails."""
    deadline_s = time.monotonic() + PATIENCE_MS / 1000
    while not holds():
        assert time.monotonic() < deadline_s, what
        page.wait_for_timeout(50)


def point_until(page: Any, share: float, words: str, right_px: int = 0) -> tuple[float, float]:
    """Point at a share of the timeline, and so far right of it, until the tip has these words. Return the place.

    The page may still lay itself out, or draw: so the pointer comes again and again.
    """
    place = (0.0, 0.0)

    def tells() -> bool:
        nonlocal place
        if any(words in tip for tip in page.locator(".tip").all_inner_texts()):
            return True
        if box := page.locator("canvas.picture").bounding_box():
            place = box["x"] + 72 + (box["width"] - 72) * share + right_px, box["y"] + 80
            page.mouse.move(place[0], place[1] - 5)
            page.mouse.move(*place)
        return False

    until(page, tells, words)
    return place


def check_words(text: str, *words: str) -> None:
    """Check that a text has all of these words."""
    assert [one for one in words if one not in text] == []


def close(page: Any) -> None:
    """Leave a page that had no error: none of its scripts, and none of the security policy."""
    assert page.errors == []
    page.context.close()


def setting(name: str, value: str | None, **more: Any) -> dict[str, Any]:
    told = {"is_set": True, "is_hidden": value is None, "default": None, "group": "Twilio and the addresses"}
    return {"name": name, "value": value, **told, "help": f"Help of `{name}`", **more}
