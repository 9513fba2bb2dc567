"""The packages of lexbridge import what tests/support/packages.py allows, and docs/architecture.md shows it."""

from graphlib import TopologicalSorter

import pytest

from tests.support.packages import (
    IMPORTS,
    IMPURE_MODULES,
    NARROW,
    OBSERVER_IMPORTS,
    PACKAGES,
    PURE,
    READS_FILES,
    ROOT,
    block,
    drawing,
    files_of,
    imported_names,
    imported_packages,
    module_name,
    python_files,
    table,
)


def test_every_package_is_in_the_table() -> None:
    modules = {path.stem for path in ROOT.glob("lexbridge/*.py")} - {"__init__", "__main__"}
    packages = {path.parent.name for path in ROOT.glob("lexbridge/*/__init__.py")}
    assert modules | packages == set(PACKAGES) == set(IMPORTS)


def test_the_packages_stand_in_the_order_of_their_imports() -> None:
    order = list(PACKAGES)
    for package, imports in IMPORTS.items():
        assert imports <= set(order[: order.index(package)]), package


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_what_its_row_allows(package: str) -> None:
    allowed = IMPORTS[package] | {package}
    for path in files_of(package):
        assert imported_packages(path) <= allowed, path


@pytest.mark.parametrize("package", PACKAGES)
def test_each_import_of_a_row_is_used(package: str) -> None:
    used = {one for path in files_of(package) for one in imported_packages(path)}
    assert IMPORTS[package] <= used


@pytest.mark.parametrize(("package", "other"), NARROW)
def test_a_narrow_import_stays_narrow(package: str, other: str) -> None:
    names = {name for path in files_of(package) for name in imported_names(path)}
    modules = {name.rpartition(".")[0] for name in names if name.startswith(f"lexbridge.{other}.")}
    assert modules == NARROW[package, other]


@pytest.mark.parametrize("package", OBSERVER_IMPORTS)
def test_a_package_of_the_observer_imports_what_it_may(package: str) -> None:
    inside = {path.parent.name for path in ROOT.glob("lexbridge/observer/*/__init__.py")}
    names = {name for path in files_of(f"observer/{package}") for name in imported_names(path)}
    used = {name.split(".")[2] for name in names if name.startswith("lexbridge.observer.")} & inside
    assert used - {package} == OBSERVER_IMPORTS[package]


def test_what_is_pure_does_no_io_and_reads_no_clock() -> None:
    for path in python_files(*PURE):
        found = {name.split(".")[0] for name in imported_names(path)} & IMPURE_MODULES
        assert found == READS_FILES.get(str(path.relative_to(ROOT / "lexbridge")), set()), path


def test_the_document_shows_the_table() -> None:
    document = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    assert block(document, "packages") == drawing()
    assert block(document, "imports") == table()


def test_no_modules_import_each_other_in_a_circle() -> None:
    files = {module_name(path): path for path in ROOT.glob("lexbridge/**/*.py")}
    imports = {}
    for module, path in files.items():
        parents = {name.rpartition(".")[0] for name in imported_names(path)}
        imports[module] = (parents | set(imported_names(path))) & set(files) - {module, "lexbridge"}
    assert len(list(TopologicalSorter(imports).static_order())) > 100  # raises CycleError
