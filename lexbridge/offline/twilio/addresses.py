"""Addresses that Twilio calls: phone numbers, SIP addresses with their headers, and clients. Pure.

Sources: https://www.twilio.com/docs/voice/twiml/number , /voice/twiml/sip , /voice/twiml/client , and the pages of the
codes: https://www.twilio.com/docs/api/errors/13223 , /13224 , /13243 , /13252 , /13253 .
"""

import re
from dataclasses import dataclass
from urllib.parse import unquote

from lexbridge.offline.twilio.verbs import Warned

LONGEST_SIP_ADDRESS = 255
"""Most characters of a SIP address without its headers: /docs/voice/twiml/sip."""

LONGEST_SIP_HEADERS = 1024
"""Most characters of the headers of a SIP address: /docs/voice/twiml/sip."""

LONGEST_CLIENT = 256
"""Most characters of a client's name: /docs/voice/twiml/client."""

STANDARD_HEADERS = frozenset({"user-to-user", "remote-party-id", "p-preferred-identity", "p-called-party-id"})
"""Headers that may be passed without X-, in lower case: /docs/api/errors/13252."""

_SIP = re.compile(r"sips?:[A-Za-z0-9_.!~*'()&=+$,;%/-]+@[A-Za-z0-9.-]+(:[0-9]{1,5})?(;[^?\s]*)?")


def e164(text: str) -> str | None:
    """Return a phone number in E.164, or None if Twilio could not call it.

    Twilio takes "unformatted US numbers" too: (415) 555-1212 or 415-555-1212.
    """
    digits = re.sub(r"[ ().-]", "", text)
    if re.fullmatch(r"1?[2-9][0-9]{9}", digits):
        digits = "+1" + digits[-10:]
    return digits if re.fullmatch(r"\+[1-9][0-9]{6,14}", digits) else None


def number_problem(text: str) -> Warned | None:
    """Return why Twilio does not call the phone number `text`, or None if it does."""
    if not re.fullmatch(r"\+?[0-9][0-9 ().-]{2,30}|\([0-9][0-9 ().-]{2,30}", text):
        return Warned(13223, f"Dial: Invalid phone number format {text!r}")
    if e164(text) is None:
        return Warned(13224, f"Dial: Twilio does not support calling this number or the number is invalid: {text!r}")
    return None


@dataclass(frozen=True, slots=True)
class SipAddress:
    """A SIP address: what is called, its custom headers in order, and Twilio's complaints.

    problem: why it is not called at all. warnings: headers that are left out.
    """

    address: str
    headers: tuple[tuple[str, str], ...] = ()
    problem: Warned | None = None
    warnings: tuple[Warned, ...] = ()


def read_sip(text: str) -> SipAddress:
    """Read the address of a `<Sip>`, such as `sip:ann@example.com?X-Intent=Order%20flowers&X-Call=1`.

    [?] what Twilio does with a header that it refuses is not documented: here it is left out, and the rest goes on.
    """
    address, _, query = text.strip().partition("?")
    if not _SIP.fullmatch(address) or len(address) > LONGEST_SIP_ADDRESS:
        return SipAddress(address, problem=Warned(13243, f"Dial->SIP: Invalid SIP URI {address!r}"))
    if len(query) > LONGEST_SIP_HEADERS:
        told = f"Dial: Header is too long: {len(query)} characters, at most {LONGEST_SIP_HEADERS}"
        return SipAddress(address, problem=Warned(13253, told))
    headers, warnings = [], []
    for part in query.split("&") if query else []:
        name, _, value = part.partition("=")
        if _is_header(name):
            headers.append((name, unquote(value)))
        else:
            warnings.append(Warned(13252, f"Dial: Invalid header name {name!r}; it is left out"))
    return SipAddress(address, tuple(headers), warnings=tuple(warnings))


def _is_header(name: str) -> bool:
    is_custom = re.fullmatch(r"[xX]-[A-Za-z0-9-]+", name) is not None
    return is_custom or name.lower() in STANDARD_HEADERS


def client_problem(name: str) -> Warned | None:
    """Return why Twilio does not call the client `name`, or None if it does.

    [?] with which code Twilio says so is not documented.
    """
    if not name or len(name) > LONGEST_CLIENT or re.search(r"[\s\x00-\x1f<>\"{}|\\^`]", name):
        return Warned(12200, f"Dial: Invalid client identifier {name!r}")
    return None
