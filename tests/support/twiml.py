"""Readers of TwiML documents: verbs, texts, outlines."""

from collections.abc import Iterator
from typing import Any
from xml.dom import minidom


def verbs_of(twiml: str) -> Iterator[Any]:
    """Yield the verbs of a document, as elements. Fail unless it is well-formed XML and all text is in verbs.

    The verbs inside a Gather stand in its place, because Gather only listens for keys meanwhile.
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
    """Return the text inside an element, however deep it is."""
    text, left = "", [element]
    while left:
        node = left.pop()
        text += node.data if node.nodeType == node.TEXT_NODE else ""
        left += reversed(node.childNodes)
    return text


def outline(twiml: str) -> list[str]:
    """Return a document as the texts of its Says and the names of its other verbs."""
    return [text_of(verb) if verb.tagName == "Say" else verb.tagName for verb in verbs_of(twiml)]
