"""The table of conditions names every flag of the code, and no other."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import lexbridge
from lexbridge.call.conditions.table import CONDITIONS

PACKAGE = Path(lexbridge.__file__).parent
MODULES = [*(PACKAGE / "call").rglob("*.py"), PACKAGE / "audio/endpointing.py"]
CLASSES = {
    node.name: node
    for module in MODULES
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
    if isinstance(node, ast.ClassDef)
}
NO_CONDITIONS = {"Prompt._is_sound_reported"}
"""Names of flags that decide nothing but what is logged."""


def assigned(function: ast.FunctionDef) -> Iterator[tuple[str, ast.expr]]:
    """Yield what a method assigns to attributes of `self`: the name of each, and the value."""
    for node in ast.walk(function):
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        for target in targets:
            if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id == "self":
                yield target.attr, node.value


def attributes(owner: ast.ClassDef) -> dict[str, ast.expr | None]:
    """Return the attributes of a class by name, each with its first value, if it has one."""
    found: dict[str, ast.expr | None] = {}
    for node in owner.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found[node.target.id] = node.value
        if isinstance(node, ast.FunctionDef):
            found[node.name] = None
            if node.name == "__init__":
                found.update(assigned(node))
    return found


def changes(owner: ast.ClassDef) -> bool:
    """Return whether the objects of a class can change: they are no frozen dataclass, no enum and no Protocol."""
    made_by = " ".join(ast.unparse(node) for node in [*owner.decorator_list, *owner.bases])
    return "frozen=True" not in made_by and "Enum" not in made_by and not made_by.endswith("Protocol")


FLAGS = {
    f"{name}.{attribute}"
    for name, owner in CLASSES.items()
    if changes(owner)
    for attribute, value in attributes(owner).items()
    if isinstance(value, ast.Constant) and isinstance(value.value, bool)
}
KEPT = [place for condition in CONDITIONS for place in condition.kept_in]


@pytest.mark.parametrize("place", KEPT)
def test_each_condition_is_kept_where_the_table_says(place: str) -> None:
    owner, attribute = place.split(".")
    assert attribute in attributes(CLASSES[owner])


def test_each_flag_is_a_condition() -> None:
    assert len(FLAGS) > 10
    assert FLAGS - set(KEPT) - NO_CONDITIONS == set()
    assert NO_CONDITIONS <= FLAGS


def test_no_name_and_no_place_comes_twice() -> None:
    names = [condition.name for condition in CONDITIONS]
    assert len(set(names)) == len(names)
    assert len(set(KEPT)) == len(KEPT)


def written_on_the_call(module: Path) -> Iterator[str]:
    """Yield each assignment to an attribute of the call, as source text."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        for target in targets:
            for part in target.elts if isinstance(target, ast.Tuple) else [target]:
                if isinstance(part, ast.Attribute) and ast.unparse(part.value) in ("call", "self._call"):
                    yield ast.unparse(part)


def test_the_state_of_the_call_is_written_in_one_place() -> None:
    written = {str(module.relative_to(PACKAGE)): list(written_on_the_call(module)) for module in MODULES}
    assert {name: found for name, found in written.items() if found} == {}


def test_what_is_written_on_the_call_is_found(tmp_path: Path) -> None:
    module = tmp_path / "rule.py"
    module.write_text("call.a, other.b = 1, 2\nself._call.c += 1\nself.d = call.e\n", encoding="utf-8")
    assert list(written_on_the_call(module)) == ["call.a", "self._call.c"]
