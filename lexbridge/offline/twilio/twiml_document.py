"""TwiML as Twilio reads it: a document's text to verbs, with Twilio's own complaints.

Pure: no socket, no clock. Verbs and attributes: https://www.twilio.com/docs/voice/twiml ; codes and which of them end
the call: https://www.twilio.com/docs/api/errors . A code whose level there is ERROR makes the document unusable and
the call ends with an application error; a WARNING leaves out what is wrong (the verb, or the attribute) and the call
goes on. Twilio would do no more than write a warning to its debugger: here a warning is kept with the document, and
whoever tests a bridge should take it for a fault.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote_plus, urljoin, urlsplit
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from lexbridge.config.parsers import parse_whole
from lexbridge.offline.twilio.verbs import (
    SSML,
    ConnectStream,
    Dial,
    Document,
    Gather,
    Hangup,
    Pause,
    Play,
    Redirect,
    Reject,
    Say,
    StartStream,
    StopStream,
    Stream,
    TwimlError,
    Verb,
    Warned,
)

LONGEST_DOCUMENT = 64 * 1024  # characters; above it Twilio says 11750
PARAMETER_LIMIT = 500  # name and value of a <Parameter> together stay under it
TRACKS = ("inbound_track", "outbound_track", "both_tracks")


def parse_twiml(text: str, base_url: str | None) -> Document:
    """The document `text` as verbs.

    `base_url`: where it came from, for its relative addresses; None for TwiML inside a REST request, which has none.
    Raises TwimlError when Twilio would end the call for it.
    """
    if len(text) > LONGEST_DOCUMENT:
        raise TwimlError(11750, f"TwiML response body too large: {len(text)} characters")
    return _Reader(base_url).document(text)


@dataclass(frozen=True, slots=True)
class _Shape:
    """The children that an element may have. `wrong_child`: the code for any other child."""

    attributes: frozenset[str]
    children: frozenset[str] = frozenset()
    wrong_child: int = 12200
    text: bool = False


def _shape(attributes: str = "", children: str = "", wrong_child: int = 12200, *, text: bool = False) -> _Shape:
    return _Shape(frozenset(attributes.split()), frozenset(children.split()), wrong_child, text)


_SAY = _Shape(frozenset({"voice", "language", "loop"}), SSML, text=True)
_STREAM = _shape("url name track statusCallback statusCallbackMethod", "Parameter")
_SHAPES: Mapping[str, _Shape] = {
    "Say": _SAY,
    "Play": _shape("loop digits", text=True),
    "Pause": _shape("length"),
    "Redirect": _shape("method", text=True),
    "Hangup": _shape(),
    "Reject": _shape("reason"),
    "Start": _shape("action method", "Stream", 14300),
    "Stop": _shape("", "Stream"),
    "Connect": _shape("action method", "Stream"),
    "Dial": _shape(
        "action method timeout timeLimit callerId record answerOnBridge hangupOnStar ringTone trim sequential "
        "recordingStatusCallback recordingStatusCallbackMethod recordingStatusCallbackEvent referUrl referMethod",
        "Number",
        13215,
        text=True,
    ),
    "Number": _shape("sendDigits url method statusCallback statusCallbackEvent statusCallbackMethod byoc", text=True),
    "Gather": _shape(
        "action method input timeout speechTimeout maxSpeechTime numDigits finishOnKey hints language bargeIn "
        "profanityFilter speechModel enhanced partialResultCallback partialResultCallbackMethod actionOnEmptyResult "
        "debug",
        "Say Play Pause",
        13320,
    ),
    "Stream": _STREAM,
    "Parameter": _shape("name value"),
}
# Real verbs of Twilio's that nothing here needs. A document that uses one is not wrong, but this Twilio cannot run it.
_NOT_SIMULATED = frozenset({"Echo", "Enqueue", "Leave", "Pay", "Prompt", "Queue", "Record", "Refer", "Sms", "Task"})
_ERRORS = frozenset({11100, 14300, 15004, 31941})  # of those given below; the others are warnings


class _Reader:
    """A reader of one document, which collects warnings."""

    def __init__(self, base_url: str | None) -> None:
        self._base_url = base_url
        self._warnings: list[Warned] = []
        self._verbs: Mapping[str, Callable[[Element], Verb | None]] = {
            "Say": self._say,
            "Play": self._play,
            "Pause": self._pause,
            "Redirect": self._redirect,
            "Hangup": lambda _: Hangup(),
            "Reject": self._reject,
            "Start": self._start,
            "Stop": self._stop,
            "Connect": self._connect,
            "Dial": self._dial,
            "Gather": self._gather,
        }

    def document(self, text: str) -> Document:
        """Read a TwiML document. Raise TwimlError if it cannot be executed at all."""
        if "<!DOCTYPE" in text:
            raise TwimlError(12100, "Document parse failure: a document type is not allowed")
        try:
            root = ElementTree.fromstring(text.strip().encode())  # noqa: S314 - entities need the DOCTYPE refused above
        except (ElementTree.ParseError, UnicodeEncodeError) as error:
            raise TwimlError(12100, f"Document parse failure: {error}") from error
        if root.tag != "Response":
            raise TwimlError(12102, f"The root element must be Response, not {root.tag}")
        if (root.text or "").strip() or any((child.tail or "").strip() for child in root):
            self._complain(12200, "<Response> holds text outside of any verb")
        verbs = [verb for verb in map(self._verb, root) if verb is not None]
        return Document(tuple(verbs), tuple(self._warnings), text)

    def _verb(self, element: Element) -> Verb | None:
        read = self._verbs.get(element.tag)
        if element.tag in _NOT_SIMULATED:
            raise TwimlError(13750, f"<{element.tag}> is a verb that the simulated Twilio does not carry out")
        if read is None:
            self._complain(12200, f"<{element.tag}> is no verb of <Response>; it is left out")
            return None
        self._check(element)
        return read(element)

    def _check(self, element: Element) -> None:
        """An element's attributes, children and text against its shape."""
        shape = _SHAPES[element.tag]
        for name in element.attrib:
            if name not in shape.attributes:
                self._complain(12200, f"<{element.tag}> has no attribute {name!r}")
        for child in element:
            if child.tag not in shape.children:
                self._complain(shape.wrong_child, f"<{child.tag}> may not stand inside <{element.tag}>")
            elif child.tag in _SHAPES:
                self._check(child)
        if not shape.text and "".join([element.text or "", *(child.tail or "" for child in element)]).strip():
            self._complain(12200, f"<{element.tag}> holds text")

    def _complain(self, code: int, message: str) -> None:
        if code in _ERRORS:
            raise TwimlError(code, message)
        self._warnings.append(Warned(code, message))

    # Verbs

    def _say(self, element: Element) -> Say | None:
        text = " ".join("".join(element.itertext()).split())
        say = Say(text, element.get("voice", ""), element.get("language", ""), self._loop(element, 13510))
        if not text:
            self._complain(13520, "Say: Invalid text: there is nothing to say")
            return None
        unit, longest, length = _say_length(say)
        if length > longest:
            self._complain(13521, f"<Say> character limits exceeded: {length} {unit}, at most {longest}")
            return None
        return say

    def _play(self, element: Element) -> Play | None:
        digits = element.get("digits", "")
        if digits:
            if not re.fullmatch(r"[0-9A-DwW#*]+", digits):
                self._complain(13430, f"Play: Invalid DTMF String {digits!r}")
                return None
            return Play("", self._loop(element, 13410), digits)
        return Play(self._url("Play", element.text), self._loop(element, 13410))

    def _pause(self, element: Element) -> Pause:
        return Pause(self._count(element, "length", 1, least=1, code=13910))

    def _redirect(self, element: Element) -> Redirect:
        return Redirect(self._url("Redirect", element.text), self._method(element, "method", 13710))

    def _reject(self, element: Element) -> Reject:
        return Reject(self._choice(element, "reason", ("rejected", "busy"), 13810))

    def _start(self, element: Element) -> StartStream | None:
        stream = element.find("Stream")
        if stream is None:
            self._complain(14300, "Start: Invalid nested noun value: there is no <Stream>")
            return None
        return StartStream(self._stream(stream))

    def _stop(self, element: Element) -> StopStream | None:
        stream = element.find("Stream")
        if stream is None or not stream.get("name"):
            self._complain(12200, "<Stop> needs a <Stream> with a name")
            return None
        return StopStream(stream.get("name", ""))

    def _connect(self, element: Element) -> ConnectStream | None:
        stream = element.find("Stream")
        if stream is None:
            self._complain(12200, "<Connect> holds no <Stream>, and this Twilio knows no other noun")
            return None
        if len(element.findall("Stream")) > 1:
            # One two-way stream to a call. [?] what Twilio does with a second: here it is left out.
            self._complain(12200, "<Connect> takes one <Stream>; the first is taken")
        if stream.get("track", "inbound_track") != "inbound_track":
            self._complain(31941, f"Stream: Invalid track {stream.get('track')!r}: <Connect> takes inbound_track only")
        return ConnectStream(self._stream(stream), self._action(element), self._method(element, "method", 12200))

    def _stream(self, element: Element) -> Stream:
        track = element.get("track", "inbound_track")
        if track not in TRACKS:
            self._complain(31941, f"Stream: Invalid track {track!r}: one of {', '.join(TRACKS)}")
        callback = element.get("statusCallback", "")
        if callback and not is_http(callback):
            self._complain(11100, f"Stream: statusCallback is no absolute URL: {callback!r}")
        # The url may be relative; whether it is one that Twilio connects to shows when it does.
        url = element.get("url", "").strip()
        if url and self._base_url and "://" not in url:
            url = re.sub(r"^http", "ws", urljoin(self._base_url, url))
        return Stream(
            url=url,
            name=element.get("name", ""),
            track=track,
            status_callback=callback,
            status_callback_method=self._method(element, "statusCallbackMethod", 12200),
            parameters=tuple(filter(None, map(self._parameter, element.findall("Parameter")))),
        )

    def _parameter(self, element: Element) -> tuple[str, str] | None:
        name, value = element.get("name"), element.get("value")
        if not name or value is None:
            self._complain(12200, "<Parameter> needs a name and a value; it is left out")
            return None
        if len(name) + len(value) >= PARAMETER_LIMIT:
            # [?] what Twilio does with a longer one is not documented, only the limit.
            long = f"name and value together have {len(name) + len(value)} characters"
            self._complain(12200, f"<Parameter name={name!r}>: {long}, under {PARAMETER_LIMIT} go; it is left out")
            return None
        return name, value

    def _dial(self, element: Element) -> Dial | None:
        number = element.findtext("Number", default=element.text or "").strip()
        if not re.fullmatch(r"\+?[0-9][0-9 ().-]{2,30}", number):
            self._complain(13223, f"Dial: Invalid phone number format {number!r}")
            return None
        return Dial(
            number,
            self._action(element),
            self._method(element, "method", 13210),
            self._count(element, "timeout", 30, least=5, code=13212),
            self._count(element, "timeLimit", 14_400, least=1, code=13216),
        )

    def _gather(self, element: Element) -> Gather:
        kinds = element.get("input", "dtmf")
        if not set(kinds.split()) <= {"dtmf", "speech"}:
            self._complain(13326, f"Gather: Invalid input value {kinds!r}")
            kinds = "dtmf"
        key = element.get("finishOnKey", "#")
        if not re.fullmatch(r"[0-9#*]?", key):
            self._complain(13310, f"Gather: Invalid finishOnKey value {key!r}")
            key = "#"
        read: Mapping[str, Callable[[Element], Say | Play | Pause | None]] = {
            "Say": self._say,
            "Play": self._play,
            "Pause": self._pause,
        }
        prompts = [read[child.tag](child) for child in element if child.tag in read]
        return Gather(
            action=self._action(element),
            method=self._method(element, "method", 13312),
            input=kinds,
            timeout_s=self._count(element, "timeout", 5, least=0, code=13313),
            num_digits=self._count(element, "numDigits", 0, least=1, code=13314),
            finish_on_key=key,
            action_on_empty_result=element.get("actionOnEmptyResult", "false") == "true",
            prompts=tuple(filter(None, prompts)),
        )

    # Attributes

    def _loop(self, element: Element, code: int) -> int:
        loop = self._count(element, "loop", 1, least=0, code=code)
        return loop or 1000  # 0: "up to 1000 times"

    def _count(self, element: Element, name: str, default: int, *, least: int, code: int) -> int:
        text = element.get(name)
        if text is None:
            return default
        number = parse_whole(text, least, 999_999)
        if number is not None:
            return number
        self._complain(code, f"{element.tag}: Invalid {name} value {text!r}; {default} is taken")
        return default

    def _choice(self, element: Element, name: str, choices: tuple[str, ...], code: int) -> str:
        text = element.get(name, choices[0])
        if text in choices:
            return text
        self._complain(code, f"{element.tag}: Invalid {name} value {text!r}; one of {', '.join(choices)}")
        return choices[0]

    def _method(self, element: Element, name: str, code: int) -> str:
        return self._choice(element, name, ("POST", "GET"), code)

    def _action(self, element: Element) -> str:
        """An `action` address; "" when there is none. Without a base a relative one is error 15004."""
        action = element.get("action", "").strip()
        if action and self._base_url is None and not is_http(action):
            self._complain(15004, f"{element.tag}: the action URL must be absolute when updating a call: {action!r}")
        return self._url(element.tag, action) if action else ""

    def _url(self, verb: str, address: str | None) -> str:
        url = urljoin(self._base_url or "", (address or "").strip())
        if not is_http(url):
            self._complain(11100, f"{verb}: Invalid URL format {url!r}")
        return url


def is_http(url: str) -> bool:
    """Return whether `url` is an http or https URL with a host."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not re.search(r"\s", url)


def _say_length(say: Say) -> tuple[str, int, int]:
    """Return what is counted in a Say, how much of that its voice takes, and how much there is.

    Source: https://www.twilio.com/docs/api/errors/13521 . The URL-encoded length counts a space as one character:
    the page does not say which of the two encodings it means, and this is the milder one.
    """
    if say.voice.startswith("Polly."):
        limit = ("characters for a Polly voice", 3000, len(say.text))
    elif say.voice.startswith("Google."):
        limit = ("bytes for a Google voice", 5000, len(say.text.encode()))
    else:
        limit = ("characters for a basic voice", 4096, len(say.text))
    encoded = len(quote_plus(say.text))
    return ("URL-encoded characters", 4500, encoded) if encoded > 4500 and limit[2] <= limit[1] else limit


def stream_url_problem(url: str) -> Warned | None:
    """Return why Twilio would not open a stream to `url`, or None if it would try.

    Source: https://www.twilio.com/docs/voice/twiml/stream (wss only, no query string), /api/errors/31920, 31922, 31923.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        return Warned(31923, f"Stream: malformed URL {url!r}: {error}")
    if not parts.scheme or not host or re.search(r"\s", url):
        return Warned(31923, f"Stream: malformed URL {url!r}")
    if parts.scheme != "wss":
        return Warned(31922, f"Stream: scheme {parts.scheme!r} is not supported, only wss is: {url}")
    if parts.query or "?" in url:
        # The query is dropped or the handshake fails; here it fails, so that nobody builds on either.
        return Warned(31920, f"Stream: the url has a query string, which is not supported: {url}")
    return None
