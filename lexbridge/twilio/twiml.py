"""Every TwiML document that Twilio gets from lexbridge, rendered from `templates/`.

Each one keeps the call (Pause, then Redirect to /twiml/resume) or ends it in words. Verbs come from the templates
alone: what a bot says is text, or SSML rebuilt from a list of elements, and can never become a verb.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from lexbridge.call.documents import NO_QUERY, CallDocuments, Document, Opening, Reprompts, speaking_ms
from lexbridge.call.dtmf import KeyRules
from lexbridge.call.stream_parameters import REPROMPTS_PARAMETER, SPOKEN_PARAMETER
from lexbridge.lex.model import Message, MessageFormat
from lexbridge.twilio.signatures import CONNECTION_OVERRIDES

MAX_DOCUMENT_CHARACTERS = 4000  # of TwiML in a REST request: https://www.twilio.com/docs/api/errors/32018
MAX_SAY_CHARACTERS = 3000  # of one Say with a Polly voice: https://www.twilio.com/docs/api/errors/13521
MAX_SSML_CHARACTERS = 10_000  # Lex's messages have 1,024; more is not worth parsing

_TEMPLATES = Path(__file__).resolve().parents[2] / "templates"
_ENVIRONMENT = Environment(
    loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined, auto_reload=False
)
# Compiled as this is imported: a broken one shows at the start, and processes that are forked later have them all.
_COMPILED = {name: _ENVIRONMENT.get_template(name) for name in _ENVIRONMENT.list_templates(["xml"])}
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PAUSE = re.compile(r"</?(?:break|p|s)\b[^>]*>")
_SENTENCE_END = re.compile(
    "[.!?\u061f\u0964][\"')\\]]*(?=\\s)|[\u3002\uff01\uff1f][\u300d\u300f\"']*"
)  # of other scripts too

# What <Say> takes (https://www.twilio.com/docs/voice/twiml/say/text-speech#ssml), with the attributes of each.
_XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_SSML_NAMESPACE = "{http://www.w3.org/2001/10/synthesis}"
_SSML: dict[str, tuple[str, ...]] = {
    "break": ("strength", "time"),
    "emphasis": ("level",),
    "lang": (_XML_LANG,),
    "p": (),
    "phoneme": ("alphabet", "ph"),
    "prosody": ("volume", "rate", "pitch"),
    "s": (),
    "say-as": ("interpret-as", "format"),
    "sub": ("alias",),
    "w": ("role",),
}
_VOICES_WITHOUT_SSML = ("man", "woman", "alice")


def stream_name(lost: int, of: str = "") -> str:
    """The name of the stream that follows the stream `of` (its name or SID; "" for a call's first), the last of `lost`
    that the call lost in a row. The same for whoever makes it: if two do, Twilio takes one of them."""
    return f"lexbridge-{lost}-{of[-8:]}" if of else f"lexbridge-{lost}"


def streams_lost(name: str) -> int:
    """`lost` of a stream's name; 0 if it is none of ours."""
    named = re.fullmatch(r"lexbridge-([0-9]{1,4})(-.*)?", name)
    return int(named[1]) if named else 0


class Documents(CallDocuments):
    """Makes the documents of one service."""

    def __init__(
        self,
        url: str,
        stream_url: str,
        hold_s: int,
        voice: str | None = None,
        language: str | None = None,
        is_two_way: bool = False,
    ) -> None:
        """`url`: public base address, no "/" at its end. `hold_s`: the longest that a call can stay without an update
        after a prompt was heard; a document keeps it for that long. `voice`, `language`: attributes of every Say.
        `is_two_way`: streams are bidirectional, `<Connect>`ed."""
        self._hold_s = hold_s
        self._is_two_way = is_two_way
        self._url = url
        self._voice = clean(voice or "")
        self._known = {
            "stream_url": stream_url,
            "language": clean(language or ""),
        }

    def answer(
        self,
        greeting: str,
        opening: Opening,
        lost: int = 1,
        opens_ms: int | None = None,
        query: Mapping[str, int] = NO_QUERY,
    ) -> Document:
        """Opens the stream, greets, holds the call. `lost`: streams lost in a row, should this one come to nothing.
        `opens_ms`: when the stream opens, if it is bidirectional: Unix time, for who learns that it is lost. `query`:
        what else all addresses of the document tell whoever Twilio asks."""
        messages = [Message(greeting)]
        if self._is_two_way:
            return self.connect(messages, opening, lost, opens_ms=opens_ms, query=query)
        opening = _cleaned(opening)
        return self._fitted(
            "streams.xml",
            messages,
            opening=opening,
            status_url=self._asked("/stream-status", **query),
            resume_url=self._resume_url(lost=lost, after=opening.name, **query),
            gather=self._gather(opening.name, query=query),
        )

    def connect(
        self,
        messages: Sequence[Message],
        opening: Opening,
        lost: int = 1,
        voice: str | None = None,
        opens_ms: int | None = None,
        query: Mapping[str, int] = NO_QUERY,
    ) -> Document:
        """Says `messages`, then connects the caller to a bidirectional stream until that ends. `lost`, `opens_ms`,
        `query`: as above."""
        opening = _cleaned(opening)
        opens = {} if opens_ms is None else {"opens": opens_ms}
        return self._fitted(
            "connect.xml",
            messages,
            voice,
            opening=opening,
            status_url=self._asked("/stream-status", **query),
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
        query: Mapping[str, int] = NO_QUERY,
    ) -> Document:
        """Says `messages`, if there are any, and holds the call. `stream_sid`: the call's stream. With an `opening` it
        is stopped, and a new one takes the call over while they are said. `voice`: of these messages. `keys`: those
        that the caller may press. `reprompts`: for a caller who is silent after that; where the document has no room
        for them, without their prompt, or none. `longer_s`: so much longer than others the document holds the call.
        `query`: as above."""
        opening = _cleaned(opening) if opening else None
        after = opening.name if opening else stream_sid
        values: dict[str, Any] = {
            "opening": opening,
            "stream_sid": stream_sid,
            "status_url": self._asked("/stream-status", **query),
            "resume_url": self._resume_url(lost=1, after=after, **query),
            "gather": self._gather(after, keys, query),
            "longer_s": longer_s,
        }
        shorter = replace(reprompts, prompt=()) if reprompts else None
        silent = values | {
            "resume_url": self._resume_url(silent=1, after=after, **({"voice": voice} if voice else {}), **query),
            "gather": self._gather(after, keys, {"asks": 1, **query}),
        }
        for each in (reprompts, shorter) if reprompts else ():
            document = self._fitted("reply.xml", messages, voice, reprompts=each, **silent)
            if not document.characters_cut and len(document.twiml) <= MAX_DOCUMENT_CHARACTERS:
                return document
        return self._fitted("reply.xml", messages, voice, **values)

    def recover(self, lost: int, of: str, query: Mapping[str, int] = NO_QUERY) -> Document:
        """Sends the call to /twiml/resume: its stream `of` is lost, the last of `lost` in a row. `query`: as above."""
        return self._fitted("recover.xml", [], resume_url=self._resume_url(lost=lost, of=of, **query))

    def goodbye(self, messages: Sequence[Message], voice: str | None = None, last_words: str = "") -> Document:
        """Says `messages` and `last_words`, and hangs up. However long the messages are, the last words are said."""
        return self._fitted("goodbye.xml", messages, voice, last_pieces=_in_says(clean(last_words)))

    def transfer(
        self,
        messages: Sequence[Message],
        number: str,
        stream_sid: str | None,
        last_words: str,
        voice: str | None = None,
        caller_id: str | None = None,
    ) -> Document:
        """Stops the stream, says `messages`, dials `number`; `last_words` when that call is over or did not come
        about. A stream without a name of its own is named by its SID; None: it ends by itself. `caller_id`: the number
        that is shown to whoever is dialled; None: the caller's own."""
        last_pieces = _in_says(clean(last_words))
        return self._fitted(
            "transfer.xml",
            messages,
            voice,
            number=number,
            stream_sid=stream_sid,
            last_pieces=last_pieces,
            caller_id=caller_id,
        )

    def _gather(self, stream: str, keys: KeyRules | None = None, query: Mapping[str, int] = NO_QUERY) -> dict[str, Any]:
        """What `<Gather>` is told. Keys go to /twiml/keys, with the stream that they are for, and `query`."""
        keys = keys or KeyRules()
        return {
            "url": self._asked("/twiml/keys", of=stream, **query),
            "end_character": keys.end_character if keys.end_character in "0123456789*#" else "#",  # all it can do
            "timeout_s": math.ceil(keys.end_timeout_ms / 1000),
            "longest": keys.longest,
        }

    def _resume_url(self, **query: str | int) -> str:
        return self._asked("/twiml/resume", **query)

    def _asked(self, path: str, **query: str | int) -> str:
        """The address of a route of ours."""
        asked = f"?{urlencode(query, errors='replace')}" if query else ""
        return f"{self._url}{path}{asked}{CONNECTION_OVERRIDES}"

    def _fitted(
        self,
        template: str,
        messages: Sequence[Message],
        voice: str | None = None,
        reprompts: Reprompts | None = None,
        **values: Any,
    ) -> Document:
        """The document, its messages shortened from the end at sentences until it is short enough for Twilio."""
        values["voice"] = voice or self._voice
        has_ssml = values["voice"] not in _VOICES_WITHOUT_SSML
        values["reprompts"] = _Reprompting.of(reprompts, has_ssml, values["gather"]["timeout_s"]) if reprompts else None
        reprompts_ms = values["reprompts"].spoken_ms if reprompts else ()
        pieces = _pieces(messages, has_ssml)
        texts = [_plain(piece) for piece in pieces]
        before = sum(map(len, texts))
        pieces = list(_that_may_fit(pieces))
        twiml = self._render(template, pieces, values)
        while len(twiml) > MAX_DOCUMENT_CHARACTERS and pieces:
            last = pieces.pop()
            room = len(escape(last)) - (len(twiml) - MAX_DOCUMENT_CHARACTERS)
            shorter = cut_at_sentence(_plain(last), room)  # markup loses its elements before any of its words
            if shorter:
                pieces.append(shorter)
            twiml = self._render(template, pieces, values)
        after = sum(len(_plain(piece)) for piece in pieces)
        return Document(twiml, _speaking_ms(pieces), before - after, reprompts_ms)

    def _render(self, template: str, pieces: Sequence[str], values: dict[str, Any]) -> str:
        # When a prompt has been heard is an estimate: as it may be late, the pause has room for that.
        spoken_ms = _speaking_ms(pieces)
        hold_s = self._hold_s + values.get("longer_s", 0) + spoken_ms // 2000
        told = [(SPOKEN_PARAMETER, str(spoken_ms))]
        if reprompts := values["reprompts"]:
            told.append((REPROMPTS_PARAMETER, " ".join(map(str, reprompts.spoken_ms))))
        return _COMPILED[template].render(pieces=pieces, hold_s=hold_s, told=told, **self._known, **values)


@dataclass(frozen=True, slots=True)
class _Reprompting:
    """Reprompts as the template needs them: what goes into the Says of each, and how long the pauses are."""

    pieces: list[list[str]]
    pause_s: int

    @classmethod
    def of(cls, reprompts: Reprompts, has_ssml: bool, timeout_s: int) -> "_Reprompting":
        """`timeout_s`: the Gather's own, which it waits for after the pause."""
        pieces = _pieces([reprompts.not_heard, *reprompts.prompt], has_ssml)
        return cls([pieces] * reprompts.times, max(0, reprompts.after_s - timeout_s))

    @property
    def spoken_ms(self) -> tuple[int, ...]:
        """Of each reprompt, and 0 for the goodbye."""
        return (*map(_speaking_ms, self.pieces), 0)


def _pieces(messages: Iterable[Message], has_ssml: bool) -> list[str]:
    """What goes into the Says of the messages."""
    return [piece for message in messages for piece in _pieces_of(message, has_ssml)]


def _pieces_of(message: Message, has_ssml: bool) -> list[str]:
    """What goes into the Says of one message; none if it has nothing for the ear."""
    if message.format is MessageFormat.SSML:
        markup = ssml_for_say(message.text)
        if has_ssml and len(markup.striptags()) <= MAX_SAY_CHARACTERS:
            return [markup] if markup.striptags() or "<" in markup else []
        return _in_says(_plain(markup))
    return _in_says(clean(message.text))


def _speaking_ms(pieces: Iterable[str]) -> int:
    return sum(speaking_ms(_plain(piece)) for piece in pieces)


def _cleaned(opening: Opening) -> Opening:
    return Opening(clean(opening.name), [(clean(name), clean(value)) for name, value in opening.parameters])


def clean(text: str) -> str:
    """`text` without the characters that XML 1.0 cannot hold, its white space collapsed."""
    return " ".join(_NOT_XML.sub("", text).split())


def cut_at_sentence(text: str, most: int) -> str:
    """The start of `text` that is at most `most` characters long once escaped: whole sentences if at least one fits,
    else whole words, else what fits."""
    fits = text[: max(0, most)]
    while fits and len(escape(fits)) > most:
        fits = fits[: -max(1, (len(escape(fits)) - most) // 5)]  # an escaped character is 1 to 5 characters long
    if fits == text:
        return text
    # The character after the cut tells whether the last sentence, or word, is whole.
    ends = [end.end() for end in _SENTENCE_END.finditer(text[: len(fits) + 1])]
    if ends:
        return fits[: ends[-1]]
    return text[: len(fits) + 1].rpartition(" ")[0] or fits


def ssml_for_say(ssml: str) -> Markup:
    """SSML as the inside of a `<Say>`: rebuilt from the elements and attributes that Twilio takes.

    Others are left out and their text kept. What is not well-formed, has a DOCTYPE or is far too long is read as text.
    """
    text = _NOT_XML.sub("", ssml)
    if "<!" in text or len(text) > MAX_SSML_CHARACTERS:
        return escape(_without_tags(text))
    try:
        # Amazon's own elements come with a prefix that a bot's SSML does not declare.
        root = ElementTree.fromstring(f'<ssml xmlns:amazon="amazon">{text}</ssml>')  # noqa: S314 - no DOCTYPE gets here, so no entity
        _keep_only_says_elements(root)
        inside = escape(root.text or "") + Markup("").join(_markup(child) for child in root)
    except (ElementTree.ParseError, ValueError, RecursionError):  # RecursionError: nested hundreds of levels deep
        return escape(_without_tags(text))
    return Markup(" ".join(inside.split()))  # noqa: S704


def _keep_only_says_elements(element: ElementTree.Element) -> None:
    """Takes out, below `element`, each element and attribute that Say does not have. Text stays where it was."""
    for child in list(element):
        _keep_only_says_elements(child)
        child.tag = child.tag.removeprefix(_SSML_NAMESPACE)
        allowed = _SSML.get(child.tag)
        if allowed is None:
            _unwrap(element, child)
        else:
            child.attrib = {name: value for name, value in child.attrib.items() if name in allowed}


def _unwrap(parent: ElementTree.Element, child: ElementTree.Element) -> None:
    """Puts what is inside `child` in its place."""
    at = list(parent).index(child)
    parent.remove(child)
    _append_text(parent, at, child.text)
    for offset, grandchild in enumerate(child):
        parent.insert(at + offset, grandchild)
    _append_text(parent, at + len(child), child.tail)


def _append_text(parent: ElementTree.Element, at: int, text: str | None) -> None:
    """Adds `text` just before the child at index `at`."""
    if at == 0:
        parent.text = (parent.text or "") + (text or "")
    else:
        parent[at - 1].tail = (parent[at - 1].tail or "") + (text or "")


def _markup(element: ElementTree.Element) -> Markup:
    return Markup(ElementTree.tostring(element, encoding="unicode"))  # noqa: S704 - serialized, so escaped


def _without_tags(text: str) -> str:
    return clean(re.sub(r"<[/!?A-Za-z][^<>]*>", " ", text))


def _plain(piece: str) -> str:
    """The words of a piece. Where markup has a pause they are kept apart; inside a word it has none."""
    return Markup(_PAUSE.sub(" ", piece)).striptags() if isinstance(piece, Markup) else piece  # noqa: S704


def _that_may_fit(pieces: Iterable[str]) -> Iterator[str]:
    """The pieces before which a document may still have room: a huge text is not rendered as a whole."""
    room = MAX_DOCUMENT_CHARACTERS
    for piece in pieces:
        if room > 0:
            yield piece
        room -= len(escape(piece))


def _in_says(text: str) -> list[str]:
    """`text` in pieces that one Say can hold each."""
    pieces = []
    while text:
        piece = cut_at_sentence(text, MAX_SAY_CHARACTERS)
        pieces.append(piece)
        text = text[len(piece) :].strip()
    return pieces
