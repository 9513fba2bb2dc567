"""Place of the table of lines, `LINES_FILE`: a file of this machine, or an object in S3."""

import os
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from lexbridge.config.lines_file import FILE, build_table, parse_lines
from lexbridge.config.parsers import lines_place
from lexbridge.config.service_settings import ServiceSettings
from lexbridge.config.settings import Settings
from lexbridge.errors import ConfigError, Problem
from lexbridge.lex.boto import make_session

MAX_BYTES = 1_000_000
"""Size of the largest table: that of several thousand lines."""

DEADLINE_S = 10.0
"""Limits a reading from S3, in seconds."""

SETTLED_S = 2.0
"""Age in seconds from which on a file counts as whole. Half a table is a table, too, without the other lines."""

_CONNECT_S, _READ_S = 3.0, 5.0
_CHUNK_BYTES = 65536
_S3 = "s3://"


@dataclass(frozen=True, slots=True)
class LinesText:
    """The text of a table. `version`: differs for another text: the ETag of S3, or the time and size of a file."""

    text: str
    version: str


class LinesSource:
    """Reads the table of lines, again and again."""

    def __init__(self, place: str, settings: ServiceSettings | None, region: str | None = None) -> None:
        """`place`: the value of LINES_FILE. `settings`: None suffices for a file of this machine.

        `region`: AWS region that is asked first, or None for us-east-1.
        """
        self._place = place
        self._settings = settings
        self._region = region or "us-east-1"
        self._client: Any = None

    def read(self, unless: str | None = None) -> LinesText | None:
        """Return the table, or None if its version is still `unless`. Raise ConfigError if it cannot be read.

        With `unless`, a file that was written a moment ago is left for later: it may not be whole yet.
        """
        return self._read_object(unless) if self._place.startswith(_S3) else self._read_file(unless)

    def _read_file(self, unless: str | None) -> LinesText | None:
        path = Path(self._place)
        try:
            if not path.is_file() and path.exists():
                raise _unreadable("is a folder")
            with path.open("rb") as file:
                status = os.fstat(file.fileno())
                version = f"{status.st_mtime_ns}-{status.st_size}-{status.st_ino}"
                is_being_written = unless is not None and 0 <= time.time() - status.st_mtime < SETTLED_S
                if version == unless or is_being_written:
                    return None
                content = file.read(MAX_BYTES + 1)
        except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
            why = getattr(error, "strerror", None)
            # The whole path, because one that does not begin with / is sought in the working directory.
            raise _unreadable(f"{why}: {path.absolute()}" if why else "is no path") from error
        return LinesText(_decoded(content), version)

    def _read_object(self, unless: str | None) -> LinesText | None:
        parts = urlsplit(self._place)
        request = {"Bucket": parts.netloc, "Key": self._place.removeprefix(f"{_S3}{parts.netloc}/")}
        if unless is not None:
            request["IfNoneMatch"] = unless
        try:
            answer = self._s3().get_object(**request)
            return LinesText(_decoded(_body(answer["Body"])), str(answer.get("ETag", "")))
        except ClientError as error:
            if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 304:
                return None
            code = str(error.response.get("Error", {}).get("Code", ""))[:80]
            raise _unreadable(f"S3 answered {code}", "the credentials need s3:GetObject on it") from error
        except (BotoCoreError, OSError, ValueError) as error:
            raise _unreadable(f"S3 cannot be reached, {type(error).__name__}", "check the network") from error

    def _s3(self) -> Any:
        if self._client is None:
            if self._settings is None:
                raise AssertionError("S3 needs credentials")
            limits = {"connect_timeout": _CONNECT_S, "read_timeout": _READ_S, "retries": {"total_max_attempts": 2}}
            self._client = make_session(self._settings, self._region).client("s3", config=Config(**limits))
        return self._client


def source_of(settings: Settings) -> LinesSource | None:
    """Return the place of the table of lines, or None if there is none."""
    if settings.service.lines_file is None:
        return None
    region = None if settings.default_line is None else settings.default_line.aws_region
    return LinesSource(settings.service.lines_file, settings.service, region)


def find_problems(environment: Mapping[str, str], known: Collection[Problem]) -> list[Problem]:
    """Return what is wrong with the table of lines beside a wrong environment, whose problems are `known`.

    A table in S3 is left out, because what is needed to read it may be wrong.
    """
    place = environment.get("LINES_FILE", "").strip()
    try:
        if not place or lines_place(place).startswith(_S3):
            return []
        found = LinesSource(place, None).read()
        if found is not None:
            build_table(parse_lines(found.text), environment, None, known=known)
    except ValueError:  # the place is none, which is known
        return []
    except ConfigError as error:
        return list(error.problems)
    return []


def _body(stream: Any) -> bytes:
    """Return the content of an object, or its first bytes if it is too long. Raise TimeoutError at the deadline."""
    until_s = time.monotonic() + DEADLINE_S
    content = b""
    while len(content) <= MAX_BYTES and (chunk := stream.read(_CHUNK_BYTES)):
        content += chunk
        if time.monotonic() > until_s:
            raise TimeoutError("S3 is too slow")
    return content


def _decoded(content: bytes) -> str:
    if len(content) > MAX_BYTES:
        raise ConfigError([Problem(FILE, "is too long", f"must have at most {MAX_BYTES} bytes")])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError([Problem(FILE, f"is no UTF-8 text: see line {line}", "must be saved as UTF-8")]) from error


def _unreadable(why: str, rule: str = "must be a TOML file that can be read, or s3://bucket/key") -> ConfigError:
    return ConfigError([Problem(FILE, f"cannot be read ({why})", rule)])
