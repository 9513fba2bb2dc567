"""Chromium without a window, whose microphone plays a sound file, for tests of pages.

Screenshots go into SCREENSHOTS, where people look at them after a run.
"""

import os
import shutil
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Self

import pytest

from lexbridge.audio.resampler import resample
from lexbridge.offline.lex.voice import HibariVoice
from tests.support.packages import ROOT

SCREENSHOTS = ROOT / "demo-out" / "screenshots"
"""Folder of the screenshots, which git does not keep."""

MICROPHONE_HZ = 48_000
"""Rate of the microphone's sound file, because Chromium's own microphones have it."""

DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}

PATIENCE_MS = 120_000
"""Milliseconds in which a page does what a test waits for, because a machine with two busy processors is slow."""

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_FLAGS = (
    "--no-sandbox",  # a container has no user namespaces
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
)


@contextmanager
def open_browser(microphone: Path | None = None) -> Iterator[Any]:
    """Run Chromium and yield it. Skip the test where there is none.

    microphone: a sound that the microphone hears once, or None for a machine without a microphone.
    """
    pytest.importorskip("playwright", reason="no test of pages: pip install -r requirements-dev.txt")
    from playwright.sync_api import sync_playwright

    flags = [*_FLAGS]
    if microphone is not None:
        flags += ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
        flags.append(f"--use-file-for-fake-audio-capture={microphone}%noloop")
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
        program = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, _NAMES)), own)
        if not Path(program).exists():
            pytest.skip("no test of pages: no Chromium is here (.venv/bin/playwright install --with-deps chromium)")
        browser = playwright.chromium.launch(executable_path=program, headless=True, args=flags, timeout=PATIENCE_MS)
        try:
            yield browser
        finally:
            browser.close()


def open_page(
    browser: Any, address: str, size: dict[str, int] | None = None, scheme: Literal["light", "dark"] = "light"
) -> Any:
    """Open `address` in a window of its own. Its errors are kept in `page.errors`, for the test to look at."""
    context = browser.new_context(viewport=size or DESKTOP, color_scheme=scheme, permissions=["microphone"])
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.errors = []
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.on("console", lambda line: page.errors.append(line.text) if line.type == "error" else None)
    page.goto(address)
    return page


def take_screenshot(page: Any, name: str) -> None:
    """Keep a picture of the whole page."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)


class Microphone:
    """The sound file that Chromium's microphone plays. Chromium reads it anew each time a page opens the microphone.

    `says(phrase)`: what the next opening hears. Use it as a context manager: its voice is a process.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "microphone.wav"
        self._voice = HibariVoice()
        self._speaks(b"", 1)

    def says(self, phrase: str, after_s: int = 1) -> None:
        """Let the next page that opens the microphone hear a phrase, after some seconds."""
        self._speaks(self._voice.speak(phrase), after_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._voice.close()

    def _speaks(self, pcm: bytes, after_s: int) -> None:
        second = bytes(2 * MICROPHONE_HZ)
        whole = self.path.with_suffix(".part")
        with wave.open(str(whole), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(MICROPHONE_HZ)
            file.writeframes(after_s * second + resample(pcm, self._voice.rate_hz, MICROPHONE_HZ) + second)
        whole.replace(self.path)
