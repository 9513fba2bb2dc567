"""A call as a wav, and as one file that is opened again."""

import base64
import io
import json
import struct
import wave
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexbridge.audio.pcm import decode_mulaw
from lexbridge.observer.calls.call_file import CallFileRefused, read_call, write_call
from lexbridge.observer.calls.call_record import CallRecord
from lexbridge.observer.calls.call_wav import plan_wav, read_mulaw_wav, wav_slices
from tests.support.told_facts import BEGAN_S, FRAME, LOUD_FRAME, ToldCall


def told_call() -> CallRecord:
    call = ToldCall().begin("stream")
    call.at = 1
    call.audio(LOUD_FRAME * 50, media_ms=1000)
    call.at = 3
    call.audio(LOUD_FRAME * 25, "bot")
    call.turn(1, session_attributes={"name": "Ann"})
    call.tell("key-pressed", "debug", {"key": "7"})
    call.end("bot")
    record = call.book.find("CA1")
    assert record is not None
    return record


def written(record: CallRecord, *, words: bool = True) -> bytes:
    return write_call(record, BEGAN_S + 60, words=words, give_way=lambda: None)


def shown(record: CallRecord) -> dict[str, Any]:
    view: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(record.view(BEGAN_S + 60)))
    return view


def test_a_wav_has_the_caller_left_and_the_bot_right() -> None:
    record = told_call()
    plan = plan_wav(record)
    assert plan is not None
    content = b"".join(wav_slices(record, plan))
    assert plan.size_bytes(is_mulaw=False) == len(content)
    with wave.open(io.BytesIO(content)) as wav:
        assert (wav.getnchannels(), wav.getsampwidth(), wav.getframerate(), wav.getnframes()) == (2, 2, 8000, 20_000)
        frames = wav.readframes(20_000)
    loud, silent = decode_mulaw(LOUD_FRAME), decode_mulaw(FRAME)
    left, right = ([frames[at : at + 2] for at in range(first, len(frames), 4)] for first in (0, 2))
    assert b"".join(left) == loud * 50 + silent * 75
    assert b"".join(right) == silent * 100 + loud * 25


def test_a_long_wav_is_put_together_in_slices() -> None:
    call = ToldCall().begin()
    call.audio(FRAME * 1100, media_ms=0)
    record = call.book.find("CA1")
    assert record is not None
    plan = plan_wav(record)
    assert plan is not None
    assert [len(part) for part in wav_slices(record, plan)] == [44, 320_000, 320_000, 64_000]
    assert plan_wav(record, 5000).length_ms == 5000  # type: ignore[union-attr]


def test_a_wav_of_another_program_is_read_if_it_is_as_ours() -> None:
    def part(name: bytes, inside: bytes) -> bytes:
        return name + struct.pack("<I", len(inside)) + inside + b"\0" * (len(inside) % 2)

    def wav(code: int, *parts: bytes) -> bytes:
        told = part(b"fmt ", struct.pack("<HHIIHH", code, 2, 8000, 16000, 2, 8))
        return b"RIFF" + struct.pack("<I", 0) + b"WAVE" + told + b"".join(parts)

    sound = part(b"data", b"\x01\x02\x03\x04")
    assert read_mulaw_wav(wav(7, part(b"note", b"odd"), sound)) == (b"\x01\x03", b"\x02\x04")
    for content in (wav(1, sound), wav(7), b"", b"RIFF"):
        with pytest.raises(ValueError, match="its audio is"):
            read_mulaw_wav(content)


def test_a_call_without_audio_has_no_wav() -> None:
    call = ToldCall().begin()
    assert plan_wav(call.book.records["CA1"]) is None


def test_a_call_is_the_same_when_it_is_opened_again() -> None:
    record = told_call()
    opened = read_call(written(record), "opened-1")
    before, after = shown(record), shown(opened)
    summary = before.pop("summary")
    search = summary["search"].replace("ca1", "opened-1")
    assert after.pop("summary") == summary | {"call_sid": "opened-1", "opened": True, "search": search}
    assert after == before
    assert opened.track("MZ1", "caller").runs == record.track("MZ1", "caller").runs
    assert opened.track("MZ1", "bot").runs == record.track("MZ1", "bot").runs
    assert opened.audio_bytes == record.audio_bytes
    assert opened.event_bytes == record.event_bytes


def test_an_opened_call_is_bounded_and_forgotten_like_others() -> None:
    call = ToldCall().begin()
    opened = read_call(written(told_call()), "opened-1")
    call.book.add_opened(opened)
    overview = call.book.overview(BEGAN_S)
    assert [(one.call_sid, one.opened) for one in overview["recent"]] == [("opened-1", True)]
    assert call.book.counts()["ended"] == 0
    call.book.add_opened(read_call(written(told_call()), "opened-1"))
    assert call.book._audio_bytes == opened.audio_bytes


def test_a_file_that_names_its_audio_again_gets_no_memory() -> None:
    content = json.loads(written(told_call()))
    content["audio"]["caller"] *= 50_000
    record = read_call(json.dumps(content).encode(), "opened-1")
    sides = read_mulaw_wav(base64.b64decode(content["wav_base64"]))
    assert record.audio_bytes <= sum(map(len, sides))


@pytest.mark.parametrize(("start_s", "seconds"), [(BEGAN_S - 60, 1), (BEGAN_S + 1, 1e9)])
def test_audio_before_all_streams_or_without_end_is_left_out(start_s: float, seconds: float) -> None:
    content = json.loads(written(told_call()))
    content["audio"]["caller"].append([start_s, seconds])
    assert read_call(json.dumps(content).encode(), "opened-1").audio_bytes == told_call().audio_bytes


def test_a_file_without_words_has_neither_words_nor_audio() -> None:
    content = written(told_call(), words=False)
    for private in (b"red roses", b"When?", b"roses", b"Ann", b'"7"', b"<Say>", b'"a":1'):
        assert private in written(told_call())
        assert private not in content
    opened = read_call(content, "opened-1")
    assert not opened.summary(0).has_audio
    assert [turn.intent for turn in opened.turns.all.values()] == ["OrderFlowers"]
    assert json.loads(content)["turns"][0]["slots"] == {"Type": None}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"lexbridge_call": 2}, "the file's format is 2, and this console reads 1"),
        ({"summary": 3}, "this is no call of lexbridge's"),
        ({"events": [[1, 2]]}, "this is no call of lexbridge's"),
        ({"wav_base64": "%%%"}, "the file's audio cannot be read"),
        ({"wav_base64": "AAAA"}, "the file's audio cannot be read: its audio is no wav file of lexbridge's"),
    ],
)
def test_a_file_that_is_no_call_is_refused(changed: dict[str, Any], told: str) -> None:
    content = json.dumps({**json.loads(written(told_call())), **changed}).encode()
    with pytest.raises(CallFileRefused, match=f"^{told}"):
        read_call(content, "opened-1")


@pytest.mark.parametrize("at_s", [1e308, -1e308, BEGAN_S + 3 * 24 * 3600, BEGAN_S - 3 * 24 * 3600])
@pytest.mark.parametrize(
    "place", [("summary", "ended_s"), ("streams", 0, "began_s"), ("events", 0, 0), ("turns", 0, "x_s")]
)
def test_a_file_whose_times_lie_far_apart_is_refused(place: tuple[Any, ...], at_s: float) -> None:
    content = inside = json.loads(written(told_call()))
    for step in place[:-1]:
        inside = inside[step]
    inside[place[-1]] = at_s
    with pytest.raises(CallFileRefused, match="times that lie more than 48 hours apart"):
        read_call(json.dumps(content).encode(), "opened-1")


@pytest.mark.parametrize("began_s", [-1.0, 1e11, 1e308])
def test_a_file_of_no_year_is_refused(began_s: float) -> None:
    content = json.loads(written(told_call()))
    content["summary"]["began_s"] = began_s
    with pytest.raises(CallFileRefused, match="or in no year"):
        read_call(json.dumps(content).encode(), "opened-1")


def test_a_file_with_more_values_than_any_call_is_refused() -> None:
    with pytest.raises(CallFileRefused, match="more than 2,000,000 values"):
        read_call(b"[" + b"[]," * 1_000_000 + b"[]]", "opened-1")


ANYTHING = st.none() | st.integers() | st.floats() | st.text(max_size=3) | st.just([]) | st.just({})


@given(place=st.lists(st.integers(0, 20), min_size=1, max_size=4), value=ANYTHING)
def test_a_file_that_was_changed_anywhere_is_read_or_refused(place: list[int], value: object) -> None:
    content = json.loads(written(told_call()))
    inside: Any = content
    for step in place[:-1]:
        children = list(inside.values()) if isinstance(inside, dict) else inside
        further = [child for child in children if isinstance(child, dict | list) and child]
        inside = further[step % len(further)] if further else inside
    keys = list(inside) if isinstance(inside, dict) else range(len(inside))
    inside[keys[place[-1] % len(keys)]] = value
    try:
        opened = read_call(json.dumps(content).encode(), "opened-1")
    except CallFileRefused:
        return
    shown(opened)
    plan = plan_wav(opened, 10_000)
    assert plan is None or list(wav_slices(opened, plan))
