"""Recorded human prompts and hold music, from Debian's packages: fetched once, checked, never committed.

The voices are split for good: nothing is ever tuned on `HELD_OUT`.
"""

import hashlib
import io
import os
import re
import tarfile
import urllib.request
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from lexbridge.audio.pcm import RATE_HZ

Samples = npt.NDArray[np.float64]
"""Mono, 8 kHz, in units of 16-bit PCM."""

MIRRORS = ("https://deb.debian.org/debian/", "https://snapshot.debian.org/archive/debian/20260101T000000Z/")
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "lexbridge" / "recordings"
SHORTEST_S = 0.1
NOT_SPEECH = re.compile(r"silence/|beep|tt-|.*tone$|confbridge-(join|leave)$")
"""Names of recordings that are not speech."""


@dataclass(frozen=True, slots=True)
class Package:
    """Package of Debian: `path` on a mirror, its `sha256`, and the `folder` in it that is used."""

    path: str
    sha256: str
    folder: str

    @property
    def name(self) -> str:
        """Name of the package."""
        return PurePosixPath(self.path).name.partition("_")[0]


_CORE = "pool/main/a/asterisk-core-sounds/asterisk-core-sounds-{}-wav_1.6.1-1_all.deb"
VOICES = {
    "Allison": Package(
        _CORE.format("en"),
        "2be3ea287d83299d143815fa804f11179a75b7affd4a758b98b55f5afc18a35d",
        "usr/share/asterisk/sounds/en_US_f_Allison",
    ),
    "es_MX": Package(
        _CORE.format("es"),
        "9283a09a6d56fccdcc2bcfe86c48f0f844289cfbd46a3184d8785a6f7f569903",
        "usr/share/asterisk/sounds/es_MX_f_Allison",
    ),
    "June": Package(
        _CORE.format("fr"),
        "8d4e1bc32ed5ba7fbda40841ca1825ed20cc6232724a473c90f8bb0e53e6073e",
        "usr/share/asterisk/sounds/fr_CA_f_June",
    ),
    "Menardi": Package(
        "pool/main/a/asterisk-prompt-it/asterisk-prompt-it-menardi-wav_1.4.22+mm20110907-3.1_all.deb",
        "3094530d98f8758ac275572d59624c41f60969fef883f34f4886d144f3dfeb21",
        "usr/share/asterisk/sounds/it_IT_f_Menardi",
    ),
    "Carlo": Package(
        _CORE.format("it"),
        "5a26638089e134b8ac39363fe249c5c93c50cd8bfdc9b2499ae61ec4a35e2fcb",
        "usr/share/asterisk/sounds/it_IT_m_Carlo",
    ),
    "IvrvoiceRU": Package(
        _CORE.format("ru"),
        "ccbfaebfa450b7a9ddf644ae0f3d1e9017d5df7c0aebe816e946345589d38201",
        "usr/share/asterisk/sounds/ru_RU_f_IvrvoiceRU",
    ),
    "Armelle": Package(
        "pool/main/a/asterisk-prompt-fr-armelle/asterisk-prompt-fr-armelle_20070613-2.2_all.deb",
        "162570b1a9b3512a98f06b89f60c7c17cf1b9b52297315adca9a4e5be728bea3",
        "usr/share/asterisk/sounds/fr",
    ),
    "es_CO": Package(
        "pool/main/a/asterisk-prompt-es-co/asterisk-prompt-es-co_0.20070403-2.1_all.deb",
        "6702696e045514699e87dc8fb70f370717e5df91f821f7bec8dd0df1be008e83",
        "usr/share/asterisk/sounds/es",
    ),
}
"""Package of each voice. Armelle and es_CO are coded as GSM, as mobile callers sound."""

DEVELOPMENT = ("Allison", "es_MX", "June", "Menardi")
HELD_OUT = ("Carlo", "IvrvoiceRU", "Armelle", "es_CO")
MUSIC = Package(
    "pool/main/a/asterisk-moh-opsound/asterisk-moh-opsound-wav_2.03-1.1_all.deb",
    "8f9d808a729d305c2d3343993f21ca5e6829e411682618dc8ea7aa8bc24a566c",
    "usr/share/asterisk/moh",
)


@dataclass(frozen=True, slots=True)
class Recording:
    """One prompt. `name`: path in its folder without the ending, such as "digits/7"."""

    voice: str
    name: str
    samples: Samples


def voice(name: str, cache: Path = CACHE) -> list[Recording]:
    """Return all recordings of the voice `name` (of VOICES), in the order of their names."""
    return [Recording(name, path, samples) for path, samples in _sounds(VOICES[name], cache)]


def music(cache: Path = CACHE) -> list[Samples]:
    """Return the hold music."""
    return [samples for _, samples in _sounds(MUSIC, cache)]


def _sounds(package: Package, cache: Path) -> Iterator[tuple[str, Samples]]:
    for path, content in sorted(_files(_fetched(package, cache), package.folder)):
        name = PurePosixPath(path)
        if name.suffix in (".wav", ".gsm") and not NOT_SPEECH.match(path.removesuffix(name.suffix)):
            samples = _wav(content) if name.suffix == ".wav" else _gsm(content)
            if len(samples) >= SHORTEST_S * RATE_HZ:
                yield str(name.with_suffix("")), samples


def _wav(content: bytes) -> Samples:
    with wave.open(io.BytesIO(content)) as sound:
        if (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) != (RATE_HZ, 1, 2):
            raise ValueError("not 16-bit mono at 8 kHz")
        return np.frombuffer(sound.readframes(sound.getnframes()), dtype="<i2").astype(np.float64)


def _gsm(content: bytes) -> Samples:
    import soundfile

    samples, _ = soundfile.read(
        io.BytesIO(content), format="RAW", subtype="GSM610", samplerate=RATE_HZ, channels=1, dtype="int16"
    )
    return np.asarray(samples, dtype=np.float64)


def _fetched(package: Package, cache: Path) -> bytes:
    kept = cache / f"{package.name}.deb"
    if kept.exists():
        content = kept.read_bytes()
        if hashlib.sha256(content).hexdigest() == package.sha256:
            return content
    content = _downloaded(package)
    cache.mkdir(parents=True, exist_ok=True)
    part = kept.with_suffix(f".{os.getpid()}")
    part.write_bytes(content)
    part.replace(kept)
    return content


def _downloaded(package: Package) -> bytes:
    problems = []
    for mirror in MIRRORS:
        try:
            with urllib.request.urlopen(mirror + package.path, timeout=60) as answer:  # noqa: S310 - https, ours
                content: bytes = answer.read()
        except OSError as error:
            problems.append(f"{mirror}: {error}")
            continue
        if hashlib.sha256(content).hexdigest() == package.sha256:
            return content
        problems.append(f"{mirror}: another file than the one that was measured (sha256)")
    raise OSError(f"{package.name} cannot be fetched: " + "; ".join(problems))


def _files(deb: bytes, folder: str) -> Iterator[tuple[str, bytes]]:
    """Yield path within `folder` and content of each file of a Debian package: an ar archive with a tar archive."""
    with tarfile.open(fileobj=io.BytesIO(_member(deb, b"data.tar"))) as files:
        for file in files:
            path = PurePosixPath(file.name)
            if file.isfile() and path.is_relative_to(folder) and (content := files.extractfile(file)) is not None:
                yield str(path.relative_to(folder)), content.read()


def _member(archive: bytes, name: bytes) -> bytes:
    """Return the member of an ar archive whose name starts with `name`. Its headers have 60 bytes: deb(5)."""
    at = len(b"!<arch>\n")
    while at < len(archive):
        header, size = archive[at : at + 60], int(archive[at + 48 : at + 58])
        if header.startswith(name):
            return archive[at + 60 : at + 60 + size]
        at += 60 + size + size % 2
    raise ValueError(f"no {name.decode()} in it")
