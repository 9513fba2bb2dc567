"""lexbridge's own phrases in the bot's voice, requested by the real clients of both generations."""

from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from lexbridge.audio.pcm import MULAW_FRAME_BYTES
from lexbridge.bridge import phrase_audio
from lexbridge.bridge.phrase_audio import AGAIN_AFTER_S, PhraseCache
from lexbridge.lex.boto import make_lex_runtime
from lexbridge.offline.lex.faults import LexFault
from lexbridge.offline.lex.recognition import ScriptedRecogniser
from lexbridge.offline.lex.runtime import LocalLex
from lexbridge.phrases.catalogue import phrases_for
from tests.support.rehearsal import wait_until
from tests.support.rig import PATIENT, HummingVoice, flowers, settings, v2_bot

PHRASES = phrases_for("en_US")
BOTS = {"v1": {}, "v2": v2_bot(flowers())}


@pytest.fixture
def local() -> Iterator[LocalLex]:
    with LocalLex(bots=[flowers()], recogniser=ScriptedRecogniser([]), voice=HummingVoice()) as lex:
        yield lex


@pytest.fixture
def now_s(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the time of the phrases, which the test sets."""
    now_s = [1000.0]
    monkeypatch.setattr(phrase_audio, "time", SimpleNamespace(monotonic=lambda: now_s[0]))
    return now_s


def phrase_cache(local: LocalLex, monkeypatch: pytest.MonkeyPatch, generation: str) -> PhraseCache:
    monkeypatch.setenv("AWS_ENDPOINT_URL_LEX_RUNTIME_SERVICE", local.url)
    monkeypatch.setenv("AWS_ENDPOINT_URL_LEX_RUNTIME_V2", local.url)
    lex = make_lex_runtime(settings(REPLY_MODE="stream", **BOTS[generation]), PATIENT)
    return PhraseCache(lex, PHRASES, AGAIN_AFTER_S)


def lines(logged, event):
    return [line for line in logged() if line["event"] == event]


@pytest.mark.parametrize("generation", BOTS)
def test_lex_speaks_each_phrase_once_in_sessions_of_its_own(local, monkeypatch, generation):
    voice = phrase_cache(local, monkeypatch, generation)
    assert voice.audio == {}
    for _ in range(3):
        voice.learn()
    wait_until(lambda: len(voice.audio) == 7)
    voice.learn()
    assert not voice._is_learning
    assert [request.said for request in local.requests] == list(voice.audio)
    assert len({request.session_id for request in local.requests}) == 7
    spoken = voice.audio[PHRASES.one_moment]
    assert len(spoken) % MULAW_FRAME_BYTES == 0
    assert len(spoken) / 8 == pytest.approx(40 * len(PHRASES.one_moment), abs=20)
    assert PHRASES.busy not in voice.audio  # it is said before there is a stream


def test_lex_speaks_the_phrase_of_the_call_limit_too(local, monkeypatch):
    phrase_cache(local, monkeypatch, "v2")
    voice = PhraseCache(make_lex_runtime(settings(REPLY_MODE="stream", **BOTS["v2"]), PATIENT), PHRASES, has_limit=True)
    voice.learn()
    wait_until(lambda: len(voice.audio) == 8)
    assert "We have to end this call now. Goodbye." in voice.audio


def test_lex_speaks_the_phrase_of_a_transfer_that_came_back(local, monkeypatch):
    phrase_cache(local, monkeypatch, "v2")
    lex = make_lex_runtime(settings(REPLY_MODE="stream", **BOTS["v2"]), PATIENT)
    voice = PhraseCache(lex, PHRASES, has_transfers=True)
    voice.learn()
    wait_until(lambda: len(voice.audio) == 8)
    assert PHRASES.transfer_failed in voice.audio


@pytest.mark.parametrize("generation", BOTS)
def test_a_forbidden_bot_is_asked_later_for_the_rest(local, monkeypatch, generation, now_s, logged):
    """A bot whose PutSession is forbidden is asked again later, and only for the phrases that are missing."""
    voice = phrase_cache(local, monkeypatch, generation)
    local.faults.append(LexFault(status=403, operation="PutSession"))
    voice.learn()
    wait_until(lambda: lines(logged, "sentences-not-voiced"))
    voice.learn()
    assert not voice._is_learning  # not yet
    assert voice.audio == {}
    now_s[0] += AGAIN_AFTER_S
    wait_until(lambda: voice.learn() or len(voice.audio) == 7)
    (told,) = lines(logged, "sentences-not-voiced")
    assert told["check"] == "lex:PutSession"


@pytest.mark.parametrize("generation", BOTS)
@pytest.mark.parametrize(("audio", "why"), [(b"", "without audio"), (bytes(3200), "silence")], ids=["none", "silence"])
def test_a_phrase_without_sound_is_not_voiced(local, monkeypatch, generation, audio, why, now_s, logged):
    voice = phrase_cache(local, monkeypatch, generation)
    speak, mute = HummingVoice.speak, [PHRASES.say_it_again, PHRASES.goodbye]
    monkeypatch.setattr(HummingVoice, "speak", lambda self, text: audio if text in mute else speak(self, text))
    voice.learn()
    wait_until(lambda: len(voice.audio) == 5)
    wait_until(lambda: lines(logged, "sentences-not-voiced"))
    assert not {*mute} & {*voice.audio}
    voice.learn()
    assert not voice._is_learning  # not yet
    assert len(local.requests) == 7
    (told,) = lines(logged, "sentences-not-voiced")
    assert (told["level"], why in told["error"]) == ("warning", True)
    mute.clear()
    now_s[0] += AGAIN_AFTER_S
    wait_until(lambda: voice.learn() or len(voice.audio) == 7)
    assert len(local.requests) == 9
    assert len(lines(logged, "sentences-not-voiced")) == 1


def test_a_bug_in_learning_phrases_is_logged_once(logged):
    class Broken:
        def synthesize(self, text):
            raise ZeroDivisionError

    voice = PhraseCache(Broken(), PHRASES, 0)
    voice.learn()
    wait_until(lambda: lines(logged, "own-voice-broken"))
    voice.learn()
    assert not voice._is_learning
    assert len(lines(logged, "own-voice-broken")) == 1
