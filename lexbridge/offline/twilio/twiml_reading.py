"""Reading of one TwiML document: its warnings, and the values of its attributes. Pure.

A code whose level at https://www.twilio.com/docs/api/errors is ERROR ends the call, and a WARNING leaves out what is
wrong. Exceptions are said where they are.
"""

import re
from urllib.parse import urljoin, urlsplit
from xml.etree.ElementTree import Element

from lexbridge.config.parsers import parse_whole
from lexbridge.offline.twilio.twiml_shapes import SHAPES
from lexbridge.offline.twilio.verbs import Progress, TwimlError, Warned

PARAMETER_LIMIT = 500  # name and value of a <Parameter> together stay under it
PROGRESS_EVENTS = ("initiated", "ringing", "answered", "completed")
# Of those given in the readers; the others are warnings.
_ERRORS = frozenset({11100, 13231, 14300, 15004, 16023, 31941})
_ERRORS_OF_QUEUES = frozenset(range(14201, 14214)) | {14220, 14221}


def is_http(url: str) -> bool:
    """Return whether `url` is an http or https URL with a host."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not re.search(r"\s", url)


def text_of(element: Element) -> str:
    """Return the text of an element without that of its children."""
    return "".join([element.text or "", *(child.tail or "" for child in element)]).strip()


class Reading:
    """A document that is being read. `base_url`: where it came from, or None for TwiML inside a REST request."""

    def __init__(self, base_url: str | None) -> None:
        self.base_url = base_url
        self.warnings: list[Warned] = []

    def complain(self, code: int, message: str) -> None:
        """Keep a warning. Raises TwimlError for a code that ends the call."""
        if code in _ERRORS or code in _ERRORS_OF_QUEUES:
            raise TwimlError(code, message)
        self.warnings.append(Warned(code, message))

    def check(self, element: Element) -> None:
        """Complain about an element's attributes, children and text, where they are not of its shape."""
        shape = SHAPES[element.tag]
        for name in element.attrib:
            if name not in shape.attributes:
                self.complain(12200, f"<{element.tag}> has no attribute {name!r}")
        for child in element:
            if child.tag not in shape.children:
                self.complain(shape.wrong_child, f"<{child.tag}> may not stand inside <{element.tag}>")
            elif child.tag in SHAPES:
                self.check(child)
        if not shape.text and text_of(element):
            self.complain(12200, f"<{element.tag}> holds text")

    def loop(self, element: Element, code: int) -> int:
        """Return how often a prompt is played."""
        loop = self.count(element, "loop", 1, least=0, code=code)
        return loop or 1000  # 0: "up to 1000 times"

    def count(self, element: Element, name: str, default: int, *, least: int, code: int, most: int = 999_999) -> int:
        """Return a whole number, or the default if it is not given or wrong."""
        text = element.get(name)
        if text is None:
            return default
        number = parse_whole(text, least, most)
        if number is not None:
            return number
        self.complain(code, f"{element.tag}: Invalid {name} value {text!r}; {default} is taken")
        return default

    def choice(self, element: Element, name: str, choices: tuple[str, ...], code: int) -> str:
        """Return one of `choices`: the first if none is given, or a wrong one."""
        text = element.get(name, choices[0])
        if text in choices:
            return text
        self.complain(code, f"{element.tag}: Invalid {name} value {text!r}; one of {', '.join(choices)}")
        return choices[0]

    def flag(self, element: Element, name: str, code: int, *, default: bool = False) -> bool:
        """Return whether an attribute is true."""
        choices = ("true", "false") if default else ("false", "true")
        return self.choice(element, name, choices, code) == "true"

    def method(self, element: Element, name: str, code: int) -> str:
        """Return the HTTP method of an address."""
        return self.choice(element, name, ("POST", "GET"), code)

    def action(self, element: Element, code: int = 11100) -> str:
        """Return an `action` address; "" when there is none. Without a base a relative one is error 15004.

        code: Twilio's code for an address that is none.
        """
        action = element.get("action", "").strip()
        if action and self.base_url is None and not is_http(action):
            self.complain(15004, f"{element.tag}: the action URL must be absolute when updating a call: {action!r}")
        return self.url(element.tag, action, code) if action else ""

    def url(self, verb: str, address: str | None, code: int = 11100) -> str:
        """Return an absolute address. Complains about one that is none."""
        url = self.joined(address or "")
        if not is_http(url):
            self.complain(code, f"{verb}: Invalid URL format {url!r}")
        return url

    def joined(self, address: str) -> str:
        """Return an address, made absolute if there is a base."""
        try:
            return urljoin(self.base_url or "", address.strip())
        except ValueError:  # such as http://[
            return address.strip()

    def optional_url(self, element: Element, name: str, code: int = 11100) -> str:
        """Return the address in the attribute `name`, or "" when there is none."""
        address = element.get(name, "").strip()
        return self.url(element.tag, address, code) if address else ""

    def progress(self, element: Element, choices: tuple[str, ...], default: tuple[str, ...]) -> Progress:
        """Return where the progress of what `element` names is told."""
        events = tuple(element.get("statusCallbackEvent", "").split()) or default
        for event in events:
            if event not in choices:
                self.complain(12200, f"{element.tag}: Invalid statusCallbackEvent {event!r}")
        url = self.optional_url(element, "statusCallback")
        known = tuple(event for event in events if event in choices)
        return Progress(url, self.method(element, "statusCallbackMethod", 12200), known)

    def parameters(self, element: Element) -> tuple[tuple[str, str], ...]:
        """Return the `<Parameter>`s of an element."""
        return tuple(filter(None, map(self._parameter, element.findall("Parameter"))))

    def _parameter(self, element: Element) -> tuple[str, str] | None:
        name, value = element.get("name"), element.get("value")
        if not name or value is None:
            self.complain(12200, "<Parameter> needs a name and a value; it is left out")
            return None
        if len(name) + len(value) >= PARAMETER_LIMIT:
            # [?] what Twilio does with a longer one is not documented, only the limit.
            long = f"name and value together have {len(name) + len(value)} characters"
            self.complain(12200, f"<Parameter name={name!r}>: {long}, under {PARAMETER_LIMIT} go; it is left out")
            return None
        return name, value
