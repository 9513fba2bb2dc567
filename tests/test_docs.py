"""The documents agree with the code: settings, commands, state diagrams, the map."""

import re
from pathlib import Path

import pytest

from lexbridge.twilio.refusals import WRONG_SIGNATURE
from tests.support.documents import BLOCKS, FILES
from tests.support.packages import block

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("document", "name"), BLOCKS)
def test_what_is_made_from_the_code_is_up_to_date(document: str, name: str) -> None:
    assert block((ROOT / document).read_text(encoding="utf-8"), name) == BLOCKS[document, name](), "run: make docs"


@pytest.mark.parametrize("name", FILES)
def test_files_made_from_the_code_are_up_to_date(name: str) -> None:
    assert (ROOT / name).read_text(encoding="utf-8") == FILES[name](), "run: make docs"


def test_every_make_target_named_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"`?make ([a-z]+)`?", README))
    assert {"demo", "test", "check"} <= named
    assert named <= targets


def test_every_module_run_by_a_command_exists() -> None:
    modules = set(re.findall(r"python -m ([a-z._]+)", README))
    assert "lexbridge.offline" in modules
    for module in modules:
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), module


def test_every_offline_command_named_exists() -> None:
    source = (ROOT / "lexbridge/offline/__main__.py").read_text(encoding="utf-8")
    for command in set(re.findall(r"python -m lexbridge\.offline ([a-z]+)", README)):
        assert f'"{command}"' in source, command


def test_every_link_leads_somewhere() -> None:
    for document in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def anchors(document: Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    shown = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", one).strip().lower() for one in headings]
    return {re.sub(r"[^\w\- ]", "", one).replace(" ", "-") for one in shown}


def test_every_anchor_of_a_link_is_a_heading() -> None:
    for document in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        text = document.read_text(encoding="utf-8")
        for path, anchor in re.findall(r"\]\(([^)#:\s]*)#([^)\s]+)\)", text):
            linked = document.parent / path if path else document
            if linked.suffix == ".md":
                assert anchor in anchors(linked), f"{document.name}: {path}#{anchor}"


def test_every_file_that_a_document_names_exists() -> None:
    for document in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        if document.name == "CHANGELOG.md":  # tells of files as they were
            continue
        text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
        text = re.sub(r"<!-- step: create .*? -->", "", text)
        for path in re.findall(r"`((?:lexbridge|tests|bench|docs|cloudformation|templates)/[\w./-]+)`", text):
            if "..." not in path:
                assert (ROOT / path).exists(), f"{document.name}: {path}"
    architecture = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    for path in re.findall(r"`((?:audio|config|lex|call|twilio|bridge|net|web|server|offline)/[\w./]*)`", architecture):
        assert (ROOT / "lexbridge" / path).exists(), path


def test_the_two_commands_come_first() -> None:
    assert README.index("make demo") < README.index("make test") < README.index("## ")


def test_every_test_that_security_names_exists() -> None:
    named = re.findall(r"`((?:\w+/)*test_\w+\.py)::(test_\w+)`", (ROOT / "SECURITY.md").read_text(encoding="utf-8"))
    assert len(named) > 20
    for module, test in named:
        assert f"def {test}(" in (ROOT / "tests" / module).read_text(encoding="utf-8"), f"{module}::{test}"


def test_each_reason_of_a_refusal_is_explained_and_no_other() -> None:
    modules = ("refusals", "signature_diagnosis")
    source = "".join((ROOT / f"lexbridge/twilio/{name}.py").read_text(encoding="utf-8") for name in modules)
    named = [name.replace("{what}", "webhook") for name in re.findall(r'Cause\(\s*f?"([^"]+)"', source)]
    reasons = {name.replace("{WRONG_SIGNATURE}", WRONG_SIGNATURE) for name in named if "{' and" not in name}
    another = "webhook: signed for another "
    reasons |= {another + part for part in re.findall(r'(?:yield|insert\(0,) "([a-z ]+)"', source)}
    table = re.search(r"\| `reason` \|.*?\n\n", (ROOT / "docs/socket.md").read_text(encoding="utf-8"), re.DOTALL)
    assert table is not None
    explained = set()
    for row in table[0].strip().splitlines()[2:]:
        names = re.findall("`([^`]+)`", row.split("|")[1])
        prefix = another if names[0].startswith(another) else ""
        explained |= {names[0], *(prefix + name for name in names[1:] if " and " not in name)}
    assert explained == reasons
