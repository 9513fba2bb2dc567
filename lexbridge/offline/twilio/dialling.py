"""`<Dial>` of people: rings at the far ends, whispers, connects, and tells how it ended.

Sources: https://www.twilio.com/docs/voice/twiml/dial , /voice/twiml/number , /api/errors/13214 .
"""

import re
from collections.abc import Sequence
from typing import Any

import gevent
from gevent.event import Event as Signal

from lexbridge.offline.twilio.addresses import e164
from lexbridge.offline.twilio.call import PhoneCall
from lexbridge.offline.twilio.dialled_leg import DialledLeg
from lexbridge.offline.twilio.events import CallEnded, EndReason, Transferred
from lexbridge.offline.twilio.far_ends import FarEnds
from lexbridge.offline.twilio.verbs import Dial, Target

FOREVER_S = 24 * 3600.0
"""Seconds that no call lasts: Twilio's longest is 4 hours, and a day with a line that is slow."""


class Dialling:
    """One `<Dial>` of numbers, SIP addresses and clients. `caller_ids`: numbers that the account may show."""

    def __init__(self, call: PhoneCall, verb: Dial, far_ends: FarEnds, caller_ids: frozenset[str]) -> None:
        self._call = call
        self._verb = verb
        self._far_ends = far_ends
        self._caller_ids = caller_ids
        self._legs: list[DialledLeg] = []

    def perform(self) -> dict[str, str]:
        """Call, connect, and wait for the end. Return what the action is told."""
        targets = self._verb.targets
        try:
            for group in [[each] for each in targets] if self._verb.is_sequential else [targets]:
                leg = self._ring(group)
                if leg is not None:
                    self._connect(leg)
                    return leg.described()
        finally:
            for leg in self._legs:
                if not leg.answered and not leg.is_over:
                    leg.refuse("canceled")
                leg.end(EndReason.DIAL_OVER)
            if self._call.is_over and self._verb.action:
                self._tell_too_late()
        return self._failed()

    def _failed(self) -> dict[str, str]:
        """Return what the action is told when nobody answered."""
        if not self._legs:
            return {"DialCallStatus": "failed", "DialBridged": "false"}
        # [?] which of several is told is not documented: here the last of them.
        told = self._legs[-1].described()
        self._call.record(Transferred(self._call.now_s(), self._legs[-1].target.address, self._legs[-1].status))
        return told

    def _tell_too_late(self) -> None:
        """Tell the action that the caller has hung up. Nothing can be done with its answer any more.

        [?] that Twilio asks the action then, too, is seen and not documented.
        """
        leg = self._legs[-1] if self._legs else None
        told = leg.described() if leg is not None else {"DialCallStatus": "canceled"}
        parameters = {**self._call.parameters(), **told}
        self._call.call_back(self._verb.action, parameters, "dial-action", self._verb.method)

    def _ring(self, targets: Sequence[Target]) -> DialledLeg | None:
        """Call all targets at once, and return the leg that is answered first, if one is."""
        begun = [self._begin(target) for target in targets]
        ringing = sorted((self._result_of(leg) for leg in begun if not leg.is_over), key=lambda each: each[0])
        passed_s = 0.0
        for after_s, status, leg in ringing:
            self._call.pass_s(after_s - passed_s)
            passed_s = after_s
            if status == "answers":
                for other in begun:
                    if other is not leg and not other.is_over:
                        other.fail("canceled")
                return leg
            leg.fail(status)
        return None

    def _begin(self, target: Target) -> DialledLeg:
        caller_id = self._verb.caller_id or self._call.number.caller
        leg = DialledLeg(self._call, target, self._far_ends.next(target.address), caller_id)
        self._legs.append(leg)
        self._call.legs.append(leg)
        leg.ring()
        if target.problem is not None:  # the document was complained about
            leg.fail("failed")
        elif not self._may_show(caller_id, target):
            # Twilio's page calls this a warning. [?] what becomes of the leg: it is seen to fail.
            leg.complain(13214, f"Dial: Invalid callerId value {caller_id!r} for a call to a {target.kind}")
            leg.fail("failed")
        return leg

    def _may_show(self, caller_id: str, target: Target) -> bool:
        """Return whether the caller id "is the calling number, called number, or a validated outgoing number"."""
        if target.kind != "number":
            return re.fullmatch(r"[A-Za-z0-9+_.:@-]+", caller_id) is not None
        of_call = {self._call.number.caller, self._call.number.called}
        return e164(caller_id) is not None and caller_id in of_call | self._caller_ids

    def _result_of(self, leg: DialledLeg) -> tuple[float, str, DialledLeg]:
        """Return after how many seconds what happens at the far end of a leg."""
        far_end, timeout_s = leg.far_end, self._verb.timeout_s
        if far_end.does == "no-answer" or far_end.rings_s > timeout_s:
            return timeout_s, "no-answer", leg
        return far_end.rings_s, far_end.does, leg

    def _connect(self, leg: DialledLeg) -> None:
        leg.pick_up()
        _first_of(leg, gevent.spawn(leg.prepare))
        if leg.is_over:
            self._call.record(Transferred(self._call.now_s(), leg.target.address, "not connected"))
            return
        self._call.answer()
        leg.is_bridged = True
        self._call.record(Transferred(self._call.now_s(), leg.target.address, "completed"))
        self._talk(leg)

    def _talk(self, leg: DialledLeg) -> None:
        """Wait until the called party hangs up, the time limit is reached, or the caller presses the star."""
        talks_s, most_s = leg.far_end.talks_s, self._verb.time_limit_s
        is_cut = talks_s is None or talks_s > most_s
        over = gevent.spawn(leg.line.wait_ms, round((most_s if is_cut or talks_s is None else talks_s) * 1000))
        star = Signal()

        def listen(digit: str) -> None:
            """Take a key of the caller's."""
            if digit == "*":
                star.set()

        if self._verb.hangup_on_star:
            self._call.keypad.listeners.append(listen)
        try:
            _first_of(leg, over, gevent.spawn(star.wait))
        finally:
            if listen in self._call.keypad.listeners:
                self._call.keypad.listeners.remove(listen)
        leg.end(EndReason.TIME_LIMIT if is_cut and not star.is_set() else EndReason.CALLEE_HUNG_UP)


def _first_of(leg: DialledLeg, *others: "gevent.Greenlet[..., Any]") -> None:
    """Wait until the leg is over, or one of the others is done. The others end then."""
    waits = [*others, gevent.spawn(leg.wait_for, CallEnded, FOREVER_S)]
    try:
        gevent.wait(waits, count=1)
    finally:
        gevent.killall(waits)
