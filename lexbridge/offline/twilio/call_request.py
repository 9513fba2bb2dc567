"""Requests for outbound calls, as Twilio's REST API takes them: POST Calls.json.

Source: the OpenAPI of api.v2010 (twilio/twilio-oai), CreateCall; https://www.twilio.com/docs/voice/api/call-resource ,
and the page of each code, https://www.twilio.com/docs/api/errors .
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lexbridge.config.parsers import parse_whole
from lexbridge.offline.twilio.addresses import client_problem, e164, read_sip
from lexbridge.offline.twilio.machine_detection import DetectionRules
from lexbridge.offline.twilio.rest_calls import check_document
from lexbridge.offline.twilio.rest_resources import RestRefusal
from lexbridge.offline.twilio.twiml_reading import PROGRESS_EVENTS, is_http
from lexbridge.offline.twilio.verbs import Progress, Warned

LONGEST_CALL_S = 86_400
_UNTOLD = Progress()
# Least and most of each threshold: /docs/voice/answering-machine-detection#optional-api-tuning-parameters.
_THRESHOLDS = {
    "MachineDetectionTimeout": (3, 59, 30),
    "MachineDetectionSpeechThreshold": (1000, 6000, 2400),
    "MachineDetectionSpeechEndThreshold": (500, 5000, 1200),
    "MachineDetectionSilenceTimeout": (2000, 10_000, 5000),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRequest:
    """A request for a call. detection: None without MachineDetection. is_async: the call goes on meanwhile.

    warnings: what Twilio would write to its debugger.
    """

    to: str
    caller: str
    url: str = ""
    twiml: str = ""
    method: str = "POST"
    fallback_url: str = ""
    progress: Progress = _UNTOLD
    timeout_s: int = 60
    time_limit_s: int = LONGEST_CALL_S
    send_digits: str = ""
    detection: DetectionRules | None = None
    is_async: bool = False
    detected: Progress = _UNTOLD
    warnings: tuple[Warned, ...] = ()


def read_call_request(fields: Mapping[str, Sequence[str]], own_numbers: frozenset[str]) -> CallRequest:
    """Read CreateCall. `own_numbers`: those that the account may show; empty if it is not known which.

    Raises RestRefusal.
    """
    form = {name: values[-1] for name, values in fields.items() if values}
    to, caller = _to(form.get("To", "")), _from(form.get("From", ""), form.get("To", ""), own_numbers)
    twiml, url = form.get("Twiml"), form.get("Url")
    if not twiml and not url:
        raise RestRefusal(400, 21205, "Url parameter is required.")
    check_document(twiml, url)
    digits = form.get("SendDigits", "")
    if not re.fullmatch(r"[0-9wW#*]*", digits):
        raise RestRefusal(400, 21206, f"SendDigits {digits!r} is not valid")
    detection, warnings = _detection(form), []
    is_async = detection is not None and form.get("AsyncAmd", "false").lower() == "true"
    detected = Progress(_callback(form, "AsyncAmdStatusCallback"), _method(form, "AsyncAmdStatusCallbackMethod"))
    if is_async and not detected.url:
        warnings.append(Warned(21262, "No AMD status callback URL provided"))
    return CallRequest(
        to=to,
        caller=caller,
        url=url or "",
        twiml=twiml or "",
        method=_method(form, "Method"),
        fallback_url=_callback(form, "FallbackUrl", 21205),
        progress=_progress(form, fields),
        timeout_s=_whole(form, "Timeout", (1, 600, 60), 21208),
        time_limit_s=_whole(form, "TimeLimit", (1, LONGEST_CALL_S, LONGEST_CALL_S), 20001),
        send_digits=digits,
        detection=detection,
        is_async=is_async,
        detected=detected,
        warnings=tuple(warnings),
    )


def _to(text: str) -> str:
    """Return the address to call."""
    if not text:
        raise RestRefusal(400, 21201, "No 'To' number is specified")
    if text.startswith("client:"):
        problem = client_problem(text.partition(":")[2].partition("?")[0])
    elif text.startswith(("sip:", "sips:")):
        problem = read_sip(text).problem
    else:
        problem = None if e164(text) else Warned(21211, "")
    if problem is not None:
        raise RestRefusal(400, 21211, f"The 'To' number {text} is not a valid phone number")
    return (e164(text) or text).partition("?")[0]


def _from(text: str, to: str, own_numbers: frozenset[str]) -> str:
    """Return the caller id. A client or a SIP address may be shown any name."""
    if not text:
        raise RestRefusal(400, 21213, "The 'From' number is required")
    if to.startswith(("client:", "sip:", "sips:")):
        return text
    number = e164(text)
    if number is None:
        raise RestRefusal(400, 21212, f"The 'From' number {text} is not a valid phone number")
    if own_numbers and number not in own_numbers:
        told = f"The source phone number provided, {text}, is not yet verified for your account"
        raise RestRefusal(400, 21210, told)
    return number


def _detection(form: Mapping[str, str]) -> DetectionRules | None:
    kind = form.get("MachineDetection", "")
    if not kind:
        return None
    if kind not in ("Enable", "DetectMessageEnd"):
        raise RestRefusal(400, 21234, f"Invalid MachineDetection value {kind!r}: Enable or DetectMessageEnd")
    timeout_s, *thresholds_ms = (_whole(form, name, limits, 21234) for name, limits in _THRESHOLDS.items())
    speech_ms, end_ms, silence_ms = thresholds_ms
    return DetectionRules(
        waits_for_end=kind == "DetectMessageEnd",
        timeout_ms=timeout_s * 1000,
        speech_threshold_ms=speech_ms,
        speech_end_threshold_ms=end_ms,
        silence_timeout_ms=silence_ms,
    )


def _progress(form: Mapping[str, str], fields: Mapping[str, Sequence[str]]) -> Progress:
    events = tuple(fields.get("StatusCallbackEvent", ())) or ("completed",)
    wrong = [event for event in events if event not in PROGRESS_EVENTS]
    if wrong:
        raise RestRefusal(400, 20001, f"StatusCallbackEvent {wrong[0]!r} is none of {', '.join(PROGRESS_EVENTS)}")
    return Progress(_callback(form, "StatusCallback"), _method(form, "StatusCallbackMethod"), events)


def _callback(form: Mapping[str, str], name: str, code: int = 21609) -> str:
    url = form.get(name, "")
    if url and not is_http(url):
        raise RestRefusal(400, code, f"The '{name}' URL {url} is not a valid URL")
    return url


def _method(form: Mapping[str, str], name: str) -> str:
    method = form.get(name, "POST").upper()
    if method not in ("POST", "GET"):
        raise RestRefusal(400, 21209, f"{name} {method!r} is neither GET nor POST")
    return method


def _whole(form: Mapping[str, str], name: str, limits: tuple[int, int, int], code: int) -> int:
    least, most, default = limits
    if name not in form:
        return default
    number = parse_whole(form[name], least, most)
    if number is None:
        raise RestRefusal(400, code, f"{name} {form[name]!r} is not between {least} and {most}")
    return number
