"""Recognition: the real engine on the real voice over a mu-law line, and what needs neither."""

import random
import struct
from collections.abc import Iterator

import gevent
import pytest

from lexbridge.audio.pcm import RATE_HZ, decode_mulaw, encode_mulaw
from lexbridge.audio.resampler import resample
from lexbridge.offline.lex.bot_files import ORDER_COFFEE, ORDER_FLOWERS, load_bot
from lexbridge.offline.lex.bots import Bot, Intent, Prompt, Slot, SlotType, SlotValue
from lexbridge.offline.lex.dialogue import Conversation, DialogState
from lexbridge.offline.lex.grammar import grammar_for
from lexbridge.offline.lex.recognition import GrammarRecogniser, ScriptedRecogniser, pronunciation, trim
from lexbridge.offline.lex.side_process import SideProcessError
from lexbridge.offline.lex.voice import HibariVoice, SilentVoice, spoken_form

FLOWERS, COFFEE = load_bot(ORDER_FLOWERS), load_bot(ORDER_COFFEE)
OPENING = Conversation()


def asking(intent: str, slot: str) -> Conversation:
    return Conversation(state=DialogState.ELICIT_SLOT, intent=intent, slot_to_elicit=slot)


def confirming(intent: str) -> Conversation:
    return Conversation(state=DialogState.CONFIRM_INTENT, intent=intent)


@pytest.fixture(scope="module")
def voice() -> Iterator[HibariVoice]:
    with HibariVoice() as made:
        yield made


@pytest.fixture(scope="module")
def recogniser() -> Iterator[GrammarRecogniser]:
    with GrammarRecogniser() as made:
        yield made


def on_the_line(voice: HibariVoice, text: str, noise: float = 10.0) -> bytes:
    """`text` as the service gets it: half a second of line before, 700 ms after, mu-law, a little hiss."""
    chance = random.Random(text)
    pcm = bytes(8000) + resample(voice.speak(text), voice.rate_hz, RATE_HZ) + bytes(11200)
    samples = struct.unpack(f"<{len(pcm) // 2}h", pcm)
    noisy = [max(-32768, min(32767, round(sample + chance.gauss(0, noise)))) for sample in samples]
    return decode_mulaw(encode_mulaw(struct.pack(f"<{len(noisy)}h", *noisy)))


PHRASES = [
    (FLOWERS, OPENING, "I would like to order some flowers."),
    (FLOWERS, OPENING, "I would like to order some tulips for tomorrow."),
    (FLOWERS, OPENING, "No thank you goodbye."),
    (FLOWERS, asking("OrderFlowers", "FlowerType"), "Roses."),
    (FLOWERS, asking("OrderFlowers", "FlowerType"), "Help me please."),
    (FLOWERS, asking("OrderFlowers", "PickupDate"), "Tomorrow."),
    (FLOWERS, asking("OrderFlowers", "PickupDate"), "Next Friday."),
    (FLOWERS, asking("OrderFlowers", "PickupTime"), "At half past ten."),
    (FLOWERS, asking("OrderFlowers", "PickupTime"), "Ten thirty a m."),
    (FLOWERS, confirming("OrderFlowers"), "Yes please."),
    (COFFEE, OPENING, "I would like to order some coffee."),
    (COFFEE, OPENING, "I would like two large cappuccinos."),
    (COFFEE, asking("OrderCoffee", "CoffeeKind"), "Espresso."),
    (COFFEE, asking("OrderCoffee", "CupSize"), "Large."),
    (COFFEE, asking("OrderCoffee", "Count"), "Two."),
    (COFFEE, confirming("OrderCoffee"), "That is right."),
]


@pytest.mark.parametrize(("bot", "conversation", "said"), PHRASES, ids=[said for _, _, said in PHRASES])
def test_the_bots_own_phrases_are_recognised(
    bot: Bot, conversation: Conversation, said: str, voice: HibariVoice, recogniser: GrammarRecogniser
) -> None:
    heard = recogniser.recognise(on_the_line(voice, said), grammar_for(bot, conversation))
    assert heard == said.lower().rstrip(".")


def test_a_grammar_with_words_the_engine_does_not_know(voice: HibariVoice, recogniser: GrammarRecogniser) -> None:
    drinks = SlotType("Drinks", (SlotValue("Zorbolo"), SlotValue("cold brews"), SlotValue("7up")), resolves=True)
    slot = Slot("Drink", "Drinks", required=True, prompt=Prompt((), 1))
    bot = Bot("B", (Intent("Order", ("order {Drink}",), (slot,)),), {"Drinks": drinks})
    heard = recogniser.recognise(on_the_line(voice, "Order cold brews."), grammar_for(bot, OPENING))
    assert heard == "order cold brews"


@pytest.mark.parametrize("said", ["My dog is called Rex.", "The train was late this morning.", "Let me think."])
def test_what_is_in_no_phrase_of_the_bot_is_nothing(
    said: str, voice: HibariVoice, recogniser: GrammarRecogniser
) -> None:
    assert recogniser.recognise(on_the_line(voice, said), grammar_for(FLOWERS, OPENING)) == ""


def test_silence_is_nothing(recogniser: GrammarRecogniser) -> None:
    assert recogniser.recognise(bytes(16000), grammar_for(FLOWERS, OPENING)) == ""
    assert recogniser.recognise(b"", grammar_for(FLOWERS, OPENING)) == ""


def test_nothing_else_waits_while_it_thinks(voice: HibariVoice, recogniser: GrammarRecogniser) -> None:
    """The event loop turns while the engines work: neither runs in this process."""
    pcm = on_the_line(voice, "I would like to order some flowers.")
    turns = 0

    def count() -> None:
        nonlocal turns
        while True:
            gevent.sleep(0.001)
            turns += 1

    counting = gevent.spawn(count)
    heard = [gevent.spawn(recogniser.recognise, pcm, grammar_for(FLOWERS, OPENING)) for _ in range(3)]
    said = gevent.spawn(voice.speak, "This is a sentence that nobody has said before, and it takes a while to say it.")
    gevent.joinall([*heard, said], timeout=300)
    counting.kill()
    assert {greenlet.value for greenlet in heard} == {"i would like to order some flowers"}
    assert len(said.value) > 48000
    assert turns > 20


def test_a_grammar_that_is_none_is_an_error_and_the_next_is_not(
    voice: HibariVoice, recogniser: GrammarRecogniser
) -> None:
    pcm = on_the_line(voice, "Yes.")
    with pytest.raises(SideProcessError):
        recogniser.recognise(pcm, "#JSGF V1.0;\ngrammar g;\npublic <s> = (")
    assert recogniser.recognise(pcm, grammar_for(FLOWERS, confirming("OrderFlowers"))) == "yes"


def test_an_engine_that_was_lost_is_started_again(voice: HibariVoice) -> None:
    with GrammarRecogniser() as lost:
        pcm, grammar = on_the_line(voice, "Yes."), grammar_for(FLOWERS, confirming("OrderFlowers"))
        assert lost.recognise(pcm, grammar) == "yes"
        with gevent.Timeout(0, False):
            lost.recognise(pcm, grammar)
        assert lost.recognise(pcm, grammar) == "yes"
    with pytest.raises(SideProcessError, match="closed"):
        lost.recognise(pcm, grammar)


# --- without the engines ---


def tone(ms: int, level: int = 4000) -> bytes:
    return struct.pack("<h", level) * (8 * ms)


@pytest.mark.parametrize(
    ("pcm", "ms"),
    [
        (bytes(16 * 500) + tone(300) + bytes(16 * 700), 500),
        (tone(300), 500),
        (bytes(16 * 20) + tone(200) + bytes(16 * 90) + tone(200), 690),
    ],
)
def test_speech_keeps_100_ms_of_line_on_each_side(pcm: bytes, ms: int) -> None:
    assert len(trim(pcm)) == 16 * ms


@pytest.mark.parametrize("pcm", [b"", b"\1\0" * 5, bytes(16000), tone(500, 20), bytes(1600) + tone(10) + bytes(1600)])
def test_there_is_nothing_to_keep_of_a_quiet_line(pcm: bytes) -> None:
    assert trim(pcm) == b""


@pytest.mark.parametrize(
    ("word", "phones"),
    [
        ("cappuccinos", "K AE P UW CH IY N OW Z"),
        ("shake's", "SH EY K S"),
        ("quips", "K W IH P S"),
        ("zorbolo", "Z AO R B AA L AA"),
        ("blenne", "B L EH N"),
        ("flape", "F L AE P"),
        ("'", "AH"),
    ],
)
def test_a_guess_at_an_unknown_words_sound(word: str, phones: str) -> None:
    known = {"cappuccino": "K AE P UW CH IY N OW", "shake": "SH EY K", "quip": "K W IH P"}
    assert pronunciation(word, known.get) == phones


def test_the_scripted_double() -> None:
    double = ScriptedRecogniser(["one", "two"])
    assert [double.recognise(b"x", "g") for _ in range(3)] == ["one", "two", ""]
    assert double.heard == [(b"x", "g")] * 3


def test_the_silent_double() -> None:
    assert SilentVoice().speak("") == b""
    assert len(SilentVoice().speak("Hello.")) == 2 * 6 * 60 * 16


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("ready at 17:00 on 2026-12-05.", "ready at five p m on December fifth."),
        ("at 09:05 or 12:30", "at nine oh five a m or twelve thirty p m"),
        ("at 00:00", "at midnight"),
        ("at 12:00", "at noon"),
        ("on 2026-11-22", "on November twenty second"),
        ("on 2026-13-22", "on 2026-13-22"),
        ("<speak>Hello <break time='1s'/>you &amp; me</speak>", "Hello you & me"),
        ("2 of them", "2 of them"),
        ("booking 428053 of 1999", "booking four two eight zero five three of 1999"),
    ],
)
def test_what_the_voice_is_given_to_say(text: str, spoken: str) -> None:
    assert spoken_form(text) == spoken
