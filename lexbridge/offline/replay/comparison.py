"""Utterances of then and of now, side by side, and how they differ."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

SAME_MS = 20
"""Distance in ms within which two times are the same: a frame."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """An utterance. Times are media time of its stream, in ms; `reason` is why it ended, None if it was not heard out.

    `number`: the turn that it became, or None.
    """

    stream_sid: str
    started_ms: int
    ended_ms: int
    reason: str | None
    number: int | None = None

    def overlaps(self, other: "Utterance") -> bool:
        """Return whether two utterances share some time."""
        is_same_stream = self.stream_sid == other.stream_sid
        return is_same_stream and self.started_ms < other.ended_ms and other.started_ms < self.ended_ms


@dataclass(frozen=True, slots=True)
class Row:
    """Utterances that belong together: those of then and those of now that share some time."""

    then: tuple[Utterance, ...]
    now: tuple[Utterance, ...]
    is_then_known: bool = True

    @property
    def difference(self) -> str:
        """Difference in a few words; "" if nothing differs, or if it is not known what was decided then."""
        if not self.is_then_known:
            return ""
        if not self.now:
            return "not heard now"
        if not self.then:
            return "was not heard then"
        if len(self.then) == len(self.now) == 1:
            return _difference(self.then[0], self.now[0])
        return f"{len(self.then)} became {len(self.now)}"


def compare(then: Iterable[Utterance] | None, now: Iterable[Utterance]) -> list[Row]:
    """Return the rows of a table, in the order of time within each stream, the streams in their order.

    `then`: None if it is not known.
    """
    order: dict[str, int] = {}
    both = [(one, True) for one in then or ()] + [(one, False) for one in now]
    for one, _ in both:
        order.setdefault(one.stream_sid, len(order))
    both.sort(key=lambda each: (order[each[0].stream_sid], each[0].started_ms, each[0].ended_ms))
    groups: list[list[tuple[Utterance, bool]]] = []
    for each in both:
        if groups and any(each[0].overlaps(member) for member, _ in groups[-1]):
            groups[-1].append(each)
        else:
            groups.append([each])
    return [
        Row(
            tuple(one for one, was in group if was),
            tuple(one for one, was in group if not was),
            is_then_known=then is not None,
        )
        for group in groups
    ]


def _difference(then: Utterance, now: Utterance) -> str:
    told = []
    for name, before_ms, after_ms in (
        ("starts", then.started_ms, now.started_ms),
        ("ends", then.ended_ms, now.ended_ms),
    ):
        late_ms = after_ms - before_ms
        if abs(late_ms) > SAME_MS:
            told.append(f"{name} {abs(late_ms)} ms {'later' if late_ms > 0 else 'sooner'}")
    if then.reason != now.reason:
        told.append(f"{now.reason or 'not heard out'} instead of {then.reason or 'not heard out'}")
    return ", ".join(told)


def table(rows: Sequence[Row]) -> list[str]:
    """Return the lines of a table for people. A row that differs begins with a star."""
    if not rows:
        return ["no utterances, then or now"]
    lines = [f"   {'turn':>4}  {'then':<34}  {'now':<34}  difference"]
    for row in rows:
        for at in range(max(len(row.then), len(row.now))):
            then = row.then[at] if at < len(row.then) else None
            now = row.now[at] if at < len(row.now) else None
            number = str(then.number) if then is not None and then.number is not None else ""
            told = row.difference if at == 0 else ""
            mark = "*" if row.difference else " "
            before = _shown(then) if row.is_then_known else "not known"
            lines.append(f" {mark} {number:>4}  {before:<34}  {_shown(now):<34}  {told}".rstrip())
    return lines


def _shown(one: Utterance | None) -> str:
    if one is None:
        return "-"
    return f"{one.started_ms / 1000:8.2f} s to {one.ended_ms / 1000:8.2f} s {one.reason or ''}".rstrip()
