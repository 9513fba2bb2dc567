"""What `server.py --check=live` has found: a row for each thing that it asked, as a table for people."""

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What became of one check. The words are those of the table."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "NOT OK"
    NOT_ASKED = "not asked"


@dataclass(frozen=True, slots=True)
class Finding:
    """One row: what was checked, what came of it, and why; `remedy`: what to do about it, empty where nothing is."""

    subject: str
    verdict: Verdict
    why: str
    remedy: str = ""


def ok(subject: str, why: str) -> Finding:
    """All is well with `subject`."""
    return Finding(subject, Verdict.OK, why)


def warning(subject: str, why: str, remedy: str = "") -> Finding:
    """Calls work, and somebody should know this about `subject`."""
    return Finding(subject, Verdict.WARNING, why, remedy)


def failed(subject: str, why: str, remedy: str = "") -> Finding:
    """Calls do not work because of `subject`."""
    return Finding(subject, Verdict.FAILED, why, remedy)


def not_asked(subject: str, why: str, remedy: str = "") -> Finding:
    """`subject` could not be checked."""
    return Finding(subject, Verdict.NOT_ASKED, why, remedy)


def quoted(words: object, longest: int = 200) -> str:
    """A peer's own words, in one line of at most `longest` characters, between quotation marks."""
    line = " ".join("".join(each if each.isprintable() else " " for each in str(words)).split())
    return f'"{line if len(line) <= longest else line[: longest - 3] + "..."}"'


def all_is_well(findings: Iterable[Finding]) -> bool:
    """Whether everything was asked and nothing has failed. A warning is no failure."""
    return all(finding.verdict in (Verdict.OK, Verdict.WARNING) for finding in findings)


def table(findings: Sequence[Finding], width: int = 100) -> str:
    """The findings in aligned columns, remedies beneath, and a last line that sums up. `width`: characters of a line,
    which a word without spaces, such as an address, may exceed."""
    subjects = max(len(finding.subject) for finding in findings) + 2
    verdicts = max(len(verdict) for verdict in Verdict) + 2
    lines = []
    for finding in findings:
        begin = finding.subject.ljust(subjects) + finding.verdict.ljust(verdicts)
        lines += _wrapped(finding.why, begin, " " * len(begin), width)
        if finding.remedy:
            lines += _wrapped(finding.remedy, " " * len(begin) + "-> ", " " * (len(begin) + 3), width)
    return "\n".join([*lines, "", _sum(findings)])


def _wrapped(text: str, first: str, rest: str, width: int) -> list[str]:
    return textwrap.wrap(
        text,
        max(width, len(first) + 40),
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _sum(findings: Sequence[Finding]) -> str:
    counts = {verdict: sum(finding.verdict is verdict for finding in findings) for verdict in Verdict}
    total = len(findings)
    if counts[Verdict.OK] == total:
        return f"All {total} checks are ok."
    words = {Verdict.FAILED: "not ok", Verdict.NOT_ASKED: "not asked", Verdict.WARNING: "with a warning"}
    parts = [f"{counts[verdict]} {word}" for verdict, word in words.items() if counts[verdict]]
    return f"{total} checks: {counts[Verdict.OK]} ok, {', '.join(parts)}."
