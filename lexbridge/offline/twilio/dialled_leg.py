"""One leg of a call that `<Dial>` makes: what reached the far end, what was whispered there, and how it ended."""

from dataclasses import replace
from typing import Any

from lexbridge.offline.twilio.call import PhoneCall
from lexbridge.offline.twilio.events import EndReason, Whispered
from lexbridge.offline.twilio.far_ends import CalledPerson, FarEnd
from lexbridge.offline.twilio.number import Number
from lexbridge.offline.twilio.telephone_audio import key_tone
from lexbridge.offline.twilio.twiml_execution import WHISPER, CallOver, Execution
from lexbridge.offline.twilio.verbs import Target, TwimlError


class DialledLeg(PhoneCall):
    """The leg from `parent` to `target`, where `far_end` happens. `caller_id`: what the far end is shown.

    Its line, events and status are its own. Twilio's complaints about it are its parent's, too.
    """

    direction = "outbound-dial"

    def __init__(self, parent: PhoneCall, target: Target, far_end: FarEnd, caller_id: str) -> None:
        party = far_end.party() if far_end.party is not None else CalledPerson(far_end.presses)
        super().__init__(
            Number(target.whisper_url, target.whisper_method, caller=caller_id, called=target.address),
            party,
            parent.webhooks,
            parent.voice,
            parent.account_sid,
            replace(parent.conditions, echo_db=None),
        )
        self.parent = parent
        self.target = target
        self.far_end = far_end
        self.party = party
        self.caller_id = caller_id
        self.headers = dict(target.headers)
        """Custom SIP headers that reached the far end."""
        self.custom_parameters = dict(target.parameters)
        """The `<Parameter>`s that reached the client."""
        self.keys_sent = ""
        """Keys that Twilio pressed at the far end (`sendDigits`)."""
        self.whispered: list[str] = []
        """What the called party heard before the connection: texts of Say, and addresses of Play."""
        self.is_bridged = False
        """Whether the two parties were connected."""
        self.status = "initiated"
        self.progress = target.progress
        party.dials(self)

    def parameters(self) -> dict[str, str]:
        return {**super().parameters(), "ParentCallSid": self.parent.sid}

    def complain(self, code: int, message: str) -> None:
        super().complain(code, message)
        self.parent.complain(code, message)

    def hang_up(self) -> None:
        """The called party puts the phone down."""
        self.end(EndReason.CALLEE_HUNG_UP)

    def verb_started(self, verb: str, text: str) -> None:
        super().verb_started(verb, text)
        if verb in ("Say", "Play"):
            self.whispered.append(text)
            self.parent.record(Whispered(self.now_s(), self.target.address, text))

    def ring(self) -> None:
        """Tell that the leg was initiated and rings."""
        self.tell_progress("initiated")
        self.status = "ringing"
        self.tell_progress("ringing")

    def pick_up(self) -> None:
        """Open the leg's line, because the far end answers."""
        self.answer()
        self.tell_progress("answered")

    def fail(self, status: str) -> None:
        """End the leg, which was not answered, with this status."""
        self.refuse(status)
        self.end(EndReason.NOT_ANSWERED)

    def prepare(self) -> None:
        """Press the keys of `sendDigits` at the far end, and carry out the whisper, before the connection.

        If the leg is over after it, the two are not to be connected.
        """
        for digit in self.target.send_digits:
            self.line.play(key_tone(digit))
            self.keys_sent += digit
        if self.target.whisper_url:
            self._whisper()

    def _whisper(self) -> None:
        """Carry out the whisper.

        [?] what Twilio does when a whisper cannot be had is not documented: here the called party hears of an
        application error, and is not connected.
        """
        execution = Execution(self, WHISPER)
        try:
            execution.run_aside(lambda: self.fetch(self.number.webhook_url, self.number.method))
        except CallOver as over:
            self.end(over.reason)
        except TwimlError as error:
            self.complain(error.code, error.message)
            execution.apologise()
            self.end(EndReason.APPLICATION_ERROR, str(error))

    @property
    def talked_s(self) -> int:
        """Whole seconds from the far end's answer to the end of the leg."""
        return self.line.now_ms // 1000

    def described(self) -> dict[str, Any]:
        """Return what Twilio tells the action of the `<Dial>` about this leg: /docs/voice/twiml/dial#action."""
        told = {
            "DialCallSid": self.sid,
            "DialCallStatus": self.status,
            "DialBridged": str(self.is_bridged).lower(),
        }
        if self.answered:
            told["DialCallDuration"] = str(self.talked_s)
        if self.target.kind == "sip":  # /docs/voice/twiml/sip
            told["DialSipCallId"] = f"{self.sid}@0.0.0.0"
            told["DialSipResponseCode"] = _SIP_CODES[self.status]
        return told


# Codes of RFC 3261 that Twilio's statuses stand for.
_SIP_CODES = {"completed": "200", "busy": "486", "no-answer": "480", "failed": "404", "canceled": "487"}
