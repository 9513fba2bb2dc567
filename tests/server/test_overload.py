"""Overload: the arithmetic without a clock, and memory limits from files as the system writes them."""

import os
import time
from pathlib import Path

import gevent
import pytest

from lexbridge.bridge.live_calls import CallRegistry
from lexbridge.server.overload import (
    BUSY_SAMPLES,
    LAG_SAMPLES,
    LoopUtilization,
    OverloadDetector,
    memory_limit,
    resident_memory,
)
from tests.support.fixtures import Logged

MB = 1 << 20


@pytest.fixture
def calls() -> CallRegistry:
    return CallRegistry(max_calls=10)


def fill(
    load: OverloadDetector, calls: CallRegistry, *late_ms: float, memory: int = 0, busy: float = 0.5
) -> list[bool]:
    """Record measurements. Return after each whether the worker is overloaded."""
    after = []
    for late in late_ms:
        load.record(late / 1000, memory, busy)
        after.append(calls.admission.is_overloaded)
    return after


@pytest.mark.parametrize("hiccup_ms", [50, 500, 30_000])
def test_a_single_hiccup_refuses_nobody(calls: CallRegistry, hiccup_ms: float) -> None:
    load = OverloadDetector(calls, 0.1, None)
    assert not any(fill(load, calls, 1, 2, hiccup_ms, 0, *[1] * LAG_SAMPLES, hiccup_ms, 1))


def test_a_second_of_lag_does_and_it_recovers_by_itself(calls: CallRegistry, logged: Logged) -> None:
    load = OverloadDetector(calls, 0.1, None)
    late = fill(load, calls, *[110] * 10)
    # Each measurement is 210 ms after the one before: it takes one second.
    assert late.index(True) == LAG_SAMPLES // 2
    assert calls.admission.refusal == "overloaded"
    after = fill(load, calls, *[1] * 10)
    assert after.index(False) == LAG_SAMPLES // 2
    assert calls.admission.refusal is None
    begun, over = logged()
    assert (begun["event"], begun["reason"], begun["lag_ms"]) == ("overloaded", "lag", 110)
    assert (over["event"], over["lag_ms"]) == ("no-longer-overloaded", 1)


def test_figures_that_hover_around_a_limit_are_one_line(calls: CallRegistry, logged: Logged) -> None:
    load = OverloadDetector(calls, 0.1, 100 * MB)
    fill(load, calls, *[110] * LAG_SAMPLES, *[90, 110] * 50)
    assert calls.admission.is_overloaded
    fill(load, calls, *[0] * LAG_SAMPLES, memory=101 * MB)
    for memory in (99, 101, 97, 101):
        fill(load, calls, 0, memory=memory * MB)
    assert calls.admission.is_overloaded
    fill(load, calls, 0, memory=90 * MB)
    assert not calls.admission.is_overloaded
    assert [line.get("reason") for line in logged()] == ["lag", "memory", None]


def test_a_loop_that_never_waits_is_overloaded(calls: CallRegistry, logged: Logged) -> None:
    """A loop that never waits is overloaded, though its timers are on time."""
    assert not any(
        fill(OverloadDetector(calls, 0.1, None), calls, *[5] * 40, busy=1.0)
    )  # many calls begin for four seconds, which is no overload
    load = OverloadDetector(calls, 0.1, None)
    assert not any(fill(load, calls, *[5] * BUSY_SAMPLES, busy=0.94))
    assert fill(load, calls, *[5] * BUSY_SAMPLES, busy=1.0)[-1]
    assert calls.admission.refusal == "overloaded"
    assert all(fill(load, calls, *[5] * BUSY_SAMPLES, busy=0.93))  # the figure hovers around the limit
    assert not fill(load, calls, *[5] * BUSY_SAMPLES, busy=0.5)[-1]
    begun, over = logged()
    assert (begun["reason"], begun["lag_ms"], begun["busy_percent"]) == ("busy", 5, 95)
    assert over["event"] == "no-longer-overloaded"


def test_how_busy_the_loop_is_is_what_it_does_not_wait() -> None:
    utilization = LoopUtilization()
    gevent.sleep(0.3)
    assert utilization.measure() < 0.5
    ends_s = time.monotonic() + 0.3
    while time.monotonic() < ends_s:
        gevent.sleep(0)
    assert utilization.measure() > 0.5
    # Short rounds of the loop without a pause between them: each timer fires in time.
    ends_s = time.monotonic() + 0.3
    while time.monotonic() < ends_s:
        gevent.sleep(0.001)
        busy_until_s = time.monotonic() + 0.05  # far longer than a busy machine takes to wake this process
        while time.monotonic() < busy_until_s:
            pass
    assert utilization.measure() > 0.5


def test_a_timer_that_is_early_is_not_late(calls: CallRegistry) -> None:
    load = OverloadDetector(calls, 0.1, None)
    fill(load, calls, *[-5] * LAG_SAMPLES)
    assert load.lag_s == 0


def test_memory_counts_at_once_and_without_a_limit_never(calls: CallRegistry, logged: Logged) -> None:
    fill(OverloadDetector(calls, 0.1, None), calls, 0, memory=1 << 50)
    assert not calls.admission.is_overloaded
    fill(OverloadDetector(calls, 0.1, 100 * MB), calls, 0, memory=100 * MB)
    assert not calls.admission.is_overloaded
    fill(OverloadDetector(calls, 0.1, 100 * MB), calls, 0, memory=100 * MB + 1)
    assert calls.admission.is_overloaded
    (line,) = logged()
    assert (line["reason"], line["memory_mb"], line["live_calls"], line["pid"]) == ("memory", 100, 0, os.getpid())


def test_this_process_has_some_memory() -> None:
    assert 10 * MB < resident_memory() < 10_000 * MB


MEMINFO = "MemTotal:        1000 kB\nMemFree:          500 kB\n"
V1 = "9:name=systemd:/\n4:cpu,memory:/docker/abc\n0::/\n"

# The files of a system, and the memory limit that follows from them.
SYSTEMS = {
    "a machine": ({"proc/meminfo": MEMINFO, "proc/self/cgroup": "0::/\n"}, 1000 << 10),
    "a container, v2": (
        {"proc/meminfo": MEMINFO, "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "500000\n"},
        500_000,
    ),
    "a service under a slice, v2": (
        {
            "proc/meminfo": MEMINFO,
            "proc/self/cgroup": "0::/system.slice/lexbridge.service\n",
            "sys/fs/cgroup/system.slice/lexbridge.service/memory.max": "max\n",
            "sys/fs/cgroup/system.slice/memory.max": "400000\n",
        },
        400_000,
    ),
    "a container, v1": (
        {
            "proc/meminfo": MEMINFO,
            "proc/self/cgroup": V1,
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "300000\n",
        },
        300_000,
    ),
    "a group of the machine's, v1": (
        {
            "proc/meminfo": MEMINFO,
            "proc/self/cgroup": V1,
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            "sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes": "200000\n",
        },
        200_000,
    ),
    "more than the machine has": (
        {"proc/meminfo": MEMINFO, "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "99999999999\n"},
        1000 << 10,
    ),
}


@pytest.mark.parametrize("name", SYSTEMS)
def test_each_worker_has_its_share_of_what_there_is(tmp_path: Path, name: str) -> None:
    files, there = SYSTEMS[name]
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="ascii")
    assert memory_limit(None, 1, tmp_path) == int(0.8 * there)
    assert memory_limit(None, 4, tmp_path) == int(0.8 * there) // 4
    assert memory_limit(512, 4, tmp_path) == 128 * MB


def test_a_system_that_does_not_tell_has_no_limit(tmp_path: Path) -> None:
    assert memory_limit(None, 1, tmp_path) is None
    assert memory_limit(None, 1) is not None
