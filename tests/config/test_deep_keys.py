"""Keys with many dots, found before the text is parsed: in every TOML text those that it has, and nothing else."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexbridge.config.deep_keys import find_deep_key
from lexbridge.config.lines_file import parse_lines
from lexbridge.errors import ConfigError
from tests.support.packages import ROOT
from tests.support.property_tests import examples

MOST = 3

TEXTS = [
    '"a.b.c.d.e.f"',
    "'a.b.c.d.e.f'",
    r'"\"a.b.c.d.e.f"',
    r'"\\"',
    '""',
    "''",
    '"""\na.b.c.d.e.f\n"""',
    '""""a.b.c.d.e.f"""""',
    '"""\\"""a.b.c.d.e.f"""',
    '"""a\\\n  .b.c.d.e.f"""',
    "'''\na.b.c.d.e.f\n'''",
    "'''''a.b.c.d.e.f''''",
    '""""""',
    "''''''",
    '"#"',
    "\"'''\"",
]
"""Texts of TOML, with what could be taken for a key or for the end of a text."""

VALUES = st.one_of(
    st.sampled_from([*TEXTS, "1.5", "-1_000.25e3", "1979-05-27T07:32:00.999Z", "07:32:00.1", "true", "inf", "[]"]),
    st.lists(st.sampled_from([*TEXTS, "1.5", "2.5"])).map(lambda items: f"[{', '.join(items)}]"),
)
PART = st.one_of(st.text("ab-_12", min_size=1, max_size=3), st.sampled_from(['"a.b"', "'c.d'", r'"\""', '"#"', "''"]))
COMMENTS = st.sampled_from(["", " # a.b.c.d.e.f", "# '''", '# """', '#"'])


@st.composite
def keys(draw: st.DrawFn) -> tuple[str, int]:
    """Draw a key, and the number of its dots."""
    dots = draw(st.integers(0, 2 * MOST))
    space = st.sampled_from(["", " ", "\t "])
    # The first part is another one in each line, so that no key is there twice.
    key = "".join(f"{draw(space)}.{draw(space)}{draw(PART)}" for _ in range(dots))
    return key, dots


@st.composite
def statements(draw: st.DrawFn) -> tuple[str, int]:
    """Draw a statement that begins with `@`, which stands for the first part of its key, and the most dots in a key."""
    key, dots = draw(keys())
    value, comment, end = draw(VALUES), draw(COMMENTS), draw(st.sampled_from(["\n", "\r\n", "\n\n"]))
    match draw(st.sampled_from(["pair", "table", "array of tables", "inline table"])):
        case "pair":
            return f"@{key} = {value}{comment}{end}", dots
        case "table":
            return f"[@{key}]{comment}{end}", dots
        case "array of tables":
            return f"[[ @{key} ]]{comment}{end}", dots
        case _:
            inner, inner_dots = draw(keys())
            return f"@{key} = {{ x{inner} = {value}, y = 1 }}{comment}{end}", max(dots, inner_dots)


@given(st.lists(statements(), max_size=8))
@examples(400)
def test_a_key_is_found_in_toml_if_it_has_many_dots(drawn: list[tuple[str, int]]) -> None:
    lines = [text.replace("@", f"k{number}", 1) for number, (text, _) in enumerate(drawn)]
    text = "".join(lines)
    tomllib.loads(text)
    deep = next((number for number, (_, dots) in enumerate(drawn) if dots > MOST), None)
    assert (find_deep_key(text, MOST) is None) == (deep is None)
    if deep is not None:
        first = sum(line.count("\n") for line in lines[:deep]) + 1
        assert find_deep_key(text, MOST) in range(first, first + lines[deep].count("\n"))


def depth_of(value: Any) -> int:
    """Return the number of tables in each other: a key makes one for each of its dots."""
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    return max(map(depth_of, value), default=0) if isinstance(value, list) else 0


@given(st.lists(st.sampled_from([*"ab.\"'#=[]{},\\ \n", '"""', "'''", "a = ", "\r\n", "\t"])).map("".join))
@examples(2000)
def test_no_file_that_could_be_read_is_refused(text: str) -> None:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    assert find_deep_key(text, depth_of(data) - 1) is None


BLOCKS = [
    (path.name, block)
    for path in sorted(ROOT.glob("docs/**/*.md"))
    for block in re.findall(r"```toml\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)
]


@pytest.mark.parametrize("block", [block for _, block in BLOCKS], ids=[name for name, _ in BLOCKS])
def test_no_example_is_refused(block: str) -> None:
    assert parse_lines(block)


def test_no_toml_file_of_ours_is_refused() -> None:
    files = [Path(ROOT / "pyproject.toml"), *ROOT.glob("docs/**/*.toml"), *ROOT.glob("tests/**/*.toml")]
    for file in files:
        assert parse_lines(file.read_text(encoding="utf-8"))


HARD = {
    "a text without an end, full of quotes": '"' + r"\"" * 300_000,
    "quotes without a text": r"\"" * 300_000,
    "a long text without an end": '"""' + '\\"""' * 200_000,
    "a long text that ends in a backslash": '"""' + "a" * 800_000 + "\\",
    "quotes alone": '"' * 800_000,
    "apostrophes alone": "'" * 800_000,
    "apostrophes and quotes": "'\"" * 400_000,
    "dots alone": "." * 800_000,
    "two dots": "a.." * 250_000,
    "keys of the most dots": ("a" + ".a" * MOST + "\n") * 80_000,
    "keys whose last part has no end": ('"a".' * MOST + '"a\n') * 50_000,
    "spaces": ("a" + " " * 1000 + ".\n") * 800,
}
"""Texts as long as a file may be, that a search could go through again and again."""


@pytest.mark.parametrize("text", HARD.values(), ids=HARD)
def test_hard_texts_are_looked_through_once(text: str) -> None:
    """A search that began anew at each character would take hours."""
    assert find_deep_key(text, MOST) is None


def test_a_file_is_told_by_the_line_of_its_key() -> None:
    with pytest.raises(ConfigError, match="see line 4"):
        parse_lines('# a\ngreeting = """\nHello."""\n' + "a." * 20 + "a = 1")
