"""The locks pin what the requirements ask for, with hashes, on each Python that lexbridge supports."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent

LOCKS = {
    "requirements-lock.txt": ["requirements-webrtc.txt"],
    "requirements-silero-lock.txt": ["requirements-webrtc.txt", "requirements-silero.txt"],
    "requirements-offline-lock.txt": ["requirements-offline.txt"],
}
PYTHONS = ["3.11", "3.12", "3.13"]


def wanted(file: Path) -> Iterator[Requirement]:
    """Return the requirements of a file, and of the files that it refers to."""
    for line in file.read_text(encoding="utf-8").splitlines():
        text = line.partition("#")[0].strip()
        if text.startswith("-r "):
            yield from wanted(file.parent / text.removeprefix("-r "))
        elif text:
            yield Requirement(text)


def pinned(lock: str) -> Iterator[tuple[Requirement, int]]:
    """Return each pin of a lock, with the number of its hashes."""
    for entry in re.sub(r"(?m)^\s*#.*\n", "", lock).replace("\\\n", " ").splitlines():
        requirement, *hashes = re.split(r"\s--hash=sha256:(?=[0-9a-f]{64}\b)", entry)
        yield Requirement(requirement), len(hashes)


def unmet(asked: Iterator[Requirement], lock: str, environment: Mapping[str, str]) -> list[str]:
    """Return the requirements for which no version, several versions, or a wrong version is pinned."""

    def counts(requirement: Requirement) -> bool:
        return requirement.marker is None or requirement.marker.evaluate({**environment})

    pins: dict[str, list[str]] = {}
    for pin, hashes in pinned(lock):
        [specifier] = pin.specifier
        assert (specifier.operator, hashes > 0) == ("==", True), f"{pin} has to be one version, with its hashes"
        if counts(pin):
            pins.setdefault(plain(pin.name), []).append(specifier.version)
    return [
        f"{one}: {pins.get(plain(one.name))}"
        for one in asked
        if counts(one) and [one.specifier.contains(version) for version in pins.get(plain(one.name), [])] != [True]
    ]


def plain(name: str) -> str:
    """Return a package's name in the form that the index compares."""
    return re.sub(r"[-_.]+", "-", name).lower()


def linux(python: str) -> dict[str, str]:
    """Return the variables of the markers, as they are in the image."""
    there = {"python_version": python, "python_full_version": f"{python}.5", "sys_platform": "linux"}
    return {**default_environment(), **there, "platform_machine": "x86_64"}


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("lock", LOCKS)
def test_the_lock_has_what_the_requirements_ask_for(lock: str, python: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    for file in LOCKS[lock]:
        assert unmet(wanted(ROOT / file), text, linux(python)) == [], "make lock"


def test_the_makefile_makes_each_lock_of_just_these_requirements() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    made = dict(re.findall(r"\$\(COMPILE\) --output-file (\S+) (.+)", makefile))
    assert {lock: files.split() for lock, files in made.items()} == LOCKS


def test_all_locks_agree_so_that_what_is_tested_is_what_runs() -> None:
    plain_lock, *others = ((ROOT / lock).read_text(encoding="utf-8") for lock in LOCKS)
    pins = {str(pin) for pin, _ in pinned(plain_lock)}
    webrtc = {pin for pin in pins if pin.startswith("webrtcvad-wheels")}
    for other in others:
        assert pins - webrtc <= {str(pin) for pin, _ in pinned(other)}, "make lock"


@pytest.mark.parametrize(
    ("asked", "python", "complaint"),
    [
        ("flask>=4", "3.11", "flask>=4: ['3.1.3']"),
        ("uwsgi", "3.11", "uwsgi: None"),
        ('audioop-lts; python_version >= "3.12"', "3.12", 'audioop-lts; python_version >= "3.12": None'),
        ("Flask_Sockets", "3.11", None),
        ("audioop-lts", "3.13", None),
    ],
)
def test_a_lock_that_lacks_something_is_found(asked: str, python: str, complaint: str | None) -> None:
    digest = "--hash=sha256:" + "0" * 64
    lock = (
        f"flask==3.1.3 \\\n    {digest} \\\n    {digest}\n    # via\n    #   x\n"
        f"flask-sockets==0.2.1 \\\n    {digest}\naudioop-lts==0.2.2 ; python_full_version >= '3.13' \\\n    {digest}\n"
    )
    assert unmet(iter([Requirement(asked)]), lock, linux(python)) == ([complaint] if complaint else [])


@pytest.mark.parametrize("line", ["flask==3.1.3\n", "flask>=3.1 \\\n    --hash=sha256:" + "0" * 64 + "\n"])
def test_a_pin_without_hashes_or_of_many_versions_is_refused(line: str) -> None:
    with pytest.raises(AssertionError, match="one version, with its hashes"):
        unmet(iter([]), line, linux("3.11"))
