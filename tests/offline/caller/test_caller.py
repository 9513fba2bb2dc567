"""The simulated caller: the line's clock is driven by hand, 20 ms at a time."""

import math
import struct
import wave
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from lexbridge.audio.pcm import MULAW_FRAME_BYTES, decode_mulaw, frame_levels_dbfs, rms
from lexbridge.offline.caller.caller import SimulatedCaller
from lexbridge.offline.caller.happy_path import happy_path, main_intent
from lexbridge.offline.caller.script import Script, ScriptError, Turn, load_script, read_script
from lexbridge.offline.lex.bot_files import CHECK_BOOKING, ORDER_COFFEE, ORDER_FLOWERS, load_bot
from lexbridge.offline.lex.dialogue import Conversation, DialogState, take_turn
from lexbridge.offline.lex.voice import SilentVoice
from lexbridge.offline.twilio import events as happened
from lexbridge.offline.twilio.events import Event
from lexbridge.offline.twilio.telephone_audio import for_telephone, key_tone, line_noise

SCRIPTS = Path(__file__).parents[3] / "lexbridge" / "offline" / "scripts"


class PaddedVoice:
    """A hum of 100 ms a character, with 200 ms of silence around it."""

    rate_hz = 16000

    def speak(self, text: str) -> bytes:
        silence = bytes(2 * self.rate_hz // 5)
        hum = (round(9000 * math.sin(0.3 * n)) for n in range(len(text) * self.rate_hz // 10))
        return silence + b"".join(struct.pack("<h", sample) for sample in hum) + silence


class Phone:
    """The caller's phone: the line's time is the clock, and it keeps what the caller did."""

    def __init__(self, caller: SimulatedCaller) -> None:
        self.caller = caller
        self.events: list[Event] = []
        self.keys = ""
        self.hung_up_ms: int | None = None
        self.frames: list[bytes] = []
        caller.dials(self)

    def now_s(self) -> float:
        return len(self.frames) / 50

    def record(self, event: Event) -> None:
        self.events.append(event)

    def press(self, digit: str) -> None:
        self.keys += digit

    def hang_up(self) -> None:
        self.hung_up_ms = len(self.frames) * 20

    def passes(self, length_ms: int) -> None:
        """Time on the line."""
        for _ in range(length_ms // 20):
            self.frames.append(self.caller.next_frame())

    def says(self, text: str, length_ms: int = 1000) -> None:
        """The bot speaks."""
        self.caller.bot_began(text)
        self.passes(length_ms)
        self.caller.bot_finished(text)

    def said(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, happened.SpeechStarted)]


def phone_of(*turns: Turn, **script: float) -> Phone:
    return Phone(SimulatedCaller(PaddedVoice(), Script(turns=turns, **script)))  # type: ignore[arg-type]


def test_the_caller_waits_a_moment_past_the_prompts_end() -> None:
    phone = phone_of(Turn(say="roses", pause_s=0.6))
    phone.says("What kind of flowers?", 3000)
    phone.passes(580)
    assert phone.said() == []
    phone.passes(40)
    assert phone.said() == ["roses"]


def test_speech_starts_and_ends_at_its_voiced_frames() -> None:
    phone = phone_of(Turn(say="roses", pause_s=0.0))
    phone.says("Yes?")
    phone.passes(2000)
    started, ended = phone.events
    assert isinstance(started, happened.SpeechStarted)
    assert isinstance(ended, happened.SpeechEnded)
    # Five characters are 500 ms of hum; the voice's own silence around it is cut off.
    assert ended.at_s - started.at_s == pytest.approx(0.48, abs=0.021)
    levels_dbfs = frame_levels_dbfs(decode_mulaw(b"".join(phone.frames)))
    loud = [place for place, level in enumerate(levels_dbfs) if level > -40]
    assert started.at_s == pytest.approx(loud[0] / 50, abs=0.021)
    assert levels_dbfs[loud[0] + 5] == pytest.approx(-20, abs=1)


def test_the_same_quiet_noise_is_between_phrases() -> None:
    phone, again = phone_of(Turn(say="roses")), phone_of(Turn(say="roses"))
    phone.passes(1000)
    again.passes(1000)
    assert phone.frames == again.frames
    noise = decode_mulaw(b"".join(phone.frames))
    assert 0 < rms(noise) <= 12
    assert {len(frame) for frame in phone.frames} == {MULAW_FRAME_BYTES}


def test_the_script_is_followed_to_its_end() -> None:
    phone = phone_of(Turn(say="roses", expect="KIND of"), Turn(press="12#"), Turn(silent_s=2.0), Turn(hang_up=True))
    phone.says("What kind of flowers?")
    phone.passes(2000)
    phone.says("And how many?")
    phone.passes(2000)
    assert phone.keys == "12#"
    assert phone.hung_up_ms is None
    phone.says("Hello?")
    phone.passes(1500)
    phone.says("Are you there?")
    phone.passes(1000)
    assert phone.said() == ["roses"]
    assert phone.hung_up_ms is not None
    assert phone.caller.troubles == []


def test_an_unexpected_prompt_is_answered_again_and_given_up() -> None:
    phone = phone_of(Turn(say="roses"), Turn(say="tomorrow", expect="what day"), repeats=2)
    phone.says("What kind of flowers?")
    for _ in range(3):
        phone.passes(1000)
        assert phone.hung_up_ms is None
        phone.says("Sorry?")
        phone.passes(3000)
    assert phone.said() == ["roses"] * 3
    assert phone.hung_up_ms is not None
    assert phone.caller.troubles == [
        "expected 'what day', heard 'Sorry?'; said 'roses' again",
        "expected 'what day', heard 'Sorry?'; said 'roses' again",
        "expected 'what day', heard 'Sorry?'; hung up",
    ]


def test_a_prompt_in_two_parts_is_waited_for() -> None:
    phone = phone_of(Turn(say="roses"), Turn(say="tomorrow", expect="what day"))
    phone.says("What kind of flowers?")
    phone.passes(1500)
    phone.says("Roses.")
    phone.passes(1500)
    phone.says("What day?")
    phone.passes(1000)
    assert phone.said() == ["roses", "tomorrow"]
    assert phone.caller.heard == ["What kind of flowers?", "Roses.", "What day?"]


def test_sound_without_words_is_taken_for_the_expected_prompt() -> None:
    phone = phone_of(Turn(say="roses", expect="kind"))
    phone.says("")
    phone.passes(1000)
    assert phone.said() == ["roses"]


def test_the_caller_may_interrupt() -> None:
    phone = phone_of(Turn(say="stop", interrupt_after_s=1.0))
    phone.caller.bot_began("This will take a long time")
    phone.passes(960)
    assert phone.said() == []
    phone.passes(100)
    assert phone.said() == ["stop"]


def test_what_was_interrupted_is_not_taken_for_the_answer() -> None:
    phone = phone_of(Turn(press="5", interrupt_after_s=0.5), Turn(say="roses"))
    phone.caller.bot_began("This will take a long time")
    phone.passes(1000)
    assert phone.keys == "5"
    phone.caller.bot_finished("This will take a long time")  # cut off by the bridge, a moment after the key
    phone.passes(3000)
    assert phone.said() == []
    phone.says("What kind of flowers?")
    phone.passes(1000)
    assert phone.said() == ["roses"]


def test_a_cough_is_loud_noise_and_not_the_callers_turn() -> None:
    phone = phone_of(Turn(cough=True, interrupt_after_s=0.5), Turn(say="roses", expect="what kind"))
    phone.caller.bot_began("What kind of flowers?")
    phone.passes(1500)
    phone.caller.bot_finished("What kind of flowers?")
    (coughed,) = phone.events
    assert isinstance(coughed, happened.Coughed)
    levels_dbfs = frame_levels_dbfs(decode_mulaw(b"".join(phone.frames)))
    loud = [place for place, level in enumerate(levels_dbfs) if level > -40]
    assert loud == list(range(loud[0], loud[0] + 8))  # 150 ms, the last frame half filled
    assert loud[0] / 50 == pytest.approx(coughed.at_s, abs=0.021)
    assert loud[0] / 50 == pytest.approx(0.5, abs=0.041)
    assert levels_dbfs[loud[:7]] == pytest.approx([-20] * 7, abs=1.5)
    phone.passes(1000)
    assert phone.said() == ["roses"]


def test_a_cough_may_be_told_by_a_test() -> None:
    caller = SimulatedCaller(PaddedVoice())
    phone = Phone(caller)
    caller.cough()
    assert caller.is_speaking
    phone.passes(1000)
    assert not caller.is_speaking
    assert [type(event) for event in phone.events] == [happened.Coughed]


def test_a_bot_that_does_not_greet_is_spoken_to() -> None:
    phone = phone_of(Turn(say="hello"))
    phone.passes(5000)
    assert phone.said() == ["hello"]


def test_patience_has_an_end() -> None:
    phone = phone_of(Turn(say="roses"), patience_s=10)
    phone.says("Yes?")
    phone.passes(1200)
    phone.passes(9000)
    assert phone.hung_up_ms is None
    phone.passes(3000)
    assert phone.hung_up_ms is not None
    assert phone.caller.troubles == ["waited 10 s for the bot to hang up; hung up"]


def test_a_caller_without_a_script_says_what_a_test_tells_it_to() -> None:
    caller = SimulatedCaller(PaddedVoice())
    phone = Phone(caller)
    recording = key_tone("5", length_ms=400)
    caller.play(recording, "a key")
    caller.say("hello")
    assert caller.is_speaking
    phone.passes(60_000)
    assert not caller.is_speaking
    assert phone.said() == ["a key", "hello"]
    assert b"".join(phone.frames).startswith(recording)
    assert phone.hung_up_ms is None


def test_a_wav_is_said_at_its_own_level(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "hum.wav"), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(16000)
        sound.writeframes(PaddedVoice().speak("roses"))
    script = read_script({"turns": [{"wav": "hum.wav"}]}, "script", tmp_path)
    phone = Phone(SimulatedCaller(SilentVoice(), script))
    phone.says("Yes?")
    phone.passes(3000)
    started, ended = phone.events
    assert ended.at_s - started.at_s == pytest.approx(0.5, abs=0.05)
    loudest = max(rms(decode_mulaw(frame)) for frame in phone.frames)
    assert loudest == pytest.approx(9000 / math.sqrt(2), rel=0.05)


# Scripts


@pytest.mark.parametrize("path", sorted(SCRIPTS.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_scripts_that_come_with_lexbridge_are_right(path: Path) -> None:
    assert load_script(path).turns


def test_every_problem_of_a_script_is_told_at_once() -> None:
    content = {
        "nme": "Flora",
        "patience_s": 0,
        "turns": [
            {"say": True},
            {"say": "roses", "wav": "roses.wav"},
            {"expect": "what"},
            "hello",
            {"press": "12x"},
            {"hang_up": False},
            {"say": "yes", "pause_s": -1},
            {"cough": "loud"},
        ],
    }
    with pytest.raises(ScriptError) as raised:
        read_script(content, "flora.yaml", Path("/nowhere"))
    told = str(raised.value)
    assert told.startswith("flora.yaml: ")
    for problem in (
        "nme: there is no such field",
        "patience_s: 0 is not a number of seconds from 1 to 600",
        "turn 1: say: True is not a text (YAML reads a bare yes",
        "turn 2: exactly one of say, wav, cough, press, silent_s, hang_up is needed; there is say and wav",
        "turn 2: wav: ",
        "turn 3: exactly one of say, wav, cough, press, silent_s, hang_up is needed; there is none",
        "turn 4: is no mapping",
        "turn 5: press: '12x' is not keys",
        "turn 6: hang_up: False is not true",
        "turn 7: pause_s: -1 is not",
        "turn 8: cough: 'loud' is not true",
    ):
        assert problem in told
    assert len(raised.value.problems) == 11


@pytest.mark.parametrize(
    ("text", "problem"),
    [("turns: [", "not YAML"), ("- say: hi", "no mapping"), ("turns: []", "at least one turn"), ("", "no mapping")],
)
def test_what_is_no_script(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "script.yaml"
    path.write_text(text)
    with pytest.raises(ScriptError, match=problem):
        load_script(path)


def test_a_script_that_is_not_there() -> None:
    with pytest.raises(ScriptError, match="cannot be read"):
        load_script(Path("/nowhere/script.yaml"))


def test_a_wav_has_to_be_mono(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "stereo.wav"), "wb") as sound:
        sound.setnchannels(2)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(400))
    (tmp_path / "page.wav").write_text("<html>")
    with pytest.raises(ScriptError) as raised:
        read_script({"turns": [{"wav": "stereo.wav"}, {"wav": "page.wav"}]}, "script", tmp_path)
    assert "not mono" in raised.value.problems[0]
    assert "no wav file" in raised.value.problems[1]


# A bot's happy path


@pytest.mark.parametrize("path", [ORDER_FLOWERS, ORDER_COFFEE, CHECK_BOOKING], ids=lambda path: path.stem)
def test_the_happy_path_of_a_bot_fulfils_it_and_says_goodbye(path: Path) -> None:
    bot = load_bot(path)
    conversation, states = Conversation(), []
    prompt = ""
    for turn in happy_path(bot).turns:
        assert turn.expect in prompt
        taken = take_turn(bot, conversation, turn.say, date(2026, 11, 22))
        conversation, prompt = taken.conversation, " ".join(message.text for message in taken.messages)
        states.append((conversation.intent, conversation.state))
    assert (main_intent(bot).name, DialogState.FULFILLED) in states
    assert states[-1] == ("GoodbyeIntent", DialogState.FULFILLED)


def test_a_bot_without_goodbye_is_hung_up_on() -> None:
    bot = load_bot(ORDER_FLOWERS)
    mute = replace(bot, intents=tuple(intent for intent in bot.intents if intent.name != "GoodbyeIntent"))
    assert happy_path(mute).turns[-1] == Turn(hang_up=True)


def test_bots_that_say_too_little_about_themselves() -> None:
    bot = load_bot(ORDER_FLOWERS)
    order = main_intent(bot)
    strange = replace(order, slots=(replace(order.slots[0], type="AMAZON.Movie"),))
    wordless = replace(order, utterances=("I want {FlowerType}",))
    for intents, problem in (((strange,), "AMAZON.Movie"), ((wordless,), "without a slot"), ((), "no intent")):
        with pytest.raises(ValueError, match=problem):
            happy_path(replace(bot, intents=intents))


# The telephone


def test_a_telephone_voice_has_one_level_and_no_silent_ends() -> None:
    for loudness in (0.05, 1.0):
        spoken = PaddedVoice().speak("hello")
        samples = (sample * loudness for (sample,) in struct.iter_unpack("<h", spoken))
        quiet = b"".join(struct.pack("<h", round(sample)) for sample in samples)
        mulaw = for_telephone(quiet, PaddedVoice.rate_hz)
        assert len(mulaw) % MULAW_FRAME_BYTES == 0
        assert len(mulaw) / 8 == pytest.approx(500, abs=40)
        assert frame_levels_dbfs(decode_mulaw(mulaw))[5:15] == pytest.approx([-20] * 10, abs=0.5)


def test_silence_through_the_telephone_keeps_its_length() -> None:
    assert len(for_telephone(bytes(2 * 16000), 16000)) == 8000
    assert for_telephone(b"", 16000) == b""


def test_noise_stays_within_its_peak_but_for_a_step_of_mu_law() -> None:
    noise = decode_mulaw(line_noise(1000, peak=12, seed=1))
    assert max(abs(sample) for (sample,) in struct.iter_unpack("<h", noise)) <= 16
    assert line_noise(100, 12, seed=1) != line_noise(100, 12, seed=2)
