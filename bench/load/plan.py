"""Plan of the load measurement: its cases, and the rounds in which they take turns."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

from bench.load.case import BEFORE, OURS, PEERS, Case

STOCK_CALLS = 100
"""Number of calls with which stock gevent-websocket is at its best; a core is full of 130."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Choice on the command line: each combination of these is a case of the service."""

    calls: Sequence[int] = (400,)
    sounds: Sequence[str] = ("silent",)
    detectors: Sequence[str] = ("amplitude",)
    modes: Sequence[str] = ("call-update",)
    workers: Sequence[int] = (1,)
    peers: Sequence[str] = PEERS
    tls: bool = False
    watched: bool = False
    before: bool = False


def cases(choice: Choice) -> list[Case]:
    """Return the cases, the peers first. Peers get silent calls only: they do not answer."""
    found = list(dict.fromkeys(_peers(choice)))
    combined = product(choice.calls, choice.sounds, choice.detectors, choice.modes, choice.workers)
    for calls, sound, detector, mode, workers in combined:
        talks = sound == "talking"
        case = Case(OURS, calls, talks, detector, mode, workers, watched=choice.watched)
        case = replace(case, tls=choice.tls and talks)  # only a turn asks Lex
        found += [replace(case, server=BEFORE), case] if choice.before else [case]
    return found


def _peers(choice: Choice) -> Iterator[Case]:
    for calls, peer in product(choice.calls, choice.peers):
        yield Case(peer, min(calls, STOCK_CALLS) if peer == "stock" else calls)


def gate(before: bool = False) -> list[Case]:
    """Return the cases of a run without a choice: a silent message beside the peers, and a turn over TLS.

    `before`: whether the service of another folder is measured, too.
    """
    return [*cases(Choice(before=before)), *_turn_over_tls(before)]


def _turn_over_tls(before: bool = False) -> list[Case]:
    """Return silent and talking calls over TLS, with picows as the measure of the machine."""
    return cases(Choice((200,), sounds=("silent", "talking"), tls=True, peers=("picows",), before=before))


def everything(before: bool = False) -> list[Case]:
    """Return the cases of the figures in docs/performance.md. `before`: as in `gate`."""
    silent = Choice(detectors=("amplitude", "adaptive", "hybrid"), before=before)
    streamed = Choice(modes=("stream",), peers=())
    talking = Choice((100, 200), sounds=("silent", "talking"), modes=("call-update", "stream"), peers=())
    hybrid = Choice((100, 200), sounds=("silent", "talking"), detectors=("hybrid",), peers=())
    watched = Choice((1000,), watched=True, peers=())
    found = [case for choice in (silent, streamed, talking, hybrid, watched) for case in cases(choice)]
    return list(dict.fromkeys([*_turn_over_tls(before), *found]))
