"""The words that a custom payload says aloud: text, SSML, or JSON or XML that a function made for a screen.

Contact centres and chat platforms have forms of their own: Amazon Connect's interactive messages, Slack's blocks,
Facebook's templates, WhatsApp's lists, QnABot's context, Genesys' content, Microsoft's cards. This module does not
distinguish them. It knows the members of an object by their names: some hold words, some hold choices, some hold more
objects. Members of any other name are not spoken: they are addresses, ids, actions, or what a choice sends to the bot.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from html import unescape
from typing import Any
from xml.etree import ElementTree

MAX_PAYLOAD_CHARACTERS = 16_384
"""The longest payload that is read, in characters, because Lex's messages have 1,024 at most."""

MAX_DEPTH = 16
"""The deepest nesting of objects, lists and JSON texts that is read, because each level is a call of a function."""

MAX_WORDS_CHARACTERS = 4000
"""The most words spoken of one payload, in characters, because callers do not listen to more.

Further sentences are left out.
"""

# Names of members, in lower case without "_" and "-", in the order in which they are spoken.
_INSTEAD = ("ssml", "speech", "speak", "texttospeech", "blocks")
"""Members for the ear. If one of them has words, only they and the choices are spoken: the rest is for a screen."""

_WORDS = (
    "pretext",
    "header",
    "title",
    "subtitle",
    "description",
    "text",
    "body",
    "label",
    "question",
    "message",
    "say",
)
_MORE_WORDS = ("displaytext", "fulfillmenttext", "caption", "markdown", "fallback", "alttext")
"""Members that repeat the others in other words: one of them is spoken if the others have no words."""

_INSIDE = (
    "altmessages", "data", "content", "messages", "attachment", "attachments", "payload", "template", "interactive",
    "block", "appcontext", "responsecard", "imageresponsecard", "genericattachments", "card", "cards",
    "carousel", "simpleresponse", "richresponse", "richcontent", "metadata", "response", "components", "fields",
    "sections", "pages", "accessory", "element", "placeholder",
)  # fmt: skip
_CHOICES = (
    "elements", "items", "rows", "buttons", "quickreplies", "quickreply", "options", "choices", "suggestions", "chips",
    "actions", "action", "suggestedactions", "reply", "replymarkup", "inlinekeyboard", "keyboard",
)  # fmt: skip
_LABELS = ("title", "text", "label", "content", "message", "reply")
"""Members with the words of a choice: the first that has any is spoken."""

_LINK_WITH_WORDS = re.compile(r"<(?:https?|mailto|tel):[^<>|]{1,2000}\|([^<>]*)>|!?\[([^\[\]]*)\]\([^()]{0,2000}\)")
_ADDRESS = re.compile(r"<?\b(?:[a-z][a-z0-9+.-]{1,20}://|www\.|data:[a-z]+/|mailto:)[^\s<>]*>?", re.IGNORECASE)
_EMPHASIS = re.compile(r"^ *(?:[-*>]|#+) +|(?<!\w)[*_~`]+(?=\S)|(?<=\S)[*_~`]+(?!\w)", re.MULTILINE)
_TAG = re.compile(r"<!\[CDATA\[|\]\]>|<[/!?A-Za-z][^<>]*>")
_MAY_BE_JSON = re.compile(r"\s*[{\[]")
_IS_JSON = re.compile(r'\s*(?:\{\s*["}]|\[\s*[\[{"\]])')
_NO_WORDS = ("null", "true", "false")
"""JSON values without words."""

_IS_XML = re.compile(r"\s*<[A-Za-z?!]")
_IS_SSML = re.compile(r"\s*<speak\b")

# The marks after which a voice pauses without a full stop: those of ASCII, an ellipsis, those of Chinese, Arabic and
# Hindi.
_MARKS = tuple(".!?:;,\u2026\u3002\uff01\uff1f\uff1a\u061f\u06d4\u0964")


@dataclass(frozen=True, slots=True)
class SpokenWords:
    """Words that a voice says."""

    text: str
    is_ssml: bool = False


def join_sentences(texts: Iterable[str]) -> str:
    """Join texts, each with a full stop unless it ends with a punctuation mark."""
    lines = (one_line(text) for text in texts)
    return " ".join(line if line.endswith(_MARKS) else f"{line}." for line in lines if line)


def one_line(text: str) -> str:
    """Return `text` with single blanks instead of all white space."""
    return " ".join(text.split())


def speakable_words(payload: str) -> SpokenWords | None:
    """Return the words of `payload`, or None if it has none."""
    if len(payload) > MAX_PAYLOAD_CHARACTERS:
        return None
    quoted = _json(payload) if payload.lstrip().startswith('"') else None
    text = quoted if isinstance(quoted, str) else "" if payload.strip() in _NO_WORDS else payload
    said = list(_within_limits(_Walk().text(text, 0)))
    if len(said) == 1:
        return said[0]  # unchanged, because a text alone needs no full stop
    text = join_sentences(_without_tags(each.text) if each.is_ssml else each.text for each in said)
    return SpokenWords(text) if text else None


def top_level_names(payload: str, most: int = 10, longest: int = 40) -> tuple[str, ...]:
    """Return the names of a payload's top-level members, for a log line: they tell nothing of the values.

    A list has those of its first object, and XML that of its outermost element. At most `most` names are returned,
    each cut to `longest` characters.
    """
    if len(payload) > MAX_PAYLOAD_CHARACTERS:
        return ()
    value = _json(payload)
    if isinstance(value, list):
        value = next((part for part in value if isinstance(part, dict)), {})
    names: Iterable[str] = value if isinstance(value, dict) else re.findall(r"^\s*<([A-Za-z][\w:.-]*)", payload)
    return tuple(one_line(re.sub(r"[^ -~\u00a0-\ud7ff]", " ", name))[:longest] for name in list(names)[:most])


def _json(text: str) -> Any:
    """Return the value of a JSON text, or None if the text is no JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _within_limits(said: Iterable[SpokenWords]) -> Iterator[SpokenWords]:
    """Yield `said` without repetitions, up to MAX_WORDS_CHARACTERS."""
    seen: set[str] = set()
    characters = 0
    for each in said:
        if each.text in seen:
            continue
        characters += len(each.text)
        if seen and characters > MAX_WORDS_CHARACTERS:
            return
        seen.add(each.text)
        yield each


def _without_tags(text: str) -> str:
    return one_line(unescape(_TAG.sub(" ", text)))


def _words(text: str) -> str:
    """Return `text` without addresses and the marks of Markdown; "" if no word is left."""
    text = _LINK_WITH_WORDS.sub(lambda link: link[1] or link[2] or "", text)
    text = _EMPHASIS.sub("", _ADDRESS.sub(" ", text))
    return one_line(text) if any(map(str.isalnum, text)) else ""


def _members(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members of an object by their names in one spelling, the first if several have the same."""
    members: dict[str, Any] = {}
    for name, member in value.items():
        members.setdefault(name.lower().replace("_", "").replace("-", ""), member)
    return members


class _Walk:
    """A walk through a payload that yields the words in the order in which they are spoken."""

    def value(self, value: Any, depth: int) -> Iterator[SpokenWords]:
        """Yield the words of any JSON value."""
        if depth > MAX_DEPTH:
            return
        if isinstance(value, str):
            yield from self.text(value, depth)
        elif isinstance(value, dict):
            yield from self.object(_members(value), depth)
        elif isinstance(value, list) and value and all(isinstance(part, str) for part in value):
            labels = [label for part in value for label in self._label_of(part, depth + 1)]
            yield from self._as_list(labels)
        elif isinstance(value, list):
            for part in value:
                yield from self.value(part, depth + 1)

    def text(self, text: str, depth: int) -> Iterator[SpokenWords]:
        """Yield the words of a text, which may itself be JSON, SSML or XML."""
        if _IS_SSML.match(text):
            if _words(_without_tags(text)):
                yield SpokenWords(text.strip(), is_ssml=True)
        elif _IS_XML.match(text):
            yield from (SpokenWords(words) for words in _words_of_xml(text))
        elif _MAY_BE_JSON.match(text) and isinstance(value := _json(text), dict | list):
            yield from self.value(value, depth + 1)
        elif not _IS_JSON.match(text) and (words := _words(text)):  # a text that only looks like JSON is broken JSON
            yield SpokenWords(words)

    def object(self, members: Mapping[str, Any], depth: int) -> Iterator[SpokenWords]:
        """Yield the words of an object: its own, those of the objects inside it, and its choices."""
        said = self._first_of(_INSTEAD, members, depth)
        if not said:
            said = [each for name in _WORDS for each in self.value(members.get(name), depth + 1)]
            for name in _INSIDE:
                said += self._inside(name, members.get(name), depth + 1)
        choices = list(self._choices(members, depth))
        yield from said or ([] if choices else self._first_of(_MORE_WORDS, members, depth))
        yield from choices

    def _inside(self, name: str, value: Any, depth: int) -> Iterator[SpokenWords]:
        """Yield the words of the member `name` of an object.

        A text there is for a program, such as the payload of a button or the name of a template, unless it is content
        or JSON.
        """
        if name == "content" or not isinstance(value, str) or _IS_JSON.match(value):
            yield from self.value(value, depth)

    def _first_of(self, names: Iterable[str], members: Mapping[str, Any], depth: int) -> list[SpokenWords]:
        """Return the words of the first of these members that has any."""
        for name in names:
            if said := list(self.value(members.get(name), depth + 1)):
                return said
        return []

    def _choices(self, members: Mapping[str, Any], depth: int) -> Iterator[SpokenWords]:
        """Yield the choices of an object, those of each member as one list: "Roses, lilies, tulips"."""
        for name in _CHOICES:
            labels: list[str] = []
            for choice in self._flat(members.get(name), depth + 1):
                if isinstance(choice, str) and (name.startswith("action") or choice is members[name]):
                    continue  # the name of an action, or a text instead of a list of choices
                if self._has_more_to_say(choice, depth + 1):
                    yield from self._as_list(labels)
                    yield from self.value(choice, depth + 1)
                    labels = []
                else:
                    labels += self._label_of(choice, depth + 1)
            yield from self._as_list(labels)

    def _flat(self, value: Any, depth: int) -> Iterator[Any]:
        """Yield the choices of a list, or of the lists in it, such as the rows of a keyboard."""
        if isinstance(value, list) and depth <= MAX_DEPTH:
            for part in value:
                yield from self._flat(part, depth + 1)
        elif value is not None:
            yield value

    def _has_more_to_say(self, choice: Any, depth: int) -> bool:
        """Return whether a choice is more than its label: it has choices of its own, or no label and objects inside.

        The objects inside a choice with a label are for the program that receives the choice.
        """
        members = _members(choice) if isinstance(choice, dict) else {}
        inside = [name for name in (*_INSIDE, *_CHOICES) if isinstance(members.get(name), dict | list)]
        if any(name in _CHOICES and name not in _LABELS for name in inside):
            return True
        return bool(inside) and not self._label_of(choice, depth)

    def _label_of(self, choice: Any, depth: int) -> list[str]:
        """Return the label of a choice, without its second line, as a list of one text or none."""
        members = _members(choice) if isinstance(choice, dict) else {"text": choice}
        said = self._first_of(_LABELS, members, depth)
        return [one_line(_without_tags(each.text) if each.is_ssml else each.text) for each in said[:1]]

    def _as_list(self, labels: list[str]) -> Iterator[SpokenWords]:
        if labels:
            yield SpokenWords(", ".join(labels))


def _words_of_xml(text: str) -> Iterator[str]:
    """Yield the text between the tags, one piece for each element that has text.

    If the XML can be read, elements whose names say that they are not for the ear are left out.
    """
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        return
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 - no DOCTYPE gets here, so no entity
    except (ElementTree.ParseError, ValueError):
        yield from filter(None, [_words(_without_tags(text))])
        return
    yield from _words_of_element(root, 0)


_NOT_FOR_THE_EAR = re.compile(
    r"(?i)url|uri|href|link|image|img|icon|script|style|value|payload|action|(?:^|_|-)id$|Id$|ID$"
)


def _words_of_element(element: ElementTree.Element, depth: int) -> Iterator[str]:
    name = str(element.tag).rpartition("}")[2]
    if depth <= MAX_DEPTH and not _NOT_FOR_THE_EAR.search(name):
        yield from filter(None, [_words(element.text or "")])
        for child in element:
            yield from _words_of_element(child, depth + 1)
            yield from filter(None, [_words(child.tail or "")])
