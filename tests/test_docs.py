"""The documents say what the code does: settings, commands, state diagrams, the map."""

import re
from collections.abc import Mapping
from enum import Enum
from pathlib import Path

import pytest

from lexbridge.call.attributes import ATTRIBUTES
from lexbridge.call.states import CALL_MOVES, TURN_MOVES
from lexbridge.config.variables import BOTO3_VARIABLES, SETTINGS
from lexbridge.twilio.refusals import WRONG_SIGNATURE
from tests.support.packages import block

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CALL = (ROOT / "docs" / "call.md").read_text(encoding="utf-8")


def settings_table() -> str:
    def default(value: str | None, required: bool) -> str:
        return "required" if required else "unset" if value is None else f"`{value}`"

    rows = [f"| `{one.name}` | {default(one.default, one.required)} | {one.help} |" for one in SETTINGS]
    rows += [f"| `{name}` | unset | {what} |" for name, what in BOTO3_VARIABLES]
    return "\n".join(["| Name | Default | Meaning |", "|---|---|---|", *rows, ""])


def attributes_table() -> str:
    rows = [f"| `{one.name}` | {one.set_by} | {one.help} |" for one in ATTRIBUTES]
    return "\n".join(["| Session attribute | Set by | Meaning |", "|---|---|---|", *rows, ""])


def diagram(moves: Mapping[tuple[Enum, Enum], Enum]) -> str:
    """A table of moves as a Mermaid state diagram."""
    lines = [f"    {state.value} --> {after.value}: {move.value}" for (state, move), after in moves.items()]
    return "\n".join(["```mermaid", "stateDiagram-v2", *lines, "```", ""])


def test_the_readmes_settings_are_the_codes() -> None:
    assert block(README, "settings") == settings_table()


def test_the_readmes_session_attributes_are_the_codes() -> None:
    assert block(README, "attributes") == attributes_table()


@pytest.mark.parametrize(("name", "moves"), [("call moves", CALL_MOVES), ("turn moves", TURN_MOVES)])
def test_the_diagrams_are_drawn_from_the_tables(name: str, moves: Mapping[tuple[Enum, Enum], Enum]) -> None:
    assert block(CALL, name) == diagram(moves)


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


def test_the_two_commands_come_first() -> None:
    assert README.index("make demo") < README.index("make test") < README.index("## ")


def test_every_test_that_security_names_exists() -> None:
    named = re.findall(r"`((?:\w+/)?test_\w+\.py)::(test_\w+)`", (ROOT / "SECURITY.md").read_text(encoding="utf-8"))
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
