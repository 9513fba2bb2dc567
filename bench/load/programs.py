"""Programs of the load measurement: those in C are compiled, and the server gets cores of its own."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.harness.service import Process
from bench.harness.settings import PUBLIC_URL, ROOT, service_settings, v2_bot
from bench.load.case import BEFORE, Case

HERE = Path(__file__).parent
CALLERS, C_PEER = HERE / "paced_calls.c", HERE / "peers" / "decoding_server.c"
HANGOVER_MS = 700


class NoCompiler(Exception):
    """No C compiler was found; the message says what to do."""


def compiled(source: Path, folder: Path) -> Path:
    """Return the program that `source` compiles to, in `folder`. Raises NoCompiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise NoCompiler(
            "the callers are a program in C and there is no cc: install a C compiler (apt-get install gcc)"
        )
    program = folder / source.stem
    subprocess.run([compiler, "-O2", "-o", program, source, "-lm"], check=True)  # noqa: S603
    return program


@dataclass(frozen=True, slots=True)
class Cores:
    """Cores of the server and of the rest: callers, Lex and Twilio. Empty: the process runs on any."""

    server: frozenset[int]
    rest: frozenset[int]


def cores_for(workers: int, available: frozenset[int] | None = None) -> Cores:
    """Return the cores of a server of `workers`: one each if one is left for the rest, else all but one.

    `available`: those that this process may use, if it is not given.
    """
    ordered = sorted(os.sched_getaffinity(0) if available is None else available)
    if len(ordered) < 2:
        return Cores(frozenset(), frozenset())
    of_server = min(workers, len(ordered) - 1)
    # The rest is at the beginning: the first core of a machine has most of its interrupts.
    return Cores(frozenset(ordered[-of_server:]), frozenset(ordered[:-of_server]))


@dataclass(frozen=True, slots=True)
class Place:
    """Files by which the programs of a measurement find each other. `before`: folder of the service before a change."""

    folder: Path
    callers: Path
    before: Path | None = None

    def file(self, name: str) -> Path:
        """Return the path of a file of the measurement."""
        return self.folder / name


def stub(place: Place, cores: Cores, certificate: Path | None) -> Process:
    """Return the process of Lex and Twilio."""
    arguments = ["-m", "bench.load.stub", *(["--certificate", str(certificate)] if certificate else [])]
    return Process(arguments, {}, place.file("stub.log"), cores=cores.rest)


def peer(case: Case, place: Place, cores: Cores, port: int) -> Process:
    """Return the process of a peer."""
    log = place.file("server.log")
    if case.server == "c":
        return Process([str(port)], {}, log, str(compiled(C_PEER, place.folder)), cores.server)
    return Process(["-m", f"bench.load.peers.{case.server}", str(port)], {}, log, cores=cores.server)


def service(
    case: Case, place: Place, cores: Cores, port: int, lex_url: str, twilio_url: str, settings: dict[str, str]
) -> Process:
    """Return the process of lexbridge, which admits all calls. `settings` take precedence."""
    environment = service_settings(
        v2_bot("ABCDEFGHIJ"),
        lex_url=lex_url,
        twilio_url=twilio_url,
        CONTAINER_PORT=str(port),
        URL=PUBLIC_URL,
        MAX_CALLS="100000",
        MAX_LOOP_LAG_MS="10000",
        WEB_CONCURRENCY=str(case.workers),
        VAD=case.detector,
        REPLY_MODE=case.mode,
        HANGOVER_MS=str(HANGOVER_MS),
        NO_INPUT_S="120",
        LOG_LEVEL="INFO",
    )
    if case.tls:
        environment["AWS_CA_BUNDLE"] = str(place.file("certificate.pem"))
    root = place.before if case.server == BEFORE and place.before else ROOT
    program = [str(root / "server.py")]
    if case.server != BEFORE or case.watched:
        stalls = str(place.file("stalls")) if case.watched else "-"
        program = [str(HERE / "watched_server.py"), str(root), str(place.file("reading")), stalls]
    return Process(program, {**environment, **settings}, place.file("server.log"), cores=cores.server)


def certificate(place: Place) -> Path:
    """Make a certificate for 127.0.0.1 and return the path of its PEM file, which has its key too."""
    pem = place.file("certificate.pem")
    if not pem.exists():
        key = place.file("key.pem")
        command = (
            "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
        )
        subprocess.run(  # noqa: S603
            [*command.split(), "-keyout", key, "-out", pem], check=True, capture_output=True
        )
        pem.write_bytes(pem.read_bytes() + key.read_bytes())
    return pem
