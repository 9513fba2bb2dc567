"""TwiML documents: everything that Twilio is told to do in a call, rendered from `templates/`.

Each document keeps the call (`<Pause>`, then `<Redirect>` to /twiml/resume) or ends it in words. TwiML verbs come from
the templates alone: what a bot says is text, or SSML rebuilt from a list of elements, and can never become a verb.
"""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import escape

from lexbridge.call.documents import NO_QUERY, CallDocuments, Document, Opening, Query, Reprompts
from lexbridge.call.dtmf import KeyRules
from lexbridge.call.stream_parameters import REPROMPTS_PARAMETER, SPOKEN_PARAMETER, SWITCHED_PARAMETER
from lexbridge.call.transfers import Handoff
from lexbridge.lex.model import Message
from lexbridge.twilio.rendered_reprompts import RenderedReprompts
from lexbridge.twilio.route_seal import sealed_route
from lexbridge.twilio.routes import KEYS_PATH, RESUME_PATH, STREAM_STATUS_PATH
from lexbridge.twilio.say import clean, cut_at_sentence, pieces_ms, plain_text, say_pieces, text_pieces
from lexbridge.twilio.signatures import CONNECTION_OVERRIDES
from lexbridge.twilio.transfer_values import transfer_values

MAX_DOCUMENT_CHARACTERS = 4000
"""Longest TwiML in a REST request, in characters: https://www.twilio.com/docs/api/errors/32018 ."""

_TEMPLATES = Path(__file__).resolve().parents[2] / "templates"
_ENVIRONMENT = Environment(
    loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined, auto_reload=False
)
# Compiled at import: a broken template shows when the service starts, and worker processes are forked with all of them.
_COMPILED = {name: _ENVIRONMENT.get_template(name) for name in _ENVIRONMENT.list_templates(["xml"])}
_VOICES_WITHOUT_SSML = ("man", "woman", "alice")
_END_CHARACTERS = "0123456789*#"
"""Keys that a `<Gather>` takes as its finishOnKey."""


def stream_name(lost: int, previous: str = "") -> str:
    """Return the name of the stream that follows `previous`, the last of `lost` streams lost in a row.

    `previous`: the name or SID of the lost stream, or "" for a call's first stream. Every process makes the same name,
    so that Twilio takes only one of two streams that would replace the same lost one.
    """
    return f"lexbridge-{lost}-{previous[-8:]}" if previous else f"lexbridge-{lost}"


def streams_lost(name: str) -> int:
    """Return how many streams a call had lost before the stream `name`, or 0 if the name is not from `stream_name`."""
    named = re.fullmatch(r"lexbridge-([0-9]{1,4})(-.*)?", name)
    return int(named[1]) if named else 0


class TwimlDocuments(CallDocuments):
    """Maker of the documents of one service.

    The parameter `query` of its methods goes into every address of the document: Twilio repeats it when it asks there.
    """

    def __init__(
        self,
        url: str,
        stream_url: str,
        hold_s: int,
        voice: str | None = None,
        language: str | None = None,
        is_two_way: bool = False,
        route: str = "",
        secret: str = "",
        account_sid: str = "",
    ) -> None:
        """Prepare for the service at `url`, a public base address without a "/" at its end.

        `hold_s`: how long a document keeps the call after its prompt was heard: as long as an update may take to come.
        `voice`, `language`: attributes of every `<Say>`. `is_two_way`: whether streams are bidirectional (`<Connect>`).
        `route`: text of the route that serves the calls; it goes into every address.
        `secret`: seals what an address holds of a call's content; without it no address holds any. `account_sid`: the
        Twilio account of the calls, for which it is sealed; "" for the own one.
        """
        self._route = _line_query(route, secret)
        self._hold_s = hold_s
        self._secret = secret
        self._account_sid = account_sid
        self._is_two_way = is_two_way
        self._url = url
        self._voice = clean(voice or "")
        self._constants = {
            "stream_url": stream_url,
            "language": clean(language or ""),
        }

    def answer(
        self,
        greeting: str,
        opening: Opening,
        lost: int = 1,
        opens_ms: int | None = None,
        query: Query = NO_QUERY,
        notice: str = "",
        *,
        is_protected: bool = False,
        replaces: str = "",
    ) -> Document:
        """Return a document that says `notice`, opens a stream, says `greeting` and keeps the call.

        The notice is heard to its end: no stream is open yet, so nothing can update the call. `lost`: how many streams
        the call will have lost in a row if this one is lost, too. `opens_ms`: Unix time at which a bidirectional stream
        opens; it shows later how long the stream lasted. `is_protected`: no key stops the greeting.
        `replaces`: a stream of the call that ends, if streams are one-way; a bidirectional one ends by the document.
        """
        messages = [Message(greeting)]
        if self._is_two_way:
            return self.connect([Message(notice), *messages], opening, lost, opens_ms=opens_ms, query=query)
        opening = self._cleaned(opening)
        return self._make(
            "streams.xml",
            messages,
            notice=text_pieces(clean(notice)),
            opening=opening,
            status_url=self._address(STREAM_STATUS_PATH, **query),
            resume_url=self._resume_url(lost=lost, after=opening.name, **query),
            gather=self._gather(opening.name, query=query),
            is_protected=is_protected,
            replaces=replaces,
        )

    def connect(
        self,
        messages: Sequence[Message],
        opening: Opening,
        lost: int = 1,
        voice: str | None = None,
        opens_ms: int | None = None,
        query: Query = NO_QUERY,
    ) -> Document:
        """Return a document that says `messages`, and connects the caller to a bidirectional stream until it ends.

        `lost`, `opens_ms`: as for `answer`.
        """
        opening = self._cleaned(opening)
        opens = {} if opens_ms is None else {"opens": opens_ms}
        return self._make(
            "connect.xml",
            messages,
            voice,
            opening=opening,
            status_url=self._address(STREAM_STATUS_PATH, **query),
            resume_url=self._resume_url(lost=lost, of=opening.name, **opens, **query),
        )

    def reply(
        self,
        messages: Sequence[Message],
        stream_sid: str,
        opening: Opening | None = None,
        voice: str | None = None,
        keys: KeyRules | None = None,
        reprompts: Reprompts | None = None,
        longer_s: int = 0,
        query: Query = NO_QUERY,
        *,
        is_protected: bool = False,
    ) -> Document:
        opening = self._cleaned(opening) if opening else None
        after = opening.name if opening else stream_sid
        values: dict[str, Any] = {
            "opening": opening,
            "stream_sid": stream_sid,
            "status_url": self._address(STREAM_STATUS_PATH, **query),
            "resume_url": self._resume_url(lost=1, after=after, **query),
            "gather": self._gather(after, keys, query),
            "longer_s": longer_s,
            "is_protected": is_protected,
        }
        shorter = replace(reprompts, prompt=()) if reprompts else None
        silent = values | {
            "resume_url": self._resume_url(silent=1, after=after, **({"voice": voice} if voice else {}), **query),
            "gather": self._gather(after, keys, {"asks": 1, **query}),
        }
        for each in (reprompts, shorter) if reprompts else ():
            document = self._make("reply.xml", messages, voice, reprompts=each, **silent)
            if not document.characters_cut and len(document.twiml) <= MAX_DOCUMENT_CHARACTERS:
                return document
        return self._make("reply.xml", messages, voice, **values)

    def recover(self, lost: int, stream: str, query: Query = NO_QUERY) -> Document:
        """Return a document that sends the call to /twiml/resume, after its `stream` was lost.

        `lost`: how many streams the call has lost in a row.
        """
        return self._make("recover.xml", [], resume_url=self._resume_url(lost=lost, of=stream, **query))

    def goodbye(
        self, messages: Sequence[Message], voice: str | None = None, last_words: str = "", *, stream: str = ""
    ) -> Document:
        """Return the document that `CallDocuments` has. `stream`: a one-way stream that is stopped."""
        return self._make("goodbye.xml", messages, voice, stream=stream, last_pieces=text_pieces(clean(last_words)))

    def go_on_at(
        self,
        url: str,
        messages: Sequence[Message],
        stream_sid: str | None = None,
        voice: str | None = None,
        last_words: str = "",
    ) -> Document:
        last_pieces = text_pieces(clean(last_words))
        return self._make("after.xml", messages, voice, url=url, stream_sid=stream_sid, last_pieces=last_pieces)

    def reject(self, reason: str) -> Document:
        """Return a document that does not answer the call. `reason`: `busy` or `rejected`.

        Source: https://www.twilio.com/docs/voice/twiml/reject .
        """
        return Document(_COMPILED["reject.xml"].render(reason=reason))

    def transfer(
        self,
        messages: Sequence[Message],
        handoff: Handoff,
        voice: str | None = None,
        query: Query = NO_QUERY,
    ) -> Document:
        # What has no room is left out: rather that than a document that Twilio refuses.
        poorer = replace(handoff, after=""), replace(handoff, after="", attributes={})
        for each in (handoff, *poorer):
            document = self._transfer(messages, each, voice, query)
            if len(document.twiml) <= MAX_DOCUMENT_CHARACTERS:
                return document
        return self._transfer(messages, replace(handoff, after="", attributes={}, whisper="", goodbye=""), voice, query)

    def switch(
        self,
        messages: Sequence[Message],
        route: str,
        stream_sid: str | None,
        voice: str | None = None,
        query: Query = NO_QUERY,
    ) -> Document:
        address = self._join(RESUME_PATH, {**query, **_line_query(route, self._secret)})
        return self._make("switch.xml", messages, voice, stream_sid=stream_sid, resume_url=address)

    def whisper(self, words: str, voice: str | None = None) -> Document:
        """Return the document that says `words` to the person whom a transfer reaches, and then connects them."""
        return self._make("whisper.xml", [Message(words)], voice)

    def gone(self) -> Document:
        """Return the document for a call that nobody hears any more, or that another program has."""
        return self._make("gone.xml", [])

    def _transfer(self, messages: Sequence[Message], handoff: Handoff, voice: str | None, query: Query) -> Document:
        values = transfer_values(handoff, self._secret, self._account_sid, voice, query, self._address)
        return self._make("transfer.xml", messages, voice, **values)

    def _gather(self, stream: str, keys: KeyRules | None = None, query: Query = NO_QUERY) -> dict[str, Any]:
        """Return the attributes of `<Gather>`. Its keys go to /twiml/keys, with the name of the stream and `query`."""
        keys = keys or KeyRules()
        return {
            "url": self._address(KEYS_PATH, of=stream, **query),
            "end_character": keys.end_character if keys.end_character in _END_CHARACTERS else "#",
            "timeout_s": math.ceil(keys.end_timeout_ms / 1000),
            "longest": keys.longest,
        }

    def _resume_url(self, **query: str | int) -> str:
        return self._address(RESUME_PATH, **query)

    def _address(self, path: str, **query: str | int) -> str:
        """Return the address of one of this service's routes, as Twilio is given it."""
        return self._join(path, {**query, **self._route})

    def _join(self, path: str, query: Query) -> str:
        if "switched" in query:
            query = {**query, "switched": sealed_route(self._secret, str(query["switched"]))}
        query_text = urlencode(query, errors="replace")
        query_text = f"?{query_text}" if query_text else ""
        return f"{self._url}{path}{query_text}{CONNECTION_OVERRIDES}"

    def _cleaned(self, opening: Opening) -> Opening:
        sealed = [
            (name, sealed_route(self._secret, value) if name == SWITCHED_PARAMETER else value)
            for name, value in opening.parameters
        ]
        return Opening(clean(opening.name), [(clean(name), clean(value)) for name, value in sealed])

    def _make(
        self,
        template: str,
        messages: Sequence[Message],
        voice: str | None = None,
        reprompts: Reprompts | None = None,
        **values: Any,
    ) -> Document:
        """Return a document that is short enough for Twilio. Its messages are cut from the end, at sentences."""
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


def _line_query(route: str, secret: str) -> Query:
    """Return how an address names a route; "" is the default line, which it does not name."""
    return {"line": sealed_route(secret, route)} if route else {}


def _pieces_that_may_fit(pieces: Iterable[str]) -> Iterator[str]:
    """Yield only the pieces that can still fit, so that a huge text is not rendered as a whole."""
    room = MAX_DOCUMENT_CHARACTERS
    for piece in pieces:
        if room > 0:
            yield piece
        room -= len(escape(piece))
