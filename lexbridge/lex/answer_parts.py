"""The parts of an answer of Lex's, each read by itself: one that cannot be read is named, and the others are used.

Lex takes a turn before it answers. So an answer that holds something new, or something broken, is not worth less than
what can be read of it.
"""

import base64
import json
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

MAX_UNPACKED_BYTES = 1 << 18
MAX_PARTS = 20_000
"""Lex's headers are 16 KB; a compressed field that unpacks to more bytes than this, or has more commas and brackets, is
not one of Lex's. It is unpacked and read in one go, in which no other call is heard."""


class AnswerParts:
    """Reads the parts of one answer. A part that is missing is no oddity; `odd` names those that are not as Lex has
    them, without what is in them."""

    def __init__(self) -> None:
        self._odd: list[str] = []

    @property
    def odd(self) -> tuple[str, ...]:
        """The names of the parts that could not be used, each once, in the order in which they were read."""
        return tuple(dict.fromkeys(self._odd))

    def is_odd(self, name: str) -> None:
        """Notes that the part `name` is not as Lex has it."""
        self._odd.append(name)

    def object(self, value: Any, name: str) -> Mapping[str, Any]:
        """A JSON object; empty where there is none."""
        if value is not None and not isinstance(value, dict):
            self.is_odd(name)
        return value if isinstance(value, dict) else {}

    def objects(self, value: Any, name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yields the objects of a list, each with a name of its own."""
        if value is not None and not isinstance(value, list):
            self.is_odd(name)
        for at, part in enumerate(value if isinstance(value, list) else []):
            if isinstance(part, dict):
                yield f"{name}[{at}]", part
            else:
                self.is_odd(f"{name}[{at}]")

    def text(self, value: Any, name: str) -> str | None:
        """A text."""
        if value is not None and not isinstance(value, str):
            self.is_odd(name)
        return value if isinstance(value, str) else None

    def texts(self, value: Any, name: str) -> dict[str, str]:
        """The members of an object as texts, without those that are null."""
        texts: dict[str, str] = {}
        for key, member in self.object(value, name).items():
            try:
                if member is not None:
                    texts[str(key)] = member if isinstance(member, str) else json.dumps(member)
            except (TypeError, ValueError, RecursionError):
                self.is_odd(name)
        return texts

    def json(self, text: str | bytes, name: str) -> Any:
        """The value of a JSON text."""
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            self.is_odd(name)
            return None

    def text_of_base64(self, value: Any, name: str) -> str | None:
        """A text that is base64 of UTF-8; "" is none."""
        if not value:
            return None
        try:
            return base64.b64decode(value, validate=True).decode()
        except (ValueError, TypeError):
            self.is_odd(name)
            return None

    def packed(self, value: Any, name: str) -> Any:
        """The value of a field of V2: base64 of gzip of JSON. "" is none."""
        if not value:
            return None
        try:
            compressed = base64.b64decode(value, validate=True)
            unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)  # 16: a gzip header
            unpacked = unpacker.decompress(compressed, MAX_UNPACKED_BYTES)
        except (ValueError, TypeError, zlib.error):
            self.is_odd(name)
            return None
        if not unpacker.eof or sum(map(unpacked.count, (b",", b"[", b"{"))) > MAX_PARTS:
            self.is_odd(name)
            return None
        return self.json(unpacked, name)
