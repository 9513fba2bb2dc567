"""The how-to pages: the steps that they mark lead where the page says, in a copy of the code."""

from pathlib import Path

import pytest

from tests.support.packages import ROOT
from tests.support.steps import copy_code, steps_of, take

PAGES = sorted((ROOT / "docs/howto").glob("*.md"))


@pytest.mark.parametrize("page", [page for page in PAGES if list(steps_of(page))], ids=lambda page: page.stem)
def test_the_steps_of_a_page_can_be_taken(page: Path, tmp_path: Path) -> None:
    copy_code(tmp_path)
    for step in steps_of(page):
        take(step, tmp_path)


def test_every_page_is_listed() -> None:
    listed = (ROOT / "docs/howto/README.md").read_text(encoding="utf-8")
    assert {page.name for page in PAGES} - {"README.md"} == {page.name for page in PAGES if f"({page.name})" in listed}
