"""Rendering of the templates in `templates/` into documents that are short enough for Twilio."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import escape

from lexbridge.call.documents import Document, Reprompts
from lexbridge.call.stream_parameters import REPROMPTS_PARAMETER, SPOKEN_PARAMETER
from lexbridge.lex.model import Message
from lexbridge.twilio.rendered_reprompts import RenderedReprompts
from lexbridge.twilio.say import clean, cut_at_sentence, pieces_ms, plain_text, say_pieces

MAX_DOCUMENT_CHARACTERS = 4000
"""Longest TwiML in a REST request, in characters: https://www.twilio.com/docs/api/errors/32018 ."""

_TEMPLATES = Path(__file__).resolve().parents[2] / "templates"
_ENVIRONMENT = Environment(
    loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined, auto_reload=False
)
# Compiled at import: a broken template shows when the service starts, and worker processes are forked with all of them.
_COMPILED = {name: _ENVIRONMENT.get_template(name) for name in _ENVIRONMENT.list_templates(["xml"])}
_VOICES_WITHOUT_SSML = ("man", "woman", "alice")


class Renderer:
    """Maker of documents from templates, for one voice and language."""

    def __init__(self, stream_url: str, hold_s: int, voice: str | None = None, language: str | None = None) -> None:
        """Prepare for streams to `stream_url`.

        `hold_s`: how long a document keeps the call after its prompt was heard. `voice`, `language`: attributes of
        every `<Say>`.
        """
        self._hold_s = hold_s
        self._voice = clean(voice or "")
        self._constants = {"stream_url": stream_url, "language": clean(language or "")}

    def make(
        self,
        template: str,
        messages: Sequence[Message] = (),
        voice: str | None = None,
        reprompts: Reprompts | None = None,
        **values: Any,
    ) -> Document:
        """Return the document that `template` makes of `messages` and `values`.

        It is short enough for Twilio: messages are cut from the end, at sentences. `voice`: in place of the usual one.
        """
        values["voice"] = voice or self._voice
        has_ssml = values["voice"] not in _VOICES_WITHOUT_SSML
        values["reprompts"] = (
            RenderedReprompts.make(reprompts, has_ssml, values["gather"]["timeout_s"]) if reprompts else None
        )
        reprompts_ms = values["reprompts"].spoken_ms if reprompts else ()
        pieces = say_pieces(messages, has_ssml)
        texts = [plain_text(piece) for piece in pieces]
        before = sum(map(len, texts))
        pieces = list(_pieces_that_may_fit(pieces))
        twiml = self._render(template, pieces, values)
        while len(twiml) > MAX_DOCUMENT_CHARACTERS and pieces:
            last = pieces.pop()
            room = len(escape(last)) - (len(twiml) - MAX_DOCUMENT_CHARACTERS)
            shorter = cut_at_sentence(plain_text(last), room)  # markup is dropped before any of its words
            if shorter:
                pieces.append(shorter)
            twiml = self._render(template, pieces, values)
        after = sum(len(plain_text(piece)) for piece in pieces)
        return Document(twiml, pieces_ms(pieces), before - after, reprompts_ms)

    def _render(self, template: str, pieces: Sequence[str], values: dict[str, Any]) -> str:
        # It is an estimate when a prompt has been heard. The pause is longer, because it may be later.
        spoken_ms = pieces_ms(pieces)
        hold_s = self._hold_s + values.get("longer_s", 0) + spoken_ms // 2000
        told = [(SPOKEN_PARAMETER, str(spoken_ms))]
        if reprompts := values["reprompts"]:
            told.append((REPROMPTS_PARAMETER, " ".join(map(str, reprompts.spoken_ms))))
        return _COMPILED[template].render(pieces=pieces, hold_s=hold_s, told=told, **self._constants, **values)


def _pieces_that_may_fit(pieces: Iterable[str]) -> Iterator[str]:
    """Yield only the pieces that can still fit, so that a huge text is not rendered as a whole."""
    room = MAX_DOCUMENT_CHARACTERS
    for piece in pieces:
        if room > 0:
            yield piece
        room -= len(escape(piece))
