"""The first lines of public docstrings stand alone: they begin with an imperative verb or a noun phrase.

What a docstring says, a test cannot judge. Its first word tells most of those that only make sense beside the code.
"""

import ast
import re
from functools import cache

import pytest

from tests.support.packages import ROOT

LEAST_SHARE = 0.95
"""Share of first lines that must stand alone, because a rule about words has exceptions."""

DEPENDENT = frozenset(
    re.findall(
        r"\w+",
        """
    see it its they their that this there those these he she we our us ours theirs
    of as for to from with without by in at after before between while beyond under over on off into until since
    because if unless what where when which how why who whoever whatever whichever wherever whom whose
    nobody somebody nothing something everything anything everybody is are was were has have had does did
    may might must can could will would should not only so such too also and or but then else here now again
    """,
    )
)
"""First words, in lower case, of a line that needs its neighbours to make sense."""

THIRD_PERSON = re.compile(r"[A-Z][a-z]+s")
NOUNS = re.compile(r".*(ss|us|is|ings|ions|ments|ers|ors)$|Twilio's|Lex's|AWS's")
"""Endings of plural nouns, which look like verbs in the third person."""

PLURALS = frozenset(
    re.findall(
        r"\w+",
        """
    Actions Addresses Answers Arguments Attributes Bots Bytes Calls Causes Checks Clients Columns Commands Costs
    Credentials Directives Documents Doubts Events Facts Fields Figures Files Folders Frames Greenlets Headers Items
    Keys Kinds Levels Limits Lines Marks Messages Methods Milliseconds Modules Moves Names Numbers Options Packages
    Parts Paths Percentiles Phrases Pieces Places Plots Ports Processes Prompts Records Replies Requests Results Rows
    Routes Rules Scripts Seconds Seeds Sessions Shapes Signals Sounds Spans Steps Stories Streams Tables Tasks Tests
    Texts Things Threads Times Tokens Tones Turns Types Units Utterances Values Variables Verbs Views Voices Webhooks
    Words
    """,
    )
)


@cache
def first_lines(folder: str) -> list[tuple[str, str]]:
    """Return where each public docstring of a folder stands, and its first line."""
    lines = []
    for path in sorted((ROOT / folder).rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        nodes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef | ast.FunctionDef)]
        for node in [tree, *(node for node in nodes if not node.name.startswith("_"))]:
            found = ast.get_docstring(node) or ""
            lines += [
                (f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}", line) for line in found.splitlines()[:1]
            ]
    return lines


def stands_alone(line: str) -> bool:
    """Return whether a first line begins with an imperative verb or a noun phrase, as far as its first word tells."""
    word = re.sub(r"[^A-Za-z'].*", "", line.lstrip("`\"'*"))
    if word.lower() in DEPENDENT:
        return False
    is_verb = THIRD_PERSON.fullmatch(word) and not NOUNS.fullmatch(word) and word not in PLURALS
    return not is_verb


@pytest.mark.parametrize("folder", ["lexbridge", "bench", "tests"])
def test_first_lines_of_docstrings_stand_alone(folder: str) -> None:
    lines = first_lines(folder)
    dependent = [f"{where}: {line}" for where, line in lines if not stands_alone(line)]
    assert len(lines) > 300
    assert len(dependent) <= (1 - LEAST_SHARE) * len(lines), "\n".join(dependent)


def test_no_docstring_sends_its_reader_elsewhere() -> None:
    assert not [where for where, line in first_lines("lexbridge") if line.startswith("See ")]
