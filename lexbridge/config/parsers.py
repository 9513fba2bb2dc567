"""Reading of the settings' values from text.

A parser takes the text of a variable, without white space around it, and returns the value. If the text breaks the
parser's rule, it raises ValueError with that rule. Many functions here make a parser from the limits of a value.
"""

import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

_Word = TypeVar("_Word", bound=str)

MAX_SPOKEN_CHARACTERS = 2000
"""Longest text that lexbridge says, in characters of XML.

A document for Twilio holds 4,000 characters in all, and the stream's addresses and parameters need the others.
"""

_E164 = r"\+[1-9][0-9]{6,14}"
_CALL_FACT = r"query\.([A-Za-z0-9_.-]{1,100}\*?|\*)|[A-Za-z][A-Za-z0-9_-]{0,99}\*?"
_PRIVATE_NAMES = ("localhost", "local", "internal", "lan", "home.arpa")
_SLOT_KIND = r"([A-Za-z0-9_.-]{1,100})\s*=\s*(open|phrase|closed|digits)"


def parse_whole(text: str | None, least: int, most: int) -> int | None:
    """Return the whole number in `text`, or None if it holds no number from `least` to `most`."""
    # ASCII digits only, and not many: int() would take "1_0", digits of other scripts and a megabyte of nines.
    if text is None or not re.fullmatch("-?[0-9]{1,9}", text):
        return None
    return int(text) if least <= int(text) <= most else None


def parse_seconds(text: str, least: float, most: float) -> float | None:
    """Return the seconds in `text`, to the millisecond, or None if it holds no number from `least` to `most`."""
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,3})?", text):
        return None
    return float(text) if least <= float(text) <= most else None


def line(value: str) -> str:
    """Return `value` if it is one line of text."""
    if any(ord(character) < 32 for character in value):
        raise ValueError("must be one line of text")
    return value


def spoken(value: str) -> str:
    """Return `value` if it is one line of text, and short enough for a document for Twilio."""
    length = len(line(value)) + 4 * value.count("&") + 3 * (value.count("<") + value.count(">"))
    if length > MAX_SPOKEN_CHARACTERS:
        rule = f"must be at most {MAX_SPOKEN_CHARACTERS} characters, as no document for Twilio has room for more"
        raise ValueError(f"{rule}: it has {length}")
    return value


def matching(pattern: str, rule: str) -> Callable[[str], str]:
    """Make a parser of texts that the regular expression matches as a whole. `rule` says the same in words."""

    def parse(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(rule)
        return value

    return parse


def one_of(*allowed: _Word) -> Callable[[str], _Word]:
    """Make a parser that takes one of these words. If they are literals, they are the type of the value for mypy."""

    def parse(value: str) -> _Word:
        for word in allowed:
            if word == value:
                return word
        raise ValueError("must be one of " + ", ".join(allowed) if len(allowed) > 1 else f"must be {allowed[0]}")

    return parse


def whole_number(least: int, most: int, multiple: int = 1) -> Callable[[str], int]:
    """Make a parser of whole numbers within bounds, which are multiples of `multiple`."""
    rule = f"must be a whole number from {least} to {most}"
    if multiple > 1:
        rule += f", a multiple of {multiple}"

    def parse(value: str) -> int:
        number = parse_whole(value, least, most)
        if number is None or number % multiple:
            raise ValueError(rule)
        return number

    return parse


def seconds(least: float, most: float) -> Callable[[str], float]:
    """Make a parser of seconds within bounds, exact to the millisecond."""

    def parse(value: str) -> float:
        number = parse_seconds(value, least, most)
        if number is None:
            raise ValueError(f"must be a number of seconds from {least:g} to {most:g}")
        return number

    return parse


def switch(value: str) -> bool:
    """Return True for `on` and False for `off`."""
    return one_of("on", "off")(value) == "on"


def address(*schemes: str) -> Callable[[str], str]:
    """Make a parser of absolute URLs with one of `schemes`, without user, query, fragment and white space."""
    rule = "must be an address such as " + " or ".join(f"{scheme}://voice.example.com" for scheme in schemes)

    def parse(value: str) -> str:
        try:
            parts = urlsplit(value)
            port = parts.port
        except ValueError as error:
            raise ValueError(rule) from error
        clean = re.fullmatch(r"[!-~]+", value) and not re.search("[?#]", value) and "@" not in parts.netloc
        if not clean or parts.scheme not in schemes or not parts.hostname or port == 0:
            raise ValueError(rule)
        return value

    return parse


def after_url(value: str) -> str:
    """Return an HTTP URL, which may have a query and a fragment, but no user."""
    rule = "must be an address such as https://flows.example.com/next?FlowEvent=return, at most 500 characters"
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError as error:
        raise ValueError(rule) from error
    is_clean = re.fullmatch(r"[!-~]{1,500}", value) and not re.search('[<>"]', value) and "@" not in parts.netloc
    if not is_clean or parts.scheme not in ("https", "http") or not parts.hostname or port == 0:
        raise ValueError(rule)
    return value


def confidential_address(value: str) -> str:
    """Return an HTTPS URL, or an HTTP one of a host that is not reached from outside."""
    parsed = address("https", "http")(value)
    parts = urlsplit(parsed)
    if parts.scheme == "http" and not is_private(parts.hostname or ""):
        raise ValueError("must be an https address; http is for this machine and private networks only")
    return parsed


def base_address(value: str) -> str:
    """Return an HTTP URL that paths are added to, without a "/" at its end."""
    return address("https", "http")(value).rstrip("/")


def public_address(value: str) -> str:
    """Return an HTTP URL that has no path."""
    base = base_address(value)
    parts = urlsplit(base)
    if parts.path:
        root = f"{parts.scheme}://{parts.netloc}"
        raise ValueError(f"must have no path: set it to {root}, and the webhook of the number to {root}/twiml")
    return base


def is_private(host: str) -> bool:
    """Return whether the host is unreachable from outside, as far as its name tells: it is not looked up."""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return "." not in host or any(f".{host}".endswith(f".{name}") for name in _PRIVATE_NAMES)


def is_loopback(host: str) -> bool:
    """Return whether only this machine itself reaches the host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def file(value: str) -> str:
    """Return the path of a file that exists and can be read."""
    if not (Path(value).is_file() and os.access(value, os.R_OK)):
        raise ValueError("must be a file that can be read")
    return value


def folder(value: str) -> str:
    """Return the path of a folder that exists and can be written to."""
    if not (Path(value).is_dir() and os.access(value, os.W_OK | os.X_OK)):
        raise ValueError("must be a folder that exists and can be written to")
    return value


def host(value: str) -> str:
    """Return the address or the name of a network interface of this machine."""
    if not re.fullmatch(r"[0-9A-Za-z.:-]{1,253}", value):
        raise ValueError("must be an IP address or a host name, such as 127.0.0.1")
    return value


def intent_names(value: str) -> frozenset[str]:
    """Return the names of intents that stand between commas."""
    names = [name.strip() for name in value.split(",") if name.strip()]
    if not all(re.fullmatch(r"[A-Za-z0-9_.-]{1,100}", name) for name in names):
        raise ValueError("must be intent names with commas between them")
    return frozenset(names)


def attribute_names(value: str) -> tuple[str, ...]:
    """Return the names of session attributes that stand between commas, each once."""
    names = dict.fromkeys(name.strip() for name in value.split(",") if name.strip())
    if not all(re.fullmatch(r"[!-~]{1,100}", name) for name in names):
        raise ValueError("must be names of session attributes with commas between them")
    return tuple(names)


def after_attributes(value: str) -> tuple[str, ...]:
    """Return the names of session attributes that stand between commas, none of them one that the query has anyway."""
    names = attribute_names(value)
    if any(name in ("intent", "outcome") or name.startswith("slot_") for name in names):
        raise ValueError("must be names other than intent, outcome and slot_..., which the query has anyway")
    return names


def call_facts(value: str) -> tuple[str, ...]:
    """Return the names of facts that stand between commas, in their order; `none` stands for none at all."""
    names = [name.strip() for name in value.split(",") if name.strip()]
    if not all(re.fullmatch(_CALL_FACT, name) for name in names):
        example = "AnsweredBy, SipHeader_X-Account, SipHeader_X-*, query.campaign or query.*"
        raise ValueError(f"must be names of Twilio's fields with commas between them, such as {example}, or none")
    return () if names == ["none"] else tuple(dict.fromkeys(names))


def slot_kinds(value: str) -> Mapping[str, str]:
    """Return the kind of answer for each slot, from pairs such as `Size=closed` between commas."""
    pairs = [pair.strip() for pair in value.split(",") if pair.strip()]
    kinds = {found[1]: found[2] for pair in pairs if (found := re.fullmatch(_SLOT_KIND, pair))}
    if len(kinds) < len(pairs):
        example = "AccountNumber=digits,Size=closed"
        raise ValueError(f"must be slots with what is said for each: open, phrase, closed or digits, such as {example}")
    return kinds


def phone_number(value: str) -> str:
    """Return `value` if it is a phone number in E.164 form."""
    if not is_phone_number(value):
        raise ValueError("must be a phone number in E.164 form, such as +12065550100")
    return value


def is_phone_number(text: str) -> bool:
    """Return whether the text is a phone number in E.164 form, such as +12065550100."""
    return re.fullmatch(_E164, text) is not None


def auth_token(rule: str) -> Callable[[str], str]:
    """Make a parser of Twilio's auth tokens, which names a SID as such, because people often copy one by mistake."""

    def parse(value: str) -> str:
        if re.fullmatch("SK[0-9a-fA-F]{32}", value):
            raise ValueError(
                f"{rule}: this is the SID of an API key, which signs nothing. It goes into TWILIO_API_KEY_SID, and its "
                "secret into TWILIO_API_KEY_SECRET"
            )
        if re.fullmatch("AC[0-9a-fA-F]{32}", value):
            raise ValueError(f"{rule}: this is the SID of the account")
        return matching(r"[!-~]+", rule)(value)

    return parse


def lines_place(text: str) -> str:
    """Return the place of a table of lines: a path, or an address `s3://bucket/key`. Raise ValueError with the rule."""
    if text.startswith("s3:"):
        return matching(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/\S{1,1024}", "must be s3://bucket/key")(text)
    if "\n" in text or "://" in text:
        raise ValueError("must be the path of a TOML file, or s3://bucket/key")
    return text
