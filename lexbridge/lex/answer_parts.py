"""A tolerant reader of Lex's answers: a part that cannot be read is named, and the others are used.

Lex takes a turn before it answers, so the turn cannot be sent again. An answer with something new or something broken
in it is therefore used as far as it can be read.
"""

import base64
import json
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

MAX_UNPACKED_BYTES = 1 << 18
"""The largest compressed field after unpacking, in bytes, because Lex's headers have 16 KB at most: more is not Lex's.

A field is unpacked and read in one go, during which no other call is served.
"""

MAX_PARTS = 20_000
"""The most commas and brackets in a compressed field, because reading JSON takes longer the more parts it has."""


class AnswerParts:
    """A reader of the parts of one answer. It remembers the names of the parts that could not be used.

    A part that is missing is not odd. The names tell nothing of a part's content, so they may be logged.
    """

    def __init__(self) -> None:
        self._odd: list[str] = []

    @property
    def odd(self) -> tuple[str, ...]:
        """The names of the parts that could not be used, each once, in the order in which they were read."""
        return tuple(dict.fromkeys(self._odd))

    def mark_odd(self, name: str) -> None:
        """Remember that the part `name` could not be used."""
        self._odd.append(name)

    def object(self, value: Any, name: str) -> Mapping[str, Any]:
        """Return a JSON object, or an empty one if `value` is missing or is no object."""
        if value is not None and not isinstance(value, dict):
            self.mark_odd(name)
        return value if isinstance(value, dict) else {}

    def objects(self, value: Any, name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield the objects of a list, each with its own name, such as `messages[2]`."""
        if value is not None and not isinstance(value, list):
            self.mark_odd(name)
        for at, part in enumerate(value if isinstance(value, list) else []):
            if isinstance(part, dict):
                yield f"{name}[{at}]", part
            else:
                self.mark_odd(f"{name}[{at}]")

    def text(self, value: Any, name: str) -> str | None:
        """Return a text, or None if `value` is missing or is no text."""
        if value is not None and not isinstance(value, str):
            self.mark_odd(name)
        return value if isinstance(value, str) else None

    def required_text(self, value: Any, name: str) -> str | None:
        """Return a text that Lex always sends, or None if `value` is missing, which is odd, or is no text."""
        if not isinstance(value, str):
            self.mark_odd(name)
            return None
        return value

    def texts(self, value: Any, name: str) -> dict[str, str]:
        """Return the members of an object as texts, without the null ones. A member that is no text becomes JSON."""
        texts: dict[str, str] = {}
        for key, member in self.object(value, name).items():
            try:
                if member is not None:
                    texts[str(key)] = member if isinstance(member, str) else json.dumps(member)
            except (TypeError, ValueError, RecursionError):
                self.mark_odd(name)
        return texts

    def json(self, text: str | bytes, name: str) -> Any:
        """Return the value of a JSON text, or None if it cannot be read."""
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            self.mark_odd(name)
            return None

    def text_of_base64(self, value: Any, name: str) -> str | None:
        """Return the text in base64 of UTF-8, or None if `value` is missing, is empty or cannot be read."""
        if not value:
            return None
        try:
            return base64.b64decode(value, validate=True).decode()
        except (ValueError, TypeError):
            self.mark_odd(name)
            return None

    def packed(self, value: Any, name: str) -> Any:
        """Return the value in base64 of gzip of JSON, as Lex V2 packs it, or None if there is none to be read."""
        if not value:
            return None
        try:
            compressed = base64.b64decode(value, validate=True)
            unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)  # 16: a gzip header
            unpacked = unpacker.decompress(compressed, MAX_UNPACKED_BYTES)
        except (ValueError, TypeError, zlib.error):
            self.mark_odd(name)
            return None
        if not unpacker.eof or sum(map(unpacked.count, (b",", b"[", b"{"))) > MAX_PARTS:
            self.mark_odd(name)
            return None
        return self.json(unpacked, name)
