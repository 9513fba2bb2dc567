"""The map in lexbridge/__init__.py is the house: imports go down it only."""

import ast
import re
from pathlib import Path

import lexbridge

HOUSE = Path(lexbridge.__file__).parent
MAPPED = re.findall(r"^    (?:floor (\d) +\w+|       ) +(\w+)/? +\S", lexbridge.__doc__, re.MULTILINE)
MODULES = [module for _, module in MAPPED]
FLOORS = {module: max(int(floor) for floor, _ in MAPPED[: at + 1] if floor) for at, (_, module) in enumerate(MAPPED)}
PROTOCOLS = {("lex", "LexRuntime"), ("call_control", "CallControl")}


def imports_of(path):
    """Each (module of ours, name) that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} has a relative import"
            names = [(f"{node.module}.{alias.name}", alias.name) for alias in node.names]
        else:
            names = [(alias.name, "") for alias in node.names] if isinstance(node, ast.Import) else []
        yield from ((full.split(".")[1], name) for full, name in names if full.startswith("lexbridge."))


def test_every_module_is_on_the_map_and_every_name_on_the_map_is_a_module():
    found = {path.stem for path in HOUSE.iterdir() if path.stem not in ("__init__", "__pycache__")}
    assert found == {*MODULES, "offline"}
    assert sorted(set(FLOORS.values())) == [0, 1, 2, 3, 4, 5]


def test_each_module_imports_only_what_stands_above_it_on_the_map():
    for at, module in enumerate(MODULES):
        for path in [*HOUSE.glob(f"{module}.py"), *HOUSE.glob(f"{module}/*.py")]:
            upwards = {found for found, _ in imports_of(path)} - {*MODULES[:at], module}
            assert not upwards, f"{path.name} imports {upwards}"


def test_the_other_house_imports_the_pure_floors_and_two_protocols_only():
    for path in (HOUSE / "offline").rglob("*.py"):
        for module, name in imports_of(path):
            allowed = module == "offline" or (module, name) in PROTOCOLS or FLOORS[module] <= 3
            assert allowed, f"{path.name} imports {name} of {module}"
