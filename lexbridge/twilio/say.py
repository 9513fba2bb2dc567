"""The inside of `<Say>`: plain text in pieces that are short enough, and SSML rebuilt from the elements that it takes.

A piece is a `str`, which the templates escape, or a `Markup`, which they take as it is.
"""

import re
from collections.abc import Iterable
from xml.etree import ElementTree

from markupsafe import Markup, escape

from lexbridge.call.documents import speaking_ms
from lexbridge.lex.model import Message, MessageFormat

MAX_SAY_CHARACTERS = 3000
"""Longest text of one `<Say>` with a Polly voice, in characters: https://www.twilio.com/docs/api/errors/13521 ."""

MAX_SSML_CHARACTERS = 10_000
"""Longest SSML that is parsed, in characters. Lex's messages have at most 1,024."""

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PAUSE = re.compile(r"</?(?:break|p|s)\b[^>]*>")
_SENTENCE_END = re.compile(
    "[.!?\u061f\u0964][\"')\\]]*(?=\\s)|[\u3002\uff01\uff1f][\u300d\u300f\"']*"
)  # of Arabic, Hindi, Chinese and Japanese, too

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
"""Elements that `<Say>` takes, with their attributes: https://www.twilio.com/docs/voice/twiml/say/text-speech#ssml ."""


def say_pieces(messages: Iterable[Message], has_ssml: bool) -> list[str]:
    """Return what stands in the `<Say>`s of `messages`. `has_ssml`: whether the voice takes SSML."""
    return [piece for message in messages for piece in _message_pieces(message, has_ssml)]


def _message_pieces(message: Message, has_ssml: bool) -> list[str]:
    """Return what stands in the `<Say>`s of one message: nothing if it has neither words nor a sound or pause."""
    if message.format is MessageFormat.SSML:
        markup = ssml_for_say(message.text)
        if has_ssml and len(markup.striptags()) <= MAX_SAY_CHARACTERS:
            return [markup] if markup.striptags() or "<" in markup else []
        return text_pieces(plain_text(markup))
    return text_pieces(clean(message.text))


def pieces_ms(pieces: Iterable[str]) -> int:
    """Return an estimate of how long `pieces` take to be spoken, in milliseconds."""
    return sum(speaking_ms(plain_text(piece)) for piece in pieces)


def clean(text: str) -> str:
    """Return `text` without the characters that XML 1.0 cannot hold, and with single spaces."""
    return " ".join(_NOT_XML.sub("", text).split())


def cut_at_sentence(text: str, most: int) -> str:
    """Return the start of `text`, at most `most` characters long once it is escaped.

    These are whole sentences if at least one fits, otherwise whole words, otherwise as many characters as fit.
    """
    fits = text[: max(0, most)]
    while fits and len(escape(fits)) > most:
        fits = fits[: -max(1, (len(escape(fits)) - most) // 5)]  # an escaped character is 1 to 5 characters long
    if fits == text:
        return text
    # The character after the cut shows whether the last sentence, or word, is whole.
    ends = [end.end() for end in _SENTENCE_END.finditer(text[: len(fits) + 1])]
    if ends:
        return fits[: ends[-1]]
    return text[: len(fits) + 1].rpartition(" ")[0] or fits


def ssml_for_say(ssml: str) -> Markup:
    """Return SSML as the inside of a `<Say>`, rebuilt from the elements and attributes that Twilio takes.

    Of other elements the text is kept. SSML that is not well-formed, has a DOCTYPE or is too long is read as text.
    """
    text = _NOT_XML.sub("", ssml)
    if "<!" in text or len(text) > MAX_SSML_CHARACTERS:
        return escape(_without_tags(text))
    try:
        # Amazon's elements have a prefix that a bot's SSML does not declare.
        root = ElementTree.fromstring(f'<ssml xmlns:amazon="amazon">{text}</ssml>')  # noqa: S314 - no DOCTYPE gets here, and so no entity
        _keep_only_say_elements(root)
        inside = escape(root.text or "") + Markup("").join(_markup(child) for child in root)
    except (ElementTree.ParseError, ValueError, RecursionError):  # RecursionError: hundreds of levels deep
        return escape(_without_tags(text))
    return Markup(" ".join(inside.split()))  # noqa: S704


def _keep_only_say_elements(element: ElementTree.Element) -> None:
    """Remove below `element` each element and attribute that `<Say>` does not take. Text stays where it is."""
    for child in list(element):
        _keep_only_say_elements(child)
        child.tag = child.tag.removeprefix(_SSML_NAMESPACE)
        allowed = _SSML.get(child.tag)
        if allowed is None:
            _unwrap(element, child)
        else:
            child.attrib = {name: value for name, value in child.attrib.items() if name in allowed}


def _unwrap(parent: ElementTree.Element, child: ElementTree.Element) -> None:
    """Replace `child` by its content."""
    at = list(parent).index(child)
    parent.remove(child)
    _append_text(parent, at, child.text)
    for offset, grandchild in enumerate(child):
        parent.insert(at + offset, grandchild)
    _append_text(parent, at + len(child), child.tail)


def _append_text(parent: ElementTree.Element, at: int, text: str | None) -> None:
    """Add `text` before the child at index `at`."""
    if at == 0:
        parent.text = (parent.text or "") + (text or "")
    else:
        parent[at - 1].tail = (parent[at - 1].tail or "") + (text or "")


def _markup(element: ElementTree.Element) -> Markup:
    return Markup(ElementTree.tostring(element, encoding="unicode"))  # noqa: S704 - serialized, and so escaped


def _without_tags(text: str) -> str:
    return clean(re.sub(r"<[/!?A-Za-z][^<>]*>", " ", text))


def plain_text(piece: str) -> str:
    """Return the words of a piece. Markup between words leaves a space if it is a pause."""
    return Markup(_PAUSE.sub(" ", piece)).striptags() if isinstance(piece, Markup) else piece  # noqa: S704


def text_pieces(text: str) -> list[str]:
    """Return `text` in pieces that each fit into one `<Say>`."""
    pieces = []
    while text:
        piece = cut_at_sentence(text, MAX_SAY_CHARACTERS)
        pieces.append(piece)
        text = text[len(piece) :].strip()
    return pieces
