"""A call that the REST API places: rings at the callee, finds out who answered, and carries out its document.

Sources: https://www.twilio.com/docs/voice/api/call-resource , /voice/answering-machine-detection .
"""

from typing import Any

import gevent

from lexbridge.offline.twilio.call import PhoneCall
from lexbridge.offline.twilio.call_request import CallRequest
from lexbridge.offline.twilio.events import Detected, EndReason
from lexbridge.offline.twilio.executed_call import Network
from lexbridge.offline.twilio.far_ends import CalledPerson, FarEnd
from lexbridge.offline.twilio.machine_detection import Detectable, Detection, DetectionRules
from lexbridge.offline.twilio.number import LineConditions, Number
from lexbridge.offline.twilio.telephone_audio import TelephoneVoice, key_tone
from lexbridge.offline.twilio.twiml_document import parse_twiml
from lexbridge.offline.twilio.verbs import Document
from lexbridge.offline.twilio.webhooks import Webhooks

PERSON = Detection("human", 1500)
"""Detection of a party that does not know what it is taken for: a short word, and the silence after it."""


class OutboundCall(PhoneCall):
    """A call to `callee`, as `request` asks for it. The party at the other end of the line is the callee."""

    direction = "outbound-api"

    def __init__(
        self,
        request: CallRequest,
        callee: FarEnd,
        webhooks: Webhooks,
        voice: TelephoneVoice,
        account_sid: str,
        conditions: LineConditions,
        network: Network | None,
    ) -> None:
        self.party = callee.party() if callee.party is not None else CalledPerson(callee.presses)
        number = Number(
            request.url, request.method, fallback_url=request.fallback_url, caller=request.caller, called=request.to
        )
        super().__init__(number, self.party, webhooks, voice, account_sid, conditions, network)
        self.request = request
        self.callee = callee
        self.status = "queued"
        self.progress = request.progress
        self.detection: Detection | None = None
        """What answered, once it was found out."""
        self._besides: list[gevent.Greenlet[..., Any]] = []
        for warning in request.warnings:
            self.complain(warning.code, warning.message)
        self.party.dials(self)

    def start(self) -> None:
        """Ring at the callee's. When the callee answers, request the document and carry it out."""
        self._runner = gevent.spawn(self._place)

    def hang_up(self) -> None:
        """The callee puts the phone down."""
        self.end(EndReason.CALLEE_HUNG_UP)

    def _place(self) -> None:
        self.status = "initiated"
        self.tell_progress("initiated")
        self.status = "ringing"
        self.tell_progress("ringing")
        does, rings_s, timeout_s = self.callee.does, self.callee.rings_s, self.request.timeout_s
        is_missed = does == "no-answer" or rings_s > timeout_s
        self.pass_s(timeout_s if is_missed else rings_s)
        if is_missed or does != "answers":
            self.refuse("no-answer" if is_missed else does)
            self.end(EndReason.NOT_ANSWERED)
            return
        self.answer()
        self.tell_progress("answered")
        self._limit(self.request.time_limit_s, EndReason.TIME_LIMIT)
        if self.callee.talks_s is not None:
            self._limit(self.callee.talks_s, EndReason.CALLEE_HUNG_UP)
        for digit in self.request.send_digits:
            self.line.play(key_tone(digit))
        if self.request.detection is not None and self.request.is_async:
            self._besides.append(gevent.spawn(self._detect_beside, self.request.detection))
        elif self.request.detection is not None:
            self._detect(self.request.detection)  # the callee hears nothing meanwhile
        self._execution.run(self._first)

    def _first(self) -> Document:
        if self.request.twiml:
            return parse_twiml(self.request.twiml, None)
        # [?] whether later requests have the result, too, is not documented: here this one and the last callback do.
        known = {} if self.request.is_async else self.answer_facts
        return self.fetch(self.number.webhook_url, self.number.method, known)

    def _limit(self, seconds: float, reason: EndReason) -> None:
        def limit() -> None:
            """A greenlet: ends the call in time."""
            self.line.wait_ms(round(seconds * 1000))
            self.end(reason)

        self._besides.append(gevent.spawn(limit))

    def _detect(self, rules: DetectionRules) -> None:
        """Listen to the callee until it is known what answered."""
        found = self.party.detection(rules) if isinstance(self.party, Detectable) else PERSON
        found = found.within(rules)
        self.line.wait_ms(found.after_ms)
        self.detection = found
        self.answer_facts = {"AnsweredBy": found.answered_by, "MachineDetectionDuration": str(found.after_ms)}
        self.record(Detected(self.now_s(), found.answered_by))

    def _detect_beside(self, rules: DetectionRules) -> None:
        """Detect while the document is carried out, and tell the result: `AsyncAmdStatusCallback`."""
        self._detect(rules)
        callback = self.request.detected
        if callback.url:
            told = {"CallSid": self.sid, "AccountSid": self.account_sid, **self.answer_facts}
            self.call_back(callback.url, told, "machine-detection", callback.method)

    def end(self, reason: EndReason, detail: str = "") -> None:
        super().end(reason, detail)
        here = gevent.getcurrent()
        gevent.killall([each for each in self._besides if each is not here], block=False)
