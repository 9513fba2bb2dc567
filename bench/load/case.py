"""Cases of the load measurement: which server bears which calls, and the figures of one."""

from dataclasses import asdict, dataclass
from typing import Any

OURS = "ours"
BEFORE = "before"
"""Service of another folder, of which this one is a change."""
PEERS = ("stock", "picows", "c")
MOST_WAITED = 0.1
"""Largest share of the time that workers may wait for their cores, because beyond it others decide when they run."""


@dataclass(frozen=True, slots=True)
class Case:
    """Server and calls of a run. The fields from `talks` on mean nothing to the peers, except `talks`."""

    server: str
    calls: int
    talks: bool = False
    detector: str = "amplitude"
    mode: str = "call-update"
    workers: int = 1
    tls: bool = False
    """Whether Lex and Twilio are asked over TLS."""
    watched: bool = False
    """Whether a timer in the workers notes the stalls of their loops, which costs some CPU."""

    @property
    def is_service(self) -> bool:
        """Whether the server is lexbridge, and not a peer."""
        return self.server in (OURS, BEFORE)

    @property
    def name(self) -> str:
        """Name of the case in tables."""
        if not self.is_service:
            return self.server
        words = [self.server, self.detector]
        words += ["stream"] if self.mode == "stream" else []
        words += ["TLS"] if self.tls else []
        words += [f"{self.workers} workers"] if self.workers > 1 else []
        words += ["watched"] if self.watched else []
        return " ".join(words)


@dataclass(frozen=True, slots=True)
class Lateness:
    """Percentiles of a time, ms. `count`: of how many."""

    count: int = 0
    p50: float = 0.0
    p90: float = 0.0
    p99: float = 0.0
    most: float = 0.0


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures of one run of a case, over its measured time."""

    case: Case
    us_a_message: float
    """CPU of the workers (user and system) for a media message, turns and all else included, microseconds."""
    busiest: float
    """Share of a core that the busiest worker used."""
    shares: tuple[float, ...]
    """Share of a core of each worker."""
    waited: float
    """Share of the time in which a worker could have run, but another process had its core."""
    messages: int
    age: Lateness
    """Age of the media messages when they have been worked on: from a ping, sent right after a message, to its pong."""
    closed: Lateness
    """Time from the last voiced frame of a phrase to the end of the request to Lex, without the hangover."""
    turns: int
    cpu_s: float
    """CPU of the workers."""
    seconds: float
    idle_mb: float
    """Memory of the workers before the calls, proportional set size."""
    kb_a_call: float
    stall_ms: float
    """Longest time that a loop ran without coming back to its timers; 0 unless the case is watched."""
    stall_cpu_ms: float
    """The same as CPU time, and without garbage collection: what other processes of the machine cannot lengthen."""
    gc_ms: float
    """Longest garbage collection."""
    lost: int
    """Frames that were sent and that no stream counted at its end; -1 where it is not known."""
    late: int
    """Media messages that a stream found late, or whose place it filled."""
    odd: int
    """Log lines of errors and of overload."""
    broken: int
    """Streams that broke off."""
    client_late_ms: float
    """Lateness of the callers' own process at its worst."""
    reading_s: float | None = None
    """CPU of the workers for reading and hearing media, in the measured time; None where it is not noted."""
    turn_ms: float | None = None
    """CPU of a turn with everything in it: what talking calls use beyond as many silent ones. Median of the rounds."""
    turn_frames_ms: float | None = None
    """Part of `turn_ms` that reading and hearing media take."""

    @property
    def calls_a_core(self) -> float:
        """Number of calls that would use a whole core, by the CPU of this run."""
        return self.case.calls / (self.cpu_s / self.seconds)

    @property
    def had_core(self) -> bool:
        """Whether the workers had their cores when they wanted them; if not, the times are the machine's."""
        return self.waited <= MOST_WAITED

    @property
    def is_sound(self) -> bool:
        """Whether every frame arrived and was worked on, and no stream broke off."""
        return self.lost <= 0 and not (self.late or self.odd or self.broken)

    def as_json(self) -> dict[str, Any]:
        """Return the figures as JSON has them."""
        return {"name": self.case.name, **asdict(self), "calls_a_core": self.calls_a_core}


def figures_from(document: dict[str, Any]) -> Figures:
    """Return the figures that `Figures.as_json` wrote."""
    fields = {name: value for name, value in document.items() if name not in ("name", "calls_a_core")}
    parsed = {
        "case": Case(**fields["case"]),
        "shares": tuple(fields["shares"]),
        **{name: Lateness(**fields[name]) for name in ("age", "closed")},
    }
    return Figures(**{**fields, **parsed})
