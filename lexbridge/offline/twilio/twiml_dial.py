"""`<Dial>` with its nouns, and `<Enqueue>`, as Twilio reads them. Pure.

Sources: https://www.twilio.com/docs/voice/twiml/dial , /voice/twiml/enqueue , and the page of each code.
"""

import json
import re
from xml.etree.ElementTree import Element

from lexbridge.offline.twilio.addresses import client_problem, e164, number_problem, read_sip
from lexbridge.offline.twilio.twiml_reading import PROGRESS_EVENTS, Reading, text_of
from lexbridge.offline.twilio.verbs import Conference, Dial, Enqueue, Progress, QueueTarget, Target

MOST_TARGETS = 10
"""Most `<Number>` or `<Client>` nouns of a `<Dial>`: /docs/voice/twiml/number."""

LONGEST_RINGING_S = 600
"""Longest `timeout` of a `<Dial>`: /docs/voice/twiml/dial#timeout."""

LONGEST_CONFERENCE_NAME = LONGEST_LABEL = 128
"""Most characters of a conference's name and of a participant's label: /docs/api/errors/16023 for the latter."""

LONGEST_QUEUE_NAME = 64
"""Most characters of a queue's name: /docs/voice/twiml/enqueue."""

CONFERENCE_EVENTS = ("start", "end", "join", "leave", "mute", "hold", "modify", "speaker", "announcement")
# Values of `record`: nothing is recorded here.
_RECORDS = (
    "do-not-record",
    "record-from-answer",
    "record-from-ringing",
    "record-from-answer-dual",
    "record-from-ringing-dual",
    "true",
    "false",
)
_NUMBERS = frozenset({"Number", "Client"})


class DialReader:
    """A reader of `<Dial>` and `<Enqueue>` in the document that `reading` is about."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def dial(self, element: Element) -> Dial:
        """Return the verb. What Twilio leaves out of it is not in it: if nothing is left, the Dial fails."""
        reading = self._reading
        nouns = self._nouns(element)
        conference = next((self._conference(noun) for noun in nouns if noun.tag == "Conference"), None)
        queue = next((self._queue(noun) for noun in nouns if noun.tag == "Queue"), None)
        targets = tuple(self._target(noun) for noun in nouns if noun.tag in ("Number", "Sip", "Client"))
        if not len(element):
            targets = (self._number(element, text_of(element)),)
        for target in targets:
            if target.problem is not None:
                # [?] Twilio's page calls 13224 an error, and does not say that the call ends: here the leg fails.
                reading.complain(target.problem.code, target.problem.message)
        reading.choice(element, "record", _RECORDS, 13217)
        return Dial(
            targets,
            queue,
            conference,
            reading.action(element),
            reading.method(element, "method", 13210),
            reading.count(element, "timeout", 30, least=5, code=13212, most=LONGEST_RINGING_S),
            reading.count(element, "timeLimit", 14_400, least=1, code=13216, most=14_400),
            self._caller_id(element),
            reading.flag(element, "answerOnBridge", 13219),
            reading.flag(element, "hangupOnStar", 13213),
            reading.flag(element, "sequential", 13218),
        )

    def _caller_id(self, element: Element) -> str:
        """Return the caller id that is asked for. [?] that an empty one is taken for none is not documented."""
        caller_id = element.get("callerId", "").strip()
        if not caller_id and "callerId" in element.attrib:
            self._reading.complain(13214, "Dial: Invalid callerId value '': the calling number is shown")
        return caller_id

    def _nouns(self, element: Element) -> list[Element]:
        """Return the nouns that Twilio goes on with."""
        nouns = [child for child in element if child.tag in (*_NUMBERS, "Sip", "Queue", "Conference")]
        if not nouns:
            return []
        if text_of(element):
            self._reading.complain(12200, "<Dial> holds text beside its nouns; the text is left out")
        first = nouns[0].tag
        alike = [noun for noun in nouns if noun.tag in (_NUMBERS if first in _NUMBERS else {first})]
        if len(alike) < len(nouns):
            # /docs/api/errors/13000 for a conference; /docs/voice/twiml/sip for SIP. [?] the code of other mixtures.
            mixed = "Conference" in {noun.tag for noun in nouns}
            told = f"<Dial> mixes <{first}> with other nouns; those are left out"
            self._reading.complain(13000 if mixed else 13215, told)
        most = MOST_TARGETS if first in _NUMBERS else 1
        if len(alike) > most:
            # [?] the code for an eleventh number; 13250 is that of a second SIP address.
            told = f"<Dial> takes {most} <{first}>, not {len(alike)}; the others are left out"
            self._reading.complain(13250 if first == "Sip" else 13215, told)
        return alike[:most]

    def _target(self, noun: Element) -> Target:
        if noun.tag == "Number":
            return self._number(noun, text_of(noun))
        return self._sip(noun) if noun.tag == "Sip" else self._client(noun)

    def _number(self, element: Element, text: str) -> Target:
        """Return a phone number: a `<Number>`, or the text of `<Dial>`, which has none of its attributes."""
        problem = number_problem(text)
        address = e164(text) or text
        if element.tag == "Dial":
            return Target("number", address, problem=problem)
        digits = element.get("sendDigits", "")
        if digits and not re.fullmatch(r"[0-9wW#*]+", digits):
            self._reading.complain(13222, f"Dial->Number: Invalid sendDigits value {digits!r}")
            digits = ""
        url, method = self._whisper(element, 13221)
        return Target("number", address, digits, url, method, progress=self._progress(element), problem=problem)

    def _sip(self, element: Element) -> Target:
        read = read_sip(text_of(element))
        for warning in read.warnings:
            self._reading.complain(warning.code, warning.message)
        url, method = self._whisper(element, 13241)
        return Target(
            "sip",
            read.address,
            whisper_url=url,
            whisper_method=method,
            headers=read.headers,
            progress=self._progress(element),
            problem=read.problem,
        )

    def _client(self, element: Element) -> Target:
        name = (element.findtext("Identity") or "").strip() or text_of(element)
        url, method = self._whisper(element, 12200)
        return Target(
            "client",
            f"client:{name}",
            whisper_url=url,
            whisper_method=method,
            parameters=self._reading.parameters(element),
            progress=self._progress(element),
            problem=client_problem(name),
        )

    def _whisper(self, element: Element, code: int) -> tuple[str, str]:
        return self._reading.optional_url(element, "url"), self._reading.method(element, "method", code)

    def _progress(self, element: Element) -> Progress:
        return self._reading.progress(element, PROGRESS_EVENTS, ("completed",))

    def _queue(self, element: Element) -> QueueTarget:
        name = self._queue_name(text_of(element), 14212)
        url = self._reading.optional_url(element, "url", 14211)
        return QueueTarget(name, url, self._reading.method(element, "method", 14210))

    def _queue_name(self, name: str, too_short: int) -> str:
        """Return the name of a queue. `too_short`: Twilio's code; that of a name too long is one above it."""
        if not name:
            self._reading.complain(too_short, "the name of the queue is too short")
        if len(name) > LONGEST_QUEUE_NAME:
            told = f"the name of the queue is too long: {len(name)} characters, at most {LONGEST_QUEUE_NAME}"
            self._reading.complain(too_short + 1, told)
        return name

    def _conference(self, element: Element) -> Conference:
        reading = self._reading
        name = text_of(element)
        if not name or len(name) > LONGEST_CONFERENCE_NAME:
            told = f"Dial->Conference: Invalid Conference Name: it has {len(name)} characters"
            reading.complain(13237, told)
        label = element.get("participantLabel", "")
        if len(label) > LONGEST_LABEL or "/" in label:
            reading.complain(16023, f"Dial->Conference: Participant label invalid: {label!r}")
        wait_url = element.get("waitUrl")  # "" for silence; not given: Twilio's music
        reading.method(element, "waitMethod", 13234)
        return Conference(
            name,
            reading.flag(element, "muted", 13230),
            reading.choice(element, "beep", ("true", "false", "onEnter", "onExit"), 13235),
            reading.flag(element, "startConferenceOnEnter", 13232, default=True),
            reading.flag(element, "endConferenceOnExit", 13231),
            wait_url and reading.url("Dial->Conference", wait_url, 13233),
            label,
            reading.progress(element, CONFERENCE_EVENTS, ()),
        )

    def enqueue(self, element: Element) -> Enqueue:
        """Return the verb. Raises TwimlError for most of what can be wrong with it, as Twilio does."""
        reading = self._reading
        workflow_sid = element.get("workflowSid", "").strip()
        task = element.find("Task")
        name = text_of(element)
        if workflow_sid:
            if not re.fullmatch(r"WW[0-9a-f]{32}", workflow_sid):
                reading.complain(14220, f"Enqueue: Provided Workflow was not a valid sid: {workflow_sid!r}")
        else:
            name = self._queue_name(name, 14204)
            if task is not None:
                reading.complain(12200, "<Task> needs an <Enqueue> with a workflowSid; it is left out")
        has_task = workflow_sid and task is not None
        attributes = self._attributes(text_of(task)) if has_task and task is not None else ""
        return Enqueue(
            "" if workflow_sid else name,
            workflow_sid,
            attributes,
            self._whole(task, "priority") if has_task else None,
            self._whole(task, "timeout") if has_task else None,
            reading.action(element, 14203),
            reading.method(element, "method", 14201),
            reading.optional_url(element, "waitUrl", 14202),
            reading.method(element, "waitUrlMethod", 14206),
        )

    def _attributes(self, text: str) -> str:
        """Return the attributes of a task as JSON text."""
        try:
            is_object = isinstance(json.loads(text or "{}"), dict)
        except ValueError:
            is_object = False
        if not is_object:
            self._reading.complain(14221, "Enqueue: Provided Attributes JSON was not valid")
        return text or "{}"

    def _whole(self, task: Element | None, name: str) -> int | None:
        if task is None or task.get(name) is None:
            return None
        return self._reading.count(task, name, 0, least=0, code=12200)
