"""Load measurement: its plan, limits and tables, and one run of each server with a few calls."""

import asyncio
import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from bench.load import command, programs, search, sounds
from bench.load.case import BEFORE, OURS, PEERS, Case, Figures, Lateness, figures_from
from bench.load.compare import Limit, beyond_plan_ms, limits, planned_visit_ms
from bench.load.measure import Times, _reading_s, measure
from bench.load.plan import STOCK_CALLS, Choice, cases, everything, gate
from bench.load.programs import CALLERS, NoCompiler, Place, cores_for
from bench.load.report import document, figures_table, markdown, read_document, rounds_of, write_figures
from bench.load.rounds import best_of, chosen

CALLS = 5
TIMES = Times(warm_s=0.3, measured_s=1.2)


def figures_of(case: Case, us_a_message: float, turns: int = 0) -> Figures:
    """Return the figures of a run in which nothing went wrong."""
    messages = case.calls * 50
    return Figures(
        case=case,
        us_a_message=us_a_message,
        busiest=0.1,
        shares=(0.1,),
        waited=0.0,
        messages=messages,
        age=Lateness(10, 1.0, 2.0, 3.0, 4.0),
        closed=Lateness(10, 11.0, 12.0, 13.0, 14.0) if case.talks else Lateness(),
        turns=turns,
        cpu_s=us_a_message * messages / 1e6,
        seconds=1.0,
        idle_mb=40.0,
        kb_a_call=30.0,
        stall_ms=0.0,
        stall_cpu_ms=0.0,
        gc_ms=0.0,
        lost=0 if case.is_service else -1,
        late=0,
        odd=0,
        broken=0,
        client_late_ms=0.1,
    )


def limit_of(found: list[Figures], words: str) -> Limit:
    (limit,) = (limit for limit in limits(found) if words in limit.name)
    return limit


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler")
    folder = tmp_path_factory.mktemp("load")
    return Place(folder, programs.compiled(CALLERS, folder))


@pytest.mark.parametrize("server", PEERS)
def test_a_peer_takes_the_messages_of_silent_calls(server: str, place: Place) -> None:
    for package in ("picows", "uvloop"):
        pytest.importorskip(package)
    figures = asyncio.run(measure(Case(server, CALLS), place, TIMES, {}))
    assert figures.messages >= CALLS * 50
    assert figures.us_a_message > 0
    assert (figures.lost, figures.broken, figures.turns) == (-1, 0, 0)


@pytest.mark.parametrize(("mode", "tls"), [("call-update", True), ("stream", False)])
def test_every_frame_and_turn_of_the_service_counts(mode: str, tls: bool, place: Place) -> None:
    """No frame is lost, each phrase becomes a turn of Lex's, and pings are answered."""
    pytest.importorskip("uvloop")
    case = Case(OURS, CALLS, talks=True, mode=mode, tls=tls, watched=True)
    figures = asyncio.run(measure(case, place, Times(warm_s=1.0, measured_s=7.0), {}))
    assert (figures.lost, figures.late, figures.broken, figures.odd) == (0, 0, 0, 0)
    assert figures.turns >= CALLS
    assert figures.closed.count > 0
    assert figures.age.count > 0
    assert figures.stall_ms > 0


def test_a_refused_handshake_says_so(place: Place) -> None:
    """The service refuses calls beyond its limit, and the measurement tells which."""
    pytest.importorskip("uvloop")
    with pytest.raises(Exception, match=r"handshake was refused: HTTP/1\.1 503"):
        asyncio.run(measure(Case(OURS, CALLS), place, TIMES, {"MAX_CALLS": "1"}))


def test_without_a_compiler_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(NoCompiler, match="install a C compiler"):
        programs.compiled(CALLERS, tmp_path)


def test_phrases_come_nine_times_a_minute() -> None:
    sound = sounds.talking()
    assert len(sound.frames) == len(sounds.PHRASES) * sounds.PERIOD_FRAMES
    assert {end // sounds.PERIOD_FRAMES for end in sound.phrase_ends} == set(range(len(sounds.PHRASES)))


@pytest.mark.parametrize(
    ("workers", "available", "of_server", "of_rest"),
    [(1, {0}, set(), set()), (1, {0, 1}, {1}, {0}), (4, {0, 1}, {1}, {0}), (2, {0, 1, 2, 3}, {2, 3}, {0, 1})],
)
def test_the_server_has_cores_of_its_own(
    workers: int, available: set[int], of_server: set[int], of_rest: set[int]
) -> None:
    cores = cores_for(workers, frozenset(available))
    assert (cores.server, cores.rest) == (of_server, of_rest)


def test_each_choice_is_a_case_and_peers_are_silent() -> None:
    choice = Choice((50, 400), ("silent", "talking"), modes=("call-update", "stream"), tls=True)
    found = cases(choice)
    peers = [case for case in found if not case.is_service]
    assert [(case.server, case.calls) for case in peers] == [
        *(("stock", 50), ("picows", 50), ("c", 50)),
        *(("stock", STOCK_CALLS), ("picows", 400), ("c", 400)),
    ]
    ours = [case for case in found if case.is_service]
    assert len(ours) == len(set(ours)) == 8
    assert all(case.tls is case.talks for case in ours)


def test_the_service_before_takes_turns_with_the_one_now() -> None:
    found = cases(Choice(peers=(), before=True))
    assert [case.server for case in found] == [BEFORE, OURS]


def test_the_whole_plan_has_no_case_twice() -> None:
    assert len(set(everything())) == len(everything())


def test_ratios_are_those_of_the_same_run() -> None:
    ours, stream = Case(OURS, 400), Case(OURS, 400, mode="stream")
    hybrid = Case(OURS, 400, detector="hybrid")
    costs = {Case("picows", 400): 10.0, Case("stock", 100): 120.0, ours: 12.0, stream: 15.0, hybrid: 15.0}
    found = [figures_of(case, us_a_message) for case, us_a_message in costs.items()]
    assert limit_of(found, "/ picows").found == pytest.approx(1.2)
    assert limit_of(found, "/ picows").is_kept
    assert limit_of(found, "/ stock").found == pytest.approx(0.1)
    assert not limit_of(found, "/ call-update").is_kept
    assert limit_of(found, "/ amplitude").is_kept


def test_a_turn_costs_what_silent_calls_do_not() -> None:
    silent, talking, picows = Case(OURS, 200), Case(OURS, 200, talks=True, tls=True), Case("picows", 200)
    costs = {silent: [10.0, 12.0, 11.0], talking: [40.0, 43.0, 41.0], picows: [10.0] * 3}
    rounds = {case: [figures_of(case, each, turns=30) for each in of_case] for case, of_case in costs.items()}
    assert _turn(rounds).turn_ms == pytest.approx(10.0)  # the median of 10, 10.33 and 10
    assert _turn(rounds).turn_frames_ms is None
    assert limit_of(chosen(rounds), "a turn / message of picows").found == pytest.approx(1000)
    assert _turn({talking: rounds[talking]}).turn_ms is None


def _turn(rounds: dict[Case, list[Figures]]) -> Figures:
    (figures,) = [figures for figures in chosen(rounds) if figures.case.talks]
    return figures


def test_the_frames_of_a_turn_are_counted_apart() -> None:
    silent, talking = Case(OURS, 200), Case(OURS, 200, talks=True, tls=True)
    quiet = dataclasses.replace(figures_of(silent, 10.0), reading_s=0.06)
    talks = dataclasses.replace(figures_of(talking, 40.0, turns=30), reading_s=0.18)
    assert _turn({silent: [quiet], talking: [talks]}).turn_frames_ms == pytest.approx(4.0)


def test_a_turn_is_told_of_rounds_with_a_core() -> None:
    silent, talking = Case(OURS, 200), Case(OURS, 200, talks=True)
    waited = dataclasses.replace(figures_of(talking, 20.0, turns=30), waited=0.4)
    rounds = {silent: [figures_of(silent, 10.0)] * 2, talking: [waited, figures_of(talking, 40.0, turns=30)]}
    assert _turn(rounds).turn_ms == pytest.approx(10.0)
    assert _turn(rounds).us_a_message == 40.0


def test_cpu_of_reading_is_its_rate_between_notes(tmp_path: Path) -> None:
    notes = tmp_path / "reading"
    assert _reading_s(notes, 10.0, 20.0) is None
    notes.write_text("1 9.0 1.0\n1 11.0 2.0\n2 12.0 5.0\n1 15.0 3.0\n2 16.0 6.0\n1 21.0 9.0\n", encoding="ascii")
    assert _reading_s(notes, 10.0, 20.0) == pytest.approx(10 * (1 / 4 + 1 / 4))
    assert _reading_s(notes, 30.0, 40.0) is None


def test_a_lost_frame_breaks_a_limit() -> None:
    figures = figures_of(Case(OURS, 400), 10.0)
    assert all(limit.is_kept for limit in limits([figures]))
    for trouble in ("lost", "late", "broken", "odd"):
        broken = dataclasses.replace(figures, **{trouble: 1})
        assert not limit_of([broken], "frames lost").is_kept
        assert not broken.is_sound


def test_frames_of_quiet_lines_are_late_beyond_their_visit() -> None:
    case = Case(OURS, 400)
    late = dataclasses.replace(figures_of(case, 10.0), age=Lateness(1, 9.0, 9.0, planned_visit_ms(case) + 26, 99.0))
    assert beyond_plan_ms(late) == pytest.approx(26)
    assert not limit_of([late], "beyond plan").is_kept
    assert planned_visit_ms(Case("picows", 400)) == 0
    assert planned_visit_ms(Case(BEFORE, 400)) < planned_visit_ms(case)


def test_the_round_with_the_least_cpu_counts() -> None:
    case = Case(OURS, 400)
    rounds = [figures_of(case, us_a_message) for us_a_message in (12.0, 10.0, 11.0)]
    assert best_of(rounds).us_a_message == 10.0
    written = json.loads(json.dumps(document({case: rounds}, [["a limit", "1", "2", "yes"]])))
    assert figures_from(written["cases"][0]["best"]) == rounds[1]
    assert rounds_of(written) == {case: rounds}
    assert "cores" in written["machine"]


def test_a_round_with_a_wait_counts_only_alone() -> None:
    case = Case(OURS, 400)
    waited = dataclasses.replace(figures_of(case, 8.0), waited=0.3)
    assert best_of([figures_of(case, 12.0), waited]).us_a_message == 12.0
    assert best_of([waited]).us_a_message == 8.0


def test_memory_with_a_model_is_told_of_fewer_calls() -> None:
    hybrid, amplitude = (figures_of(Case(OURS, 100, detector=name), 10.0) for name in ("hybrid", "amplitude"))
    assert limit_of([hybrid], "memory of a call")
    assert not [limit for limit in limits([amplitude]) if "memory" in limit.name]


def test_memory_of_one_more_call_leaves_out_what_grows_once() -> None:
    sizes = [(100, 60.0), (200, 50.0), (400, 45.0)]  # 2 MB, and 40 kB a call
    found = [dataclasses.replace(figures_of(Case(OURS, calls), 10.0), kb_a_call=kb) for calls, kb in sizes]
    (limit,) = [limit for limit in limits(found) if "memory" in limit.name]
    assert (limit.found, limit.is_kept) == (pytest.approx(40), False)
    assert "400 silent calls" in limit.name


def test_without_a_choice_the_gate_is_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[Case] = []

    async def measured(case: Case, *_: object) -> Figures:
        asked.append(case)
        return figures_of(case, 10.0, turns=30)

    monkeypatch.setattr(command, "measure", measured)
    monkeypatch.setattr("bench.load.command.programs.compiled", lambda *_: tmp_path)
    command.main(["--write", str(tmp_path), "--rounds", "1"])
    assert asked == gate()
    command.main(["--write", str(tmp_path), "--rounds", "2", "--go-on"])
    assert asked == [*gate(), *gate()]


def test_a_run_that_breaks_off_keeps_its_figures(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    left = list(gate()[:2])

    async def measured(case: Case, *_: object) -> Figures:
        if case not in left:
            raise KeyboardInterrupt
        return figures_of(case, 10.0)

    monkeypatch.setattr(command, "measure", measured)
    monkeypatch.setattr("bench.load.command.programs.compiled", lambda *_: tmp_path)
    with pytest.raises(KeyboardInterrupt):
        command.main(["--write", str(tmp_path)])
    assert list(rounds_of(read_document(tmp_path))) == left


def test_a_row_tells_lost_frames_and_other_troubles() -> None:
    figures = dataclasses.replace(figures_of(Case(OURS, 400), 10.0), lost=3, late=1)
    assert "3 +1" in figures_table([figures])
    assert figures_of(Case("c", 400), 10.0).calls_a_core == pytest.approx(2000)


def test_the_picture_is_drawn_anew_from_the_written_run(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    both = [figures_of(Case(OURS, 400), 10.0), figures_of(Case("picows", 400), 9.0)]
    write_figures(tmp_path, document({figures.case: [figures] for figures in both}, [["a limit", "1", "2", "yes"]]))
    picture = tmp_path / "images" / "load.png"
    picture.unlink()
    write_figures(tmp_path, read_document(tmp_path))
    assert picture.stat().st_size > 1000
    assert "| ours amplitude | 400" in markdown(read_document(tmp_path))


@pytest.mark.parametrize("talks", [False, True])
def test_the_search_ends_near_the_most_calls(
    talks: bool, monkeypatch: pytest.MonkeyPatch, place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    async def measured(case: Case, *_: object) -> Figures:
        ms = 0.0 if case.calls <= 1000 else planned_visit_ms(case) + 99.0
        late = Lateness(1, ms, ms, ms, ms)
        return dataclasses.replace(figures_of(case, 10.0), **{"closed" if talks else "age": late}, waited=0.2)

    monkeypatch.setattr(search, "measure", measured)
    found = [figures_of(Case(OURS, 400, talks), 12.0), figures_of(Case("picows", 400), 10.0)]
    limit = asyncio.run(search.most_calls(found[0], found, place, {}))
    tries = capsys.readouterr().out.splitlines()
    assert len(tries) <= search.TRIES
    assert any("but a worker waited 20%" in line for line in tries)
    most = int(limit.name.rpartition("(")[2].rstrip(")"))
    assert 900 < most <= 1000
    assert limit.found == pytest.approx(2000 * search.LEAST_OF_PICOWS[talks] / most)
