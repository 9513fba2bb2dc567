"""TwiML documents: everything that Twilio is told to do in a call. `rendering` makes them of `templates/`.

Each document keeps the call (`<Pause>`, then `<Redirect>` to /twiml/resume) or ends it in words. TwiML verbs come from
the templates alone: what a bot says is text, or SSML rebuilt from a list of elements, and can never become a verb.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from lexbridge.call.documents import NO_QUERY, CallDocuments, Document, Opening, Query, Reprompts
from lexbridge.call.dtmf import KeyRules
from lexbridge.call.stream_parameters import SWITCHED_PARAMETER
from lexbridge.call.transfers import Handoff
from lexbridge.config.connection_overrides import DEFAULT_OVERRIDES
from lexbridge.lex.model import Message
from lexbridge.twilio.addresses import Addresses
from lexbridge.twilio.rendering import MAX_DOCUMENT_CHARACTERS, Renderer
from lexbridge.twilio.route_seal import sealed_route
from lexbridge.twilio.routes import KEYS_PATH, STREAM_STATUS_PATH
from lexbridge.twilio.say import clean, text_pieces
from lexbridge.twilio.transfer_values import transfer_values

_END_CHARACTERS = "0123456789*#"
"""Keys that a `<Gather>` takes as its finishOnKey."""


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
        overrides: str = DEFAULT_OVERRIDES,
    ) -> None:
        """Prepare for the service at `url`, a public base address without a "/" at its end.

        `hold_s`: how long a document keeps the call after its prompt was heard: as long as an update may take to come.
        `voice`, `language`: attributes of every `<Say>`. `is_two_way`: whether streams are bidirectional (`<Connect>`).
        `route`: text of the route that serves the calls; it goes into every address.
        `secret`: seals what an address holds of a call's content; without it no address holds any. `account_sid`: the
        Twilio account of the calls, for which it is sealed; "" for the own one. `overrides`: connection overrides
        of every address of the service, or "".
        """
        self._secret = secret
        self._account_sid = account_sid
        self._is_two_way = is_two_way
        self._addresses = Addresses(url, route, secret, overrides)
        self._renderer = Renderer(stream_url, hold_s, voice, language)

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
        return self._renderer.make(
            "streams.xml",
            messages,
            notice=text_pieces(clean(notice)),
            opening=opening,
            status_url=self._addresses.at(STREAM_STATUS_PATH, **query),
            resume_url=self._addresses.resume(lost=lost, after=opening.name, **query),
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
        return self._renderer.make(
            "connect.xml",
            messages,
            voice,
            opening=opening,
            status_url=self._addresses.at(STREAM_STATUS_PATH, **query),
            resume_url=self._addresses.resume(lost=lost, of=opening.name, **opens, **query),
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
        """Return a document that says `messages`, and holds a call whose stream is one-way.

        The arguments are those of `CallDocuments.reply`.
        """
        opening = self._cleaned(opening) if opening else None
        after = opening.name if opening else stream_sid
        values: dict[str, Any] = {
            "opening": opening,
            "stream_sid": stream_sid,
            "status_url": self._addresses.at(STREAM_STATUS_PATH, **query),
            "resume_url": self._addresses.resume(lost=1, after=after, **query),
            "gather": self._gather(after, keys, query),
            "longer_s": longer_s,
            "is_protected": is_protected,
        }
        shorter = replace(reprompts, prompt=()) if reprompts else None
        silent = values | {
            "resume_url": self._addresses.resume(silent=1, after=after, **({"voice": voice} if voice else {}), **query),
            "gather": self._gather(after, keys, {"asks": 1, **query}),
        }
        for each in (reprompts, shorter) if reprompts else ():
            document = self._renderer.make("reply.xml", messages, voice, reprompts=each, **silent)
            if not document.characters_cut and len(document.twiml) <= MAX_DOCUMENT_CHARACTERS:
                return document
        return self._renderer.make("reply.xml", messages, voice, **values)

    def recover(self, lost: int, stream: str, query: Query = NO_QUERY) -> Document:
        """Return a document that sends the call to /twiml/resume, after its `stream` was lost.

        `lost`: how many streams the call has lost in a row.
        """
        return self._renderer.make("recover.xml", resume_url=self._addresses.resume(lost=lost, of=stream, **query))

    def goodbye(
        self, messages: Sequence[Message], voice: str | None = None, last_words: str = "", *, stream: str = ""
    ) -> Document:
        """Return a document that says `messages` and `last_words`, and hangs up.

        `stream`: a one-way stream that is stopped.
        """
        return self._renderer.make(
            "goodbye.xml", messages, voice, stream=stream, last_pieces=text_pieces(clean(last_words))
        )

    def go_on_at(
        self,
        url: str,
        messages: Sequence[Message],
        stream_sid: str | None = None,
        voice: str | None = None,
        last_words: str = "",
    ) -> Document:
        """Return a document that says `messages` and `last_words`, and sends the call on to `url`.

        `stream_sid`: a one-way stream that is stopped.
        """
        last_pieces = text_pieces(clean(last_words))
        return self._renderer.make(
            "after.xml", messages, voice, url=url, stream_sid=stream_sid, last_pieces=last_pieces
        )

    def reject(self, reason: str) -> Document:
        """Return a document that does not answer the call. `reason`: `busy` or `rejected`.

        Source: https://www.twilio.com/docs/voice/twiml/reject .
        """
        return self._renderer.make("reject.xml", reason=reason)

    def transfer(
        self,
        messages: Sequence[Message],
        handoff: Handoff,
        voice: str | None = None,
        query: Query = NO_QUERY,
    ) -> Document:
        """Return a document that says `messages`, and transfers the call as `handoff` says."""
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
        """Return a document that says `messages`, and has the bot of another route go on with the call.

        `route`: text of that route. `stream_sid`: a one-way stream that is stopped.
        """
        address = self._addresses.resume_by(route, query)
        return self._renderer.make("switch.xml", messages, voice, stream_sid=stream_sid, resume_url=address)

    def whisper(self, words: str, voice: str | None = None) -> Document:
        """Return the document that says `words` to the person whom a transfer reaches, and then connects them."""
        return self._renderer.make("whisper.xml", [Message(words)], voice)

    def gone(self) -> Document:
        """Return the document for a call that nobody hears any more, or that another program has."""
        return self._renderer.make("gone.xml")

    def _transfer(self, messages: Sequence[Message], handoff: Handoff, voice: str | None, query: Query) -> Document:
        values = transfer_values(handoff, self._secret, self._account_sid, voice, query, self._addresses.at)
        return self._renderer.make("transfer.xml", messages, voice, **values)

    def _gather(self, stream: str, keys: KeyRules | None = None, query: Query = NO_QUERY) -> dict[str, Any]:
        """Return the attributes of `<Gather>`. Its keys go to /twiml/keys, with the name of the stream and `query`."""
        keys = keys or KeyRules()
        return {
            "url": self._addresses.at(KEYS_PATH, of=stream, **query),
            "end_character": keys.end_character if keys.end_character in _END_CHARACTERS else "#",
            "timeout_s": math.ceil(keys.end_timeout_ms / 1000),
            "longest": keys.longest,
        }

    def _cleaned(self, opening: Opening) -> Opening:
        """Return `opening` in characters that XML can hold, and with its route sealed."""
        sealed = [
            (name, sealed_route(self._secret, value) if name == SWITCHED_PARAMETER else value)
            for name, value in opening.parameters
        ]
        return Opening(clean(opening.name), [(clean(name), clean(value)) for name, value in sealed])
