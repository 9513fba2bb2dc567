"""A whole order by voice in a browser, in both reply modes.

Chromium's microphone plays speech. What the caller hears is measured where the browser plays it.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.browser import Microphone, open_browser, open_page, take_screenshot
from tests.support.commands import DEADLINE_S
from tests.support.phone_process import RunningPhone, running_phone
from tests.support.phone_window import NOTHING, answer, call, choose, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(3 * DEADLINE_S)]

ORDER = (
    ("interacting with Lex bot", "I would like to order flowers"),
    ("type of flowers", "roses"),
    ("What day", "tomorrow"),
    ("At what time", "ten in the morning"),
    ("Does this sound okay?", "yes"),
    ("Is there anything else", "goodbye"),
)
"""What the bot says, and what the caller answers. Each waits for the other, on a busy machine too."""


@pytest.fixture(scope="module")
def phone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPhone]:
    with running_phone(tmp_path_factory.mktemp("phone")) as running:
        yield running


@pytest.fixture(scope="module")
def microphone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Microphone]:
    with Microphone(tmp_path_factory.mktemp("speech")) as speaking:
        yield speaking


@pytest.fixture(scope="module")
def browser(microphone: Microphone) -> Iterator[Any]:
    with open_browser(microphone.path) as chromium:
        yield chromium


@pytest.mark.parametrize("mode", ["call-update", "stream"])
def test_an_order_by_voice(mode: str, phone: RunningPhone, browser: Any, microphone: Microphone) -> None:
    page = open_page(browser, phone.address)
    choose(page, "#bot", "OrderFlowers")
    choose(page, "#mode", mode)
    call(page)
    first = page.evaluate("lexbridgePhone.audible")
    for question, phrase in ORDER[:5]:
        answer(page, microphone, question, phrase)
    console = open_page(browser, page.get_attribute("#console", "href"))
    wait_for(console, "body", "roses")  # the link leads to this very call, while it is on
    take_screenshot(console, f"phone-{mode}-in-console")
    console.context.close()
    take_screenshot(page, f"phone-{mode}")
    answer(page, microphone, *ORDER[5])
    wait_for(page, "#state", "The call is over: the bot hung up")
    transcript = page.locator("#transcript li").all_inner_texts()
    understood = page.inner_text("#intents")
    figures = page.evaluate("lexbridgePhone")
    assert page.errors == []
    page.context.close()
    turns = [line.split("\n")[-1] for line in transcript if line.startswith("You")]
    said = [words for words in turns if words != NOTHING]
    assert len(turns) - len(said) <= 1, transcript
    assert said == [*(phrase.lower() for _, phrase in ORDER[:-1]), said[-1]], transcript
    assert said[-1].replace(" ", "") == "goodbye"
    assert any("your roses will be ready" in line for line in transcript)
    assert "OrderFlowers: Fulfilled" in understood
    for value in ("roses", "10:00"):
        assert value in understood
    assert "GoodbyeIntent: Fulfilled" in understood
    # Heard, not only told: frames that were played above the level that a caller can hear, 3 s of them at least.
    assert figures["audible"] > max(first, 150)
    assert figures["loudest"] > 0.03
    assert figures["got"] > 40 * 50
