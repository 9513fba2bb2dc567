"""Conferences: rooms of the account that calls join by `<Dial><Conference>`.

Source: https://www.twilio.com/docs/voice/twiml/conference .
"""

import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import gevent
from gevent.event import Event as Signal

from lexbridge.offline.twilio.call import PhoneCall
from lexbridge.offline.twilio.events import Transferred
from lexbridge.offline.twilio.far_ends import FarEnds
from lexbridge.offline.twilio.telephone_audio import key_tone
from lexbridge.offline.twilio.twiml_execution import CONFERENCE_MUSIC, Execution
from lexbridge.offline.twilio.verbs import Conference, Dial

BEEP_MS = 200
SCRIPTED = "CA" + "0" * 32
"""CallSid of a participant whom a test or a rehearsal scripted."""


class Participant:
    """A participant of a room. `call`: None for a person whom a test scripted."""

    def __init__(self, call: PhoneCall | None, noun: Conference) -> None:
        self.call = call
        self.noun = noun
        self.out = Signal()
        """Set when the conference has ended for this participant."""


class Room:
    """A conference room, from its first participant to its last."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.sid = "CF" + secrets.token_hex(16)
        self.participants: list[Participant] = []
        self.started = Signal()
        self._sequence_number = 0

    def join(self, participant: Participant) -> None:
        """Let a participant in. The conference starts with the second, if one of them may start it."""
        self.participants.append(participant)
        self._tell("participant-join", "join", participant)
        is_allowed = any(each.noun.starts_on_enter for each in self.participants)
        if len(self.participants) >= 2 and is_allowed and not self.started.is_set():
            self.started.set()
            self._tell("conference-start", "start", participant)
        self._beep(participant, "onEnter")

    def leave(self, participant: Participant) -> None:
        """Let a participant out, and all others if the conference ends with this one."""
        if participant not in self.participants:
            return
        self.participants.remove(participant)
        self._tell("participant-leave", "leave", participant)
        self._beep(participant, "onExit")
        if participant.noun.ends_on_exit or not any(each.call is not None for each in self.participants):
            self._tell("conference-end", "end", participant)
            for each in self.participants:
                each.out.set()
            self.participants.clear()

    def _beep(self, participant: Participant, when: str) -> None:
        if participant.noun.beep not in ("true", when):
            return
        for each in self.participants:
            if each.call is not None and each is not participant:
                each.call.line.queue(key_tone("1", BEEP_MS), lambda: None)

    def _tell(self, event: str, asked: str, participant: Participant) -> None:
        """Tell everybody who asked for it: each call's own statusCallback, once for an address."""
        told: set[str] = set()
        for each in dict.fromkeys([participant, *self.participants]):
            progress, call = each.noun.progress, each.call
            if call is None or not progress.url or asked not in progress.events or progress.url in told:
                continue
            told.add(progress.url)
            call.call_back(progress.url, self._event(event, participant), "conference-status", progress.method)

    def _event(self, event: str, participant: Participant) -> Mapping[str, str]:
        self._sequence_number += 1
        fields = {
            "ConferenceSid": self.sid,
            "FriendlyName": self.name,
            "AccountSid": participant.call.account_sid if participant.call is not None else "",
            "StatusCallbackEvent": event,
            "SequenceNumber": str(self._sequence_number),
            "Timestamp": datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S +0000"),
        }
        if event.startswith("participant"):
            fields |= {
                "CallSid": participant.call.sid if participant.call is not None else SCRIPTED,
                "Muted": str(participant.noun.is_muted).lower(),
                "Hold": "false",
                "StartConferenceOnEnter": str(participant.noun.starts_on_enter).lower(),
                "EndConferenceOnExit": str(participant.noun.ends_on_exit).lower(),
            }
            if participant.noun.label:
                fields["ParticipantLabel"] = participant.noun.label
        return fields


class Conferences:
    """The rooms of an account. `rooms`: by name; a room that everybody has left is not in it."""

    def __init__(self, far_ends: FarEnds) -> None:
        self.rooms: dict[str, Room] = {}
        self._far_ends = far_ends

    def dial(self, call: PhoneCall, verb: Dial, noun: Conference) -> dict[str, str]:
        """Let `call` take part until the conference ends, and return what the action is told.

        The scripted person of the far end joins after `rings_s`, and ends the conference by leaving after `talks_s`.
        """
        call.answer()
        room = self.rooms.setdefault(noun.name, Room(noun.name))
        participant = Participant(call, noun)
        far_end = self._far_ends.next(f"conference:{noun.name}")
        besides: list[gevent.Greenlet[..., Any]] = []
        room.join(participant)
        if noun.wait_url and not room.started.is_set():
            besides.append(gevent.spawn(self._music, call, noun.wait_url, room))
        scripted = Participant(None, Conference(noun.name, ends_on_exit=True))
        if far_end.does == "answers":
            visit = _visit(call, room, scripted, far_end.rings_s, far_end.talks_s)
            besides.append(gevent.spawn(visit))
        try:
            participant.out.wait(verb.time_limit_s * call.pace)
        finally:
            gevent.killall(besides)
            room.leave(participant)
            if scripted in room.participants:  # the person came for this call's sake
                room.participants.remove(scripted)
            if not room.participants:
                self.rooms.pop(noun.name, None)
        # "DialCallSid is not sent after dialing a conference", nor is the duration: /docs/voice/twiml/dial#action.
        return {"DialCallStatus": "answered", "DialBridged": "true"}

    @staticmethod
    def _music(call: PhoneCall, url: str, room: Room) -> None:
        """Carry out the waitUrl's document until the conference starts."""
        hearing = gevent.spawn(Execution(call, CONFERENCE_MUSIC).run_aside, lambda: call.fetch(url))
        try:
            room.started.wait()
        finally:
            hearing.kill()


def _visit(
    call: PhoneCall, room: Room, scripted: Participant, rings_s: float, talks_s: float | None
) -> Callable[[], None]:
    """Return what the scripted person does: joins, is connected, and leaves."""

    def visit() -> None:
        call.line.wait_ms(round(rings_s * 1000))
        room.join(scripted)
        call.record(Transferred(call.now_s(), room.name, "answered"))
        if talks_s is not None:
            call.line.wait_ms(round(talks_s * 1000))
            room.leave(scripted)

    return visit
