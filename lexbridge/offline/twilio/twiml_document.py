"""TwiML as Twilio reads it: a document's text to verbs, with Twilio's own complaints.

Pure: no socket, no clock. Verbs and attributes: https://www.twilio.com/docs/voice/twiml ; codes and which of them end
the call: https://www.twilio.com/docs/api/errors . A code whose level there is ERROR makes the document unusable and
the call ends with an application error; a WARNING leaves out what is wrong (the verb, or the attribute) and the call
goes on. Twilio would do no more than write a warning to its debugger: here a warning is kept with the document, and
whoever tests a bridge should take it for a fault.
"""

import re
from collections.abc import Callable, Mapping
from urllib.parse import quote_plus, urlsplit
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from lexbridge.offline.twilio.twiml_dial import DialReader
from lexbridge.offline.twilio.twiml_reading import Reading, is_http
from lexbridge.offline.twilio.twiml_shapes import NOT_SIMULATED
from lexbridge.offline.twilio.verbs import (
    ConnectStream,
    Document,
    Gather,
    Hangup,
    Leave,
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
TRACKS = ("inbound_track", "outbound_track", "both_tracks")


def parse_twiml(text: str, base_url: str | None) -> Document:
    """The document `text` as verbs.

    `base_url`: where it came from, for its relative addresses; None for TwiML inside a REST request, which has none.
    Raises TwimlError when Twilio would end the call for it.
    """
    if len(text) > LONGEST_DOCUMENT:
        raise TwimlError(11750, f"TwiML response body too large: {len(text)} characters")
    return _Reader(base_url).document(text)


class _Reader:
    """A reader of one document, which collects warnings."""

    def __init__(self, base_url: str | None) -> None:
        self._reading = Reading(base_url)
        dials = DialReader(self._reading)
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
            "Dial": dials.dial,
            "Enqueue": dials.enqueue,
            "Leave": lambda _: Leave(),
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
            self._reading.complain(12200, "<Response> holds text outside of any verb")
        verbs = [verb for verb in map(self._verb, root) if verb is not None]
        return Document(tuple(verbs), tuple(self._reading.warnings), text)

    def _verb(self, element: Element) -> Verb | None:
        read = self._verbs.get(element.tag)
        if element.tag in NOT_SIMULATED:
            raise TwimlError(13750, f"<{element.tag}> is a verb that the simulated Twilio does not carry out")
        if read is None:
            self._reading.complain(12200, f"<{element.tag}> is no verb of <Response>; it is left out")
            return None
        self._reading.check(element)
        return read(element)

    # Verbs

    def _say(self, element: Element) -> Say | None:
        text = " ".join("".join(element.itertext()).split())
        say = Say(text, element.get("voice", ""), element.get("language", ""), self._reading.loop(element, 13510))
        if not text:
            self._reading.complain(13520, "Say: Invalid text: there is nothing to say")
            return None
        unit, longest, length = _say_length(say)
        if length > longest:
            self._reading.complain(13521, f"<Say> character limits exceeded: {length} {unit}, at most {longest}")
            return None
        return say

    def _play(self, element: Element) -> Play | None:
        digits = element.get("digits", "")
        if digits:
            if not re.fullmatch(r"[0-9A-DwW#*]+", digits):
                self._reading.complain(13430, f"Play: Invalid DTMF String {digits!r}")
                return None
            return Play("", self._reading.loop(element, 13410), digits)
        return Play(self._reading.url("Play", element.text), self._reading.loop(element, 13410))

    def _pause(self, element: Element) -> Pause:
        return Pause(self._reading.count(element, "length", 1, least=1, code=13910))

    def _redirect(self, element: Element) -> Redirect:
        return Redirect(self._reading.url("Redirect", element.text), self._reading.method(element, "method", 13710))

    def _reject(self, element: Element) -> Reject:
        return Reject(self._reading.choice(element, "reason", ("rejected", "busy"), 13810))

    def _start(self, element: Element) -> StartStream | None:
        stream = element.find("Stream")
        if stream is None:
            self._reading.complain(14300, "Start: Invalid nested noun value: there is no <Stream>")
            return None
        return StartStream(self._stream(stream))

    def _stop(self, element: Element) -> StopStream | None:
        stream = element.find("Stream")
        if stream is None or not stream.get("name"):
            self._reading.complain(12200, "<Stop> needs a <Stream> with a name")
            return None
        return StopStream(stream.get("name", ""))

    def _connect(self, element: Element) -> ConnectStream | None:
        stream = element.find("Stream")
        if stream is None:
            self._reading.complain(12200, "<Connect> holds no <Stream>, and this Twilio knows no other noun")
            return None
        if len(element.findall("Stream")) > 1:
            # One two-way stream to a call. [?] what Twilio does with a second: here it is left out.
            self._reading.complain(12200, "<Connect> takes one <Stream>; the first is taken")
        if stream.get("track", "inbound_track") != "inbound_track":
            self._reading.complain(
                31941, f"Stream: Invalid track {stream.get('track')!r}: <Connect> takes inbound_track only"
            )
        return ConnectStream(
            self._stream(stream), self._reading.action(element), self._reading.method(element, "method", 12200)
        )

    def _stream(self, element: Element) -> Stream:
        track = element.get("track", "inbound_track")
        if track not in TRACKS:
            self._reading.complain(31941, f"Stream: Invalid track {track!r}: one of {', '.join(TRACKS)}")
        callback = element.get("statusCallback", "")
        if callback and not is_http(callback):
            self._reading.complain(11100, f"Stream: statusCallback is no absolute URL: {callback!r}")
        # The url may be relative; whether it is one that Twilio connects to shows when it does.
        url = element.get("url", "").strip()
        if url and self._reading.base_url and "://" not in url:
            url = re.sub(r"^http", "ws", self._reading.joined(url))
        return Stream(
            url=url,
            name=element.get("name", ""),
            track=track,
            status_callback=callback,
            status_callback_method=self._reading.method(element, "statusCallbackMethod", 12200),
            parameters=self._reading.parameters(element),
        )

    def _gather(self, element: Element) -> Gather:
        kinds = element.get("input", "dtmf")
        if not set(kinds.split()) <= {"dtmf", "speech"}:
            self._reading.complain(13326, f"Gather: Invalid input value {kinds!r}")
            kinds = "dtmf"
        key = element.get("finishOnKey", "#")
        if not re.fullmatch(r"[0-9#*]?", key):
            self._reading.complain(13310, f"Gather: Invalid finishOnKey value {key!r}")
            key = "#"
        read: Mapping[str, Callable[[Element], Say | Play | Pause | None]] = {
            "Say": self._say,
            "Play": self._play,
            "Pause": self._pause,
        }
        prompts = [read[child.tag](child) for child in element if child.tag in read]
        return Gather(
            action=self._reading.action(element),
            method=self._reading.method(element, "method", 13312),
            input=kinds,
            timeout_s=self._reading.count(element, "timeout", 5, least=0, code=13313),
            num_digits=self._reading.count(element, "numDigits", 0, least=1, code=13314),
            finish_on_key=key,
            action_on_empty_result=element.get("actionOnEmptyResult", "false") == "true",
            prompts=tuple(filter(None, prompts)),
        )


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
