"""A small `python -m bench endpointing`: the same code and rows, a synthetic voice and synthetic music.

The recordings of the large one are not needed. What is asserted is loose, but no broken detector holds it.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from bench.endpointing import report as reporting
from bench.endpointing.command import options
from bench.endpointing.cost import Cost, cost_limits, cost_table
from bench.endpointing.detectors import (
    BARE_ROWS,
    DETECTORS,
    LISTENING_ROWS,
    RECOMMENDED_MS,
    SERVICE_ROWS,
    RememberedModel,
)
from bench.endpointing.limits import Limit, limits_table
from bench.endpointing.line import Condition, Lines, Voice
from bench.endpointing.plan import LOUD, QUIET, WHOLE, Amount, Amounts, Planned, planned
from bench.endpointing.recordings import Recording
from bench.endpointing.run import Measured, decisions, measure_line, rows_for, score
from bench.endpointing.tables import FLUENT, usual, without_babble_and_music
from bench.endpointing.troubles import LINES, SOUNDS
from lexbridge.audio.hangover import Expected
from lexbridge.audio.pcm import RATE_HZ
from lexbridge.audio.resampler import Resampler

SHORT = ("yes", "no", "six", "stop", "two roses", "Monday")
FLUENT_TEXTS = (
    "I would like to order some flowers",
    "a large coffee with milk please",
    "can you tell me when my table is booked",
    "I want to change the date of my booking",
    "please send them to my office tomorrow",
)
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SPOKEN_CONDITIONS = (QUIET, *(Condition(name, name, 20) for name in ("white", "music")))
SILENT_CONDITIONS = (QUIET, *(Condition(name, name, 20) for name in ("white", "car", "clicks")))


def recordings() -> list[Recording]:
    """Return recordings of the synthetic voice."""
    texts = {
        **{text: text for text in (*SHORT, *FLUENT_TEXTS)},
        **{f"digits/{n}": text for n, text in enumerate(DIGITS)},
    }
    from lexbridge.offline.lex.voice import HibariVoice  # it imports gevent, which no other test here needs

    with HibariVoice() as voice:
        found = []
        for name, text in texts.items():
            resampler = Resampler(voice.rate_hz, RATE_HZ)
            pcm = resampler.push(voice.speak(text)) + resampler.flush()
            found.append(Recording("hibari", name, np.frombuffer(pcm, "<i2").astype(np.float64)))
        return found


def music(seconds: float) -> np.ndarray:
    """Return chords with an attack, two a second."""
    rng, pieces = np.random.default_rng(7), []
    time_s = np.arange(RATE_HZ // 2) / RATE_HZ
    for _ in range(round(seconds * 2)):
        root_hz = 220 * 2 ** (rng.integers(12) / 12)
        chord = sum(np.sin(2 * np.pi * root_hz * ratio * time_s) for ratio in (1, 1.25, 1.5, 2, 3))
        pieces.append(chord * np.exp(-3 * time_s))
    return np.concatenate(pieces)


@pytest.fixture(scope="module")
def lines() -> Lines:
    return Lines([Voice(recordings())], [music(60)])


def plans() -> Iterator[Planned]:
    """Yield the lines of 32 utterances, and of 80 s without speech."""
    for n, condition in enumerate(SPOKEN_CONDITIONS):
        yield Planned("usual", condition, 0.0, (1, n))
    yield Planned("usual", QUIET, 0.0, (1, 99))
    for n, condition in enumerate(SILENT_CONDITIONS):
        yield Planned("usual", condition, 20.0, (2, n))


@pytest.fixture(scope="module")
def measured(lines: Lines) -> Sequence[Measured]:
    model = RememberedModel()
    return [
        measure_line(plan.make(lines), [BARE_ROWS[0], *SERVICE_ROWS, *LISTENING_ROWS], plan.part, model)
        for plan in plans()
    ]


def quiet(one: Measured) -> bool:
    return one.truth.condition == "quiet"


def test_the_small_set_is_large_enough(measured: Sequence[Measured]) -> None:
    of = score(measured, "hybrid, as run", usual)
    assert of.utterances == 32
    assert of.silent_s == 80


def test_the_hybrid_hears_everything_and_nothing_else(measured: Sequence[Measured]) -> None:
    for row in ("hybrid, as run", LISTENING_ROWS[0].name):
        of = score(measured, row, usual)
        assert of.missed <= 1
        assert of.run_on == 0
        assert of.share_onset_lost <= 4
        assert of.share_split(FLUENT) <= 4
        assert score(measured, row, without_babble_and_music).false_triggers == 0


def test_the_adaptive_hangover_answers_a_word_sooner(measured: Sequence[Measured]) -> None:
    """A hangover that depends on the question answers a word sooner, and waits for a sentence."""
    fixed, listening = (score(measured, row, usual) for row in ("hybrid, as run", LISTENING_ROWS[0].name))
    assert listening.delay_ms(0.5, [Expected.CLOSED]) < fixed.delay_ms(0.5, [Expected.CLOSED]) - 100
    assert listening.share_split(["hesitant", "digits"]) < fixed.share_split(["hesitant", "digits"])
    assert listening.share_split(["hesitant", "digits"], joined=True) <= listening.share_split(["hesitant", "digits"])


def test_amplitude_and_adaptive_hear_a_quiet_line(measured: Sequence[Measured]) -> None:
    for row in ("amplitude, as run", "adaptive, as run"):
        of = score(measured, row, quiet)
        assert (of.missed, of.run_on, of.false_triggers) == (0, 0, 0)
        assert of.share_onset_lost == 0
        assert of.delay_ms(0.95) <= 900


def test_adaptive_finds_ends_in_noise_where_amplitude_cannot(lines: Lines) -> None:
    line = lines.spoken_on(Condition("white", "white", 10), ["fluent", "short", "fluent"], np.random.default_rng(1))
    one = measure_line(line, SERVICE_ROWS, "usual", RememberedModel())
    assert score([one], "adaptive, as run", usual).run_on == 0
    assert score([one], "amplitude, as run", usual).run_on > 0


def test_the_blogs_row_loses_onsets_that_the_services_keeps(measured: Sequence[Measured]) -> None:
    assert score(measured, "blog", quiet).onset_lost_ms(1.0) > score(
        measured, "amplitude, as run", quiet
    ).onset_lost_ms(1.0)


def test_no_optional_detector_is_deaf_or_always_on(lines: Lines) -> None:
    line = lines.spoken_on(QUIET, ["fluent", "fluent"], np.random.default_rng(1))
    for make in DETECTORS.values():
        voiced = decisions(line, make(RememberedModel()))
        assert 0.1 < np.mean(voiced) < 0.9


# The set, the tables, the limits


def test_the_whole_set_is_as_large_as_it_has_to_be() -> None:
    plan = planned(WHOLE, 1)
    usually = [one for one in plan if one.part == "usual"]
    assert 8 * sum(not one.seconds for one in usually) >= 1000
    assert sum(one.seconds for one in usually) / 3600 >= 6
    for condition in LINES:
        assert 8 * sum(not one.seconds for one in plan if one.condition is condition) >= 100
    for name in SOUNDS:
        assert sum(one.seconds for one in plan if one.condition.name == name) >= 600
    assert len({one.seed for one in plan}) == len(plan)


def test_the_report_has_every_table_limit_and_picture(
    lines: Lines, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    small = [one for one in planned(Amounts(Amount(1, 1, 2.0), Amount(1, 1, 2.0), Amount(1, 1, 4.0)), 1) if one.seconds]
    small += [Planned("usual", QUIET, 0.0, (1, 1)), *(Planned("loud", LOUD[n], 0.0, (1, n)) for n in range(2))]
    model = RememberedModel()
    found = [measure_line(one.make(lines), rows_for(0, one), one.part, model) for one in small]
    spent = dict.fromkeys(DETECTORS, Cost(0.5, 0.5, 0.5, 5.0))
    monkeypatch.setattr(reporting, "recorded_lines", lambda _: lines)
    monkeypatch.setattr(reporting, "costs", lambda *_: spent)
    monkeypatch.setattr(reporting, "bridge_us", lambda: 45.0)
    monkeypatch.setattr(reporting, "measure", lambda *_: found)
    status = reporting.report(options(["--write", str(tmp_path)]))
    told = capsys.readouterr().out
    assert status == int("**missed**" in told)
    assert reporting.report(options(["--no-limits"])) == 0
    assert told in (tmp_path / "endpointing-figures.md").read_text(encoding="utf-8") + "\n"
    assert all(told.count(f"| {row.name} ") for row in (*BARE_ROWS, *SERVICE_ROWS, LISTENING_ROWS[0]))
    pictures = sorted(path.name for path in (tmp_path / "images").iterdir())
    assert pictures == ["endpointing-delays.png", "endpointing-operating.png", "endpointing-tradeoff.png"]


def test_a_limit_is_held_by_a_figure_that_is_not_above_it() -> None:
    assert Limit("a", 1.0, 1.0).is_held
    assert not Limit("a", 1.1, 1.0).is_held
    assert not Limit("a", float("nan"), 1.0).is_held
    assert "**missed**" in limits_table([Limit("a", float("nan"), 1.0)])


def test_calls_a_core_are_what_is_left_of_20_ms() -> None:
    table = cost_table({"blog": Cost(1.0, 1.0, 1.0, 4.0), "adaptive": Cost(5.0, 5.0, 5.0, 5.0)}, 40.0)
    assert [cell.strip() for cell in table.splitlines()[3].split("|")[1:-1]] == [
        *("adaptive", "5.00", "5.0", "5.00", "5.00", "5.00", "400"),
    ]
    spent = dict.fromkeys(DETECTORS, Cost(1.5, 9.0, 9.0, 9.0))
    assert [one.is_held for one in cost_limits(spent)] == [False, True, True]


def test_what_the_documents_recommend_is_what_is_measured() -> None:
    root = Path(__file__).resolve().parents[2]
    names = ("HANGOVER_MS", "HANGOVER_MIN_MS", "HANGOVER_MAX_MS")
    for document in ("README.md", "docs/endpointing.md"):
        text = (root / document).read_text(encoding="utf-8")
        assert all(f"{name}={ms}" in text for name, ms in zip(names, RECOMMENDED_MS, strict=True)), document
