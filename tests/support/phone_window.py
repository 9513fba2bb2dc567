"""Steps of the tests that use the phone's page in a browser."""

from typing import Any

from tests.support.browser import Microphone

NOTHING = "(nothing that Lex understood)"
"""Words of the transcript for a turn without words."""


def call(page: Any) -> None:
    """Press Call, and wait until somebody answers and listens."""
    page.click("#call:enabled")
    wait_for(page, "#state", "On the phone")
    wait_for(page, "#event-list", "media stream open")


def wait_for(page: Any, selector: str, text: str) -> None:
    """Wait until an element has a text in it."""
    page.locator(selector).get_by_text(text).first.wait_for()


def choose(page: Any, selector: str, value: str) -> None:
    """Choose an option, and wait until the bridge has it."""
    if page.input_value(selector) != value:
        page.select_option(selector, value)
        page.wait_for_selector("#call:disabled")
    page.wait_for_selector("#call:enabled")


def say(page: Any, text: str) -> None:
    """Type a phrase, which the simulated caller's voice says."""
    page.fill("#words", text)
    page.press("#words", "Enter")


def answer(page: Any, microphone: Microphone, question: str, phrase: str) -> None:
    """Wait until the bot has said something with `question` in it, then say a phrase. Say it again if nothing is heard.

    A person does that too, and Chromium on a busy machine does lose a word.
    """
    wait_for(page, "#transcript", question)
    bot, caller = page.locator("#transcript .bot"), page.locator("#transcript .caller")
    prompts, turns = bot.count(), caller.count()
    speak(page, microphone, phrase)
    caller.nth(turns).wait_for()
    if NOTHING in caller.nth(turns).inner_text():
        bot.nth(prompts).wait_for()
        speak(page, microphone, phrase)
        caller.nth(turns + 1).wait_for()


def speak(page: Any, microphone: Microphone, phrase: str) -> None:
    """Say a phrase into the microphone once the bot is silent."""
    page.wait_for_selector("#state:not(:text('the bot speaks'))")
    chosen = page.input_value("#source")
    microphone.says(phrase)
    page.select_option("#source", "typed")  # the microphone is closed, and opened again
    page.select_option("#source", chosen)


def hang_up(page: Any) -> None:
    """Hang up, and wait for the end of the call."""
    page.click("#hang-up:enabled")
    wait_for(page, "#state", "The call is over: you hung up")
