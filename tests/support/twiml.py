"""TwiML documents, read: their verbs, texts and outlines."""

from collections.abc import Iterator
from typing import Any
from xml.dom import minidom


def verbs_of(twiml: str) -> Iterator[Any]:
    """The verbs of a document, as elements. Fails unless it is well-formed XML and all of it is in verbs.

    Those inside a Gather are told in its place: it only listens for keys meanwhile.
    """
    root = minidom.parseString(twiml.encode()).documentElement  # noqa: S318 - it is ours
    assert root.tagName == "Response"
    for node in _children(root):
        yield from _children(node) if node.tagName == "Gather" else [node]


def _children(element: Any) -> Iterator[Any]:
    for node in element.childNodes:
        if node.nodeType == node.ELEMENT_NODE:
            yield node
        else:
            assert not node.data.strip(), f"{node.data!r} stands between verbs"


def text_of(element: Any) -> str:
    """The text inside an element, however deep it stands in others."""
    text, left = "", [element]
    while left:
        node = left.pop()
        text += node.data if node.nodeType == node.TEXT_NODE else ""
        left += reversed(node.childNodes)
    return text


def outline(twiml: str) -> list[str]:
    """A document as its Says' texts and its other verbs' names."""
    return [text_of(verb) if verb.tagName == "Say" else verb.tagName for verb in verbs_of(twiml)]
