"""The runs of a detector's model: many windows in one run, off the loop, and answers in the hub."""

import gevent
import pytest
from gevent import getcurrent
from gevent.event import Event
from gevent.monkey import get_original

from lexbridge.audio.vad.base import Window
from lexbridge.bridge.model_batches import MOST_WINDOWS, ModelBatches
from tests.support.rehearsal import wait_until
from tests.support.rig import PATIENCE_S

sleep = get_original("time", "sleep")  # no greenlet's
get_ident = get_original("threading", "get_ident")
allocate_lock = get_original("_thread", "allocate_lock")


class Piece(Window):
    """A window of some pieces, with a number that comes back as its probability."""

    def __init__(self, model, number, pieces=1):
        super().__init__(model)
        self.number, self.pieces = number, pieces


class Numbers:
    """A model that notes its runs, and fails when told to."""

    def __init__(self):
        self.runs = []
        self.threads = set()
        self.error = None
        self.takes_s = 0.0
        self.may_end = allocate_lock()
        """A run ends only while nobody holds this lock."""
        self.at_once = self.most_at_once = 0

    def judge(self, windows):
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.threads.add(get_ident())
        self.runs.append([window.number for window in windows])
        sleep(self.takes_s)
        with self.may_end:
            pass
        self.at_once -= 1
        if self.error:
            raise self.error
        answers = []
        for window in windows:
            window.pieces -= 1
            answers.append(None if window.pieces else window.number / 1000)
        return answers


@pytest.fixture
def model():
    return Numbers()


@pytest.fixture
def batches():
    return ModelBatches()


class Answers:
    """The answers that came, by number, and where they came."""

    def __init__(self):
        self.by_number = {}
        self.greenlets = set()
        self._more = Event()

    def of(self, number):
        def answered(probability):
            assert number not in self.by_number
            self.by_number[number] = probability
            self.greenlets.add(getcurrent())
            self._more.set()

        return answered

    def wait_for(self, count):
        with gevent.Timeout(PATIENCE_S):
            while len(self.by_number) < count:
                self._more.clear()
                self._more.wait()
        return self.by_number


@pytest.fixture
def answers():
    return Answers()


def test_what_is_asked_in_one_round_is_one_run(batches, model, answers):
    for number in range(20):
        batches.ask(Piece(model, number), answers.of(number))
    assert model.runs == []  # asking waits for nothing
    assert answers.wait_for(20) == {number: number / 1000 for number in range(20)}
    assert model.runs == [list(range(20))]
    assert model.threads.isdisjoint({get_ident()})
    assert answers.greenlets == {gevent.get_hub()}


def test_a_run_has_a_limit_and_runs_are_one_at_a_time(batches, model, answers):
    model.takes_s = 0.01
    for number in range(2 * MOST_WINDOWS + 5):
        batches.ask(Piece(model, number), answers.of(number))
    answers.wait_for(2 * MOST_WINDOWS + 5)
    assert [len(run) for run in model.runs] == [MOST_WINDOWS, MOST_WINDOWS, 5]
    assert model.most_at_once == 1


def test_lone_windows_are_not_delayed_and_use_one_thread(batches, model, answers):
    for number in range(30):
        batches.ask(Piece(model, number), answers.of(number))
        answers.wait_for(number + 1)
    assert len(model.runs) == 30
    assert len(model.threads) == 1  # a thread that waits keeps 120 kB


def test_the_loop_goes_on_during_a_run(batches, model, answers):
    with model.may_end:
        batches.ask(Piece(model, 1), answers.of(1))
        wait_until(lambda: model.runs)
        assert (model.runs, answers.by_number) == ([[1]], {})
        for number in (2, 3):
            batches.ask(Piece(model, number), answers.of(number))
    answers.wait_for(3)
    assert model.runs == [[1], [2, 3]]


def test_a_window_of_several_pieces_holds_up_no_other(batches, model, answers):
    batches.ask(Piece(model, 1, pieces=3), answers.of(1))
    for number in range(2, MOST_WINDOWS + 4):
        batches.ask(Piece(model, number), answers.of(number))
    answers.wait_for(MOST_WINDOWS + 3)
    assert model.runs == [list(range(1, MOST_WINDOWS + 1)), [*range(MOST_WINDOWS + 1, MOST_WINDOWS + 4), 1], [1]]


def test_calls_go_on_without_a_model_that_fails(batches, model, answers, logged):
    model.error = MemoryError()
    for number in (1, 2):
        batches.ask(Piece(model, number), answers.of(number))
    assert answers.wait_for(2) == {1: None, 2: None}
    model.error = None
    batches.ask(Piece(model, 3), answers.of(3))
    assert answers.wait_for(3)[3] == 0.003
    assert [(line["event"], line["reason"]) for line in logged()] == [("model-failed", "MemoryError")]


def test_calls_go_on_without_a_run_that_does_not_return(batches, model, answers, logged):
    batches._limit = gevent.get_hub().loop.timer(0.2, 0.2)
    with model.may_end:
        for number in (1, 2):
            batches.ask(Piece(model, number), answers.of(number))
        assert answers.wait_for(2) == {1: None, 2: None}
        batches.ask(Piece(model, 3), lambda _: batches.ask(Piece(model, 4), answers.of(4)))
        assert answers.wait_for(3)[4] is None
    wait_until(lambda: not batches._is_stuck)
    batches.ask(Piece(model, 5), answers.of(5))
    assert answers.wait_for(4)[5] == 0.005
    assert model.runs == [[1, 2], [5]]
    assert {(line["event"], line["reason"]) for line in logged()} == {("model-failed", "TimeoutError")}


def test_a_bug_of_one_call_leaves_the_others_their_answers(batches, model, answers, logged):
    def broken(probability):
        raise ValueError("a bug")

    batches.ask(Piece(model, 1), broken)
    batches.ask(Piece(model, 2), answers.of(2))
    assert answers.wait_for(1) == {2: 0.002}
    batches.ask(Piece(model, 3), answers.of(3))
    assert answers.wait_for(2)[3] == 0.003
    assert [line["event"] for line in logged()] == ["call-broken"]
