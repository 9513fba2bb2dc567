"""The phone in a browser: keys, two callers, sound files, faults, and a server that comes back."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lexbridge.audio.pcm import decode_mulaw, encode_mulaw
from tests.support.browser import DESKTOP, PHONE, Microphone, open_browser, open_page, take_screenshot
from tests.support.commands import DEADLINE_S
from tests.support.phone_process import RunningPhone, running_phone
from tests.support.phone_window import call, choose, hang_up, say, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(3 * DEADLINE_S)]

LOOKS: tuple[tuple[str, Any, Any], ...] = (
    ("light", DESKTOP, "light"),
    ("dark", DESKTOP, "dark"),
    ("narrow", PHONE, "light"),
    ("narrow-dark", PHONE, "dark"),
)
"""The windows in which the pages are looked at: their names, sizes and colours."""


@pytest.fixture(scope="module")
def phone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPhone]:
    with running_phone(tmp_path_factory.mktemp("phone")) as running:
        yield running


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A Chromium for all tests, because its start takes more of a processor than most of them."""
    with open_browser() as started:
        yield started


@pytest.fixture
def browser(chromium: Any) -> Iterator[Any]:
    """The Chromium, whose pages are closed after the test: a page that is open costs as much as one that is used."""
    yield chromium
    for context in chromium.contexts:
        context.close()


def test_keys_a_number(phone: RunningPhone, browser: Any) -> None:
    """A caller without a microphone types words, and keys the booking's number in, by a button and on the keyboard."""
    page = open_page(browser, phone.address)
    choose(page, "#mode", "stream")
    choose(page, "#bot", "CheckBooking")
    call(page)
    wait_for(page, "#transcript", "booking")
    assert "There is no microphone" in page.inner_text("#problems")
    assert page.locator("#source option:checked").inner_text() == "What I type"
    assert page.locator("#problems p").bounding_box()["height"] < 40  # one line
    page.click("#problems button")
    page.fill("#words", "check a booking")
    page.click("#say-it")
    wait_for(page, "#intents", "CheckBooking")
    page.click("#keypad button:text-is('4')")
    page.locator("body").press("2")
    for key in "8153#":
        page.keyboard.press(key)
    wait_for(page, "#transcript", "428153")
    take_screenshot(page, "phone-keys")
    hang_up(page)
    assert page.locator("#event-list").get_by_text("presses").all_inner_texts() == [
        f"presses {key}" for key in "428153#"
    ]
    assert page.errors == []


def test_two_callers_at_once(phone: RunningPhone, browser: Any) -> None:
    pages = [open_page(browser, phone.address) for _ in range(2)]
    choose(pages[0], "#bot", "OrderFlowers")
    choose(pages[0], "#mode", "call-update")
    for page in pages:
        call(page)
    for page, flower in zip(pages, ("roses", "lilies"), strict=True):
        say(page, "I would like to order flowers")
        wait_for(page, "#transcript", "type of flowers")
        say(page, flower)
    for page, flower in zip(pages, ("roses", "lilies"), strict=True):
        wait_for(page, "#intents", flower)
        hang_up(page)
        assert page.evaluate("lexbridgePhone.audible") > 20
        assert page.errors == []
    assert "lilies" not in pages[0].inner_text("#conversation")


def test_a_sound_file_instead_of_a_microphone(phone: RunningPhone, browser: Any, tmp_path: Path) -> None:
    """A WAV file that is dropped on the page speaks for the caller, once somebody has answered."""
    with Microphone(tmp_path) as recording:
        recording.says("I would like to order flowers", after_s=7)
        page = open_page(browser, f"{phone.address}?rate=48000")
        choose(page, "#bot", "OrderFlowers")
        page.set_input_files("#file", recording.path)
        page.locator("#source option", has_text=recording.path.name).wait_for(state="attached")
        assert page.input_value("#source") == "file"
        call(page)
        wait_for(page, "#transcript", "i would like to order flowers")
        page.check("#echo")
        page.select_option("#quality", "noise-10")
        page.hover("#cough")
        page.mouse.down()
        wait_for(page, "#event-list", "(coughs)")
        page.mouse.up()
        hang_up(page)
        assert page.errors == []


def test_a_server_that_dies_and_comes_back(browser: Any, tmp_path: Path) -> None:
    phone = RunningPhone(tmp_path, "--bot", "coffee")
    phone.start()
    page = open_page(browser, phone.address)
    call(page)
    log = phone.bridge_log()
    assert phone.stop() == 0
    assert not log.exists()  # it cleans up after itself
    wait_for(page, "#problems", "The phone's server does not answer")
    wait_for(page, "#state", "No connection")
    assert page.is_disabled("#call")
    take_screenshot(page, "phone-server-gone")
    phone.start()
    try:
        page.wait_for_selector("#problems:empty", state="attached")
        call(page)
        hang_up(page)
    finally:
        phone.stop()


def test_the_page_looks_right_when_nobody_has_called(phone: RunningPhone, browser: Any) -> None:
    """The empty page says how to begin, in light, in dark, and on a telephone's width, where nothing sticks out."""
    for name, size, scheme in LOOKS:
        page = open_page(browser, phone.address, size, scheme)
        page.wait_for_selector("#call:enabled")
        page.wait_for_selector("#console:visible")
        assert "Press Call, then say" in page.inner_text("#suggestions")
        assert page.locator("#examples button").count() >= 3
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.keyboard.press("Tab")  # the keyboard reaches the call first
        focused = page.evaluate("document.activeElement.id")
        assert focused in ("call", "console")
        take_screenshot(page, f"phone-empty-{name}")
        assert page.errors == []


def test_faults_are_switched_on_the_page(phone: RunningPhone, browser: Any) -> None:
    page = open_page(browser, phone.address)
    choose(page, "#bot", "OrderFlowers")
    choose(page, "#mode", "call-update")
    assert "the console forgets its calls" in page.inner_text("#why-fixed")
    page.click("#faults summary")
    page.get_by_label("it answers 429 to each call update").check()
    assert page.is_disabled("#faults button:text('worker')")
    assert "wait until one is on" in page.inner_text("#no-call")
    wait_for(page, "#console", "Open the console")
    call(page)
    wait_for(page, "#console", "This call in the console")
    assert page.inner_text("#no-call") == ""
    say(page, "I would like to order flowers")
    wait_for(page, "#event-list", "update refused: 429 (fault on demand)")
    page.get_by_label("it answers 429 to each call update").uncheck()
    wait_for(page, "#event-list", "switched off: Twilio's REST API throttles")
    page.click("#faults button:text('worker')")
    wait_for(page, "#event-list", "media stream lost")
    page.locator("#event-list").get_by_text("media stream open").nth(1).wait_for()  # another worker listens
    take_screenshot(page, "phone-faults")
    say(page, "I would like to order flowers")
    wait_for(page, "#transcript", "type of flowers")
    hang_up(page)
    wait_for(page, "#console", "Open the console")


def test_a_turn_that_lex_failed_is_one_bubble(phone: RunningPhone, browser: Any) -> None:
    """Of a request that Lex refuses the page shows what was typed; the second request's bubble takes its place."""
    page = open_page(browser, phone.address, PHONE)
    page.evaluate(
        """async () => { const {showSaid} = await import("/page.js");
        const said = {who: "caller", text: "", keys: false, spoken: "Roses, please", slots: {}};
        showSaid({...said, status: 500, after: null});
        window.first = document.querySelector("#transcript").innerText;
        showSaid({...said, text: "roses", status: 200, after: 500}); }"""
    )
    assert page.evaluate("first").split("\n") == ["You; Lex answered 500", "Roses, please"]
    assert page.inner_text("#transcript").split("\n") == [
        "You, as Lex heard it; Lex answered 500, asked again",
        "roses",
    ]
    keypad, conversation = (page.locator(name).bounding_box()["y"] for name in ("#keypad", "#conversation"))
    assert keypad < conversation
    assert page.errors == []


def test_the_pages_arithmetic_is_that_of_the_bridge(phone: RunningPhone, browser: Any) -> None:
    """Mu-law in JavaScript is audioop's, code by code, and the resampler keeps speech and stops aliases."""
    page = open_page(browser, phone.address)
    decoded = page.evaluate(
        "async () => { const {decode} = await import('/mulaw.js');"
        " return Array.from({length: 256}, (_, code) => decode(code) * 32768); }"
    )
    assert decoded == list(struct.unpack("<256h", decode_mulaw(bytes(range(256)))))
    samples = range(-32768, 32768, 7)
    encoded = page.evaluate(
        "async (samples) => { const {encode} = await import('/mulaw.js');"
        " return samples.map((sample) => encode(sample / 32768)); }",
        [*samples],
    )
    expected = encode_mulaw(struct.pack(f"<{len(samples)}h", *samples))
    assert sum(one != other for one, other in zip(encoded, expected, strict=True)) < len(samples) // 100
    heard = page.evaluate(
        """async () => {
          const {Resampler} = await import("/resampler.js");
          const level = (fromHz, toHz, hz) => {
            const resampler = new Resampler(fromHz, toHz);
            const tone = Float32Array.from({length: fromHz}, (_, k) => Math.sin(2 * Math.PI * hz * k / fromHz));
            const out = [];
            for (let at = 0; at < tone.length; at += 128) out.push(...resampler.push(tone.slice(at, at + 128)));
            const inner = out.slice(1000, -1000);
            return [out.length, Math.sqrt(2 * inner.reduce((sum, x) => sum + x * x, 0) / inner.length)];
          };
          return [[48000, 8000, 1000], [44100, 8000, 3000], [48000, 8000, 5000], [8000, 44100, 1000]]
            .map((each) => level(...each));
        }"""
    )
    for (length, loudness), (rate, wanted) in zip(heard, [(8000, 1), (8000, 1), (8000, 0), (44100, 1)], strict=True):
        assert length == pytest.approx(rate, abs=rate // 100)
        assert loudness == pytest.approx(wanted, abs=0.02)
