"""The findings of `server.py --check=live`: one for each subject, printed as a table."""

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """The outcome of one check, in the words of the table."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "NOT OK"
    NOT_ASKED = "not asked"


@dataclass(frozen=True, slots=True)
class Finding:
    """One row of the table: the subject, the verdict and the reason.

    `remedy`: what the operator can do about it, or "".
    """

    subject: str
    verdict: Verdict
    why: str
    remedy: str = ""


def ok(subject: str, why: str) -> Finding:
    """Return a finding that all is well with `subject`."""
    return Finding(subject, Verdict.OK, why)


def warning(subject: str, why: str, remedy: str = "") -> Finding:
    """Return a finding that calls work, with something that the operator should know about `subject`."""
    return Finding(subject, Verdict.WARNING, why, remedy)


def failed(subject: str, why: str, remedy: str = "") -> Finding:
    """Return a finding that calls do not work because of `subject`."""
    return Finding(subject, Verdict.FAILED, why, remedy)


def not_asked(subject: str, why: str, remedy: str = "") -> Finding:
    """Return a finding that `subject` could not be checked."""
    return Finding(subject, Verdict.NOT_ASKED, why, remedy)


def quoted(words: object, longest: int = 200) -> str:
    """Return the words of a peer in one line between quotation marks, cut to `longest` characters."""
    line = " ".join("".join(each if each.isprintable() else " " for each in str(words)).split())
    return f'"{line if len(line) <= longest else line[: longest - 3] + "..."}"'


def all_is_well(findings: Iterable[Finding]) -> bool:
    """Return whether everything was checked and nothing failed. A warning is no failure."""
    return all(finding.verdict in (Verdict.OK, Verdict.WARNING) for finding in findings)


def table(findings: Sequence[Finding], width: int = 100) -> str:
    """Return the findings in aligned columns, remedies below them, and a last line that sums up.

    `width`: characters in a line, which a word without spaces, such as an address, may exceed.
    """
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
