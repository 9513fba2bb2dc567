"""Queues: callers who wait by `<Enqueue>`, and who takes them out.

Sources: https://www.twilio.com/docs/voice/twiml/enqueue , /voice/twiml/queue , /voice/twiml/leave ,
/taskrouter/twiml-queue-calls .
"""

import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import gevent
from gevent.event import Event as Signal

from lexbridge.offline.twilio.call import PhoneCall
from lexbridge.offline.twilio.events import CallEnded, LeftTheQueue, Queued, Transferred
from lexbridge.offline.twilio.far_ends import FarEnd, FarEnds
from lexbridge.offline.twilio.twiml_execution import ANNOUNCEMENT, WAITING, CallOver, Execution, LeftQueue
from lexbridge.offline.twilio.verbs import Dial, Enqueue, QueueTarget, TwimlError

MOST_WAITING = 1000
"""Most callers of a queue, by default: /docs/voice/twiml/enqueue."""

FOREVER_S = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Task:
    """A task that an `<Enqueue>` of a workflow made. `attributes`: those of `<Task>`, and what Twilio adds."""

    workflow_sid: str
    call_sid: str
    attributes: Mapping[str, Any]
    priority: int | None = None
    timeout_s: int | None = None
    sid: str = field(default_factory=lambda: "WT" + secrets.token_hex(16))


class QueuedCaller:
    """A caller in a queue. `taken`: somebody takes the caller. `over`: the talk that followed has ended."""

    def __init__(self, call: PhoneCall) -> None:
        self.call = call
        self.since_ms = call.line.now_ms
        self.taken = Signal()
        self.over = Signal()
        self.announcement: QueueTarget | None = None
        self.by_sid = ""
        """CallSid of the call that took the caller, or "" for a person whom the test scripted."""

    @property
    def waited_s(self) -> int:
        """Whole seconds of the line that the caller has waited."""
        return (self.call.line.now_ms - self.since_ms) // 1000


class CallQueue:
    """A queue, by the name that the account gave it; a workflow's is named by its SID."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.sid = "QU" + secrets.token_hex(16)
        self.callers: list[QueuedCaller] = []
        """Callers who wait, in order."""
        self.joined = Signal()
        """Set whenever a caller joins."""


class Queues:
    """The queues of an account, and the tasks of its workflows."""

    def __init__(self, far_ends: FarEnds) -> None:
        self.tasks: list[Task] = []
        """Every task, in order."""
        self.by_name: dict[str, CallQueue] = {}
        self._far_ends = far_ends

    def enqueue(self, call: PhoneCall, verb: Enqueue) -> dict[str, str]:
        """Let `call` wait, and return what the action is told when it has left the queue."""
        name = verb.name or verb.workflow_sid
        queue = self.by_name.setdefault(name, CallQueue(name))
        if verb.workflow_sid:
            self._add_task(call, verb)
        far_end = self._far_ends.next(f"{'workflow' if verb.workflow_sid else 'queue'}:{name}")
        if far_end.does == "busy" or len(queue.callers) >= MOST_WAITING:
            call.complain(14207, f"Enqueue: The targeted queue reached max queue size: {name} is full")
            return {"QueueResult": "queue-full"}
        if far_end.does in ("failed", "canceled"):
            return {"QueueResult": "system-error"}
        return _Waiting(call, verb, queue, far_end).perform()

    def _add_task(self, call: PhoneCall, verb: Enqueue) -> None:
        # TaskRouter adds these: /docs/taskrouter/twiml-queue-calls.
        number = call.number
        added = {
            "call_sid": call.sid,
            "account_sid": call.account_sid,
            "from": number.caller,
            "caller": number.caller,
            "to": number.called,
            "called": number.called,
            "direction": call.direction,
        }
        attributes = {**json.loads(verb.task or "{}"), **added}
        self.tasks.append(Task(verb.workflow_sid, call.sid, attributes, verb.priority, verb.task_timeout_s))

    def dial(self, call: PhoneCall, verb: Dial, target: QueueTarget) -> dict[str, str]:
        """Connect `call` with the first caller of the queue, or with the next who joins it while the Dial rings."""
        queue = self.by_name.get(target.name)
        if queue is None:
            # "If the queue does not exist, Dial posts an error status to its action": here it is failed.
            return {"DialCallStatus": "failed", "DialBridged": "false"}
        until_s = time.monotonic() + verb.timeout_s * call.pace
        while not queue.callers:
            queue.joined.clear()
            if not queue.joined.wait(max(0.0, until_s - time.monotonic())):
                return {"DialCallStatus": "no-answer", "DialBridged": "false"}
        call.answer()
        caller = queue.callers.pop(0)
        caller.announcement, caller.by_sid = (target if target.whisper_url else None), call.sid
        began_ms = call.line.now_ms
        caller.taken.set()
        try:
            caller.over.wait(verb.time_limit_s * call.pace)
        finally:
            caller.over.set()
        return {
            "DialCallStatus": "completed",
            "DialCallSid": caller.call.sid,
            "DialCallDuration": str((call.line.now_ms - began_ms) // 1000),
            "DialBridged": "true",
        }


class _Waiting:
    """One `<Enqueue>`, from joining the queue to leaving it."""

    def __init__(self, call: PhoneCall, verb: Enqueue, queue: CallQueue, far_end: FarEnd) -> None:
        self._call = call
        self._verb = verb
        self._queue = queue
        self._far_end = far_end
        self._caller = QueuedCaller(call)
        self._result = ""
        self._heard: CallOver | LeftQueue | TwimlError | None = None  # what the waitUrl's document led to

    def perform(self) -> dict[str, str]:
        """Wait, talk, and return what the action is told."""
        call, queue = self._call, self._queue
        queue.callers.append(self._caller)
        queue.joined.set()
        call.record(Queued(call.now_s(), queue.name))
        try:
            waited_s = self._wait()
            if self._result == "bridged":
                self._talk(waited_s)
            return self._told(waited_s)
        finally:
            self._caller.over.set()
            if self._caller in queue.callers:
                queue.callers.remove(self._caller)
            if not self._result:
                self._result = "hangup" if call.is_over else "redirected"
                self._tell_too_late()
            call.record(LeftTheQueue(call.now_s(), queue.name, self._result))

    def _wait(self) -> int:
        """Wait until the caller is taken or leaves, and return for how many seconds."""
        waits: list[gevent.Greenlet[..., Any]] = [gevent.spawn(self._caller.taken.wait)]
        if self._verb.wait_url:
            waits.append(gevent.spawn(self._hear))
        if self._far_end.does == "answers":
            waits.append(gevent.spawn(self._be_taken))
        try:
            gevent.wait(waits, count=1)
        finally:
            gevent.killall(waits)
        if self._caller.taken.is_set():
            self._result = "bridged"
        elif isinstance(self._heard, LeftQueue):
            self._result = "leave"
        elif self._heard is not None:
            self._result = "hangup" if isinstance(self._heard, CallOver) else "error"
            raise self._heard
        return self._caller.waited_s

    def _be_taken(self) -> None:
        """Let the scripted person take the caller, once it is the caller's turn."""
        self._call.line.wait_ms(round(self._far_end.rings_s * 1000))
        if self._caller in self._queue.callers:
            self._queue.callers.remove(self._caller)
        self._caller.taken.set()

    def _hear(self) -> None:
        """Carry out the waitUrl's document again and again, until it leads out of the queue."""
        call, verb = self._call, self._verb
        execution = Execution(call, WAITING)
        try:
            while True:
                began_ms = call.line.now_ms
                execution.run_aside(lambda: call.fetch(verb.wait_url, verb.wait_method, self._position()))
                if call.line.now_ms == began_ms:  # a document that takes no time would be asked without end
                    call.line.wait_ms(1000)
        except (CallOver, LeftQueue, TwimlError) as out:
            self._heard = out

    def _position(self) -> dict[str, str]:
        """Return what the waitUrl is told: /docs/voice/twiml/enqueue#waiturl."""
        callers = self._queue.callers
        return {
            "QueueSid": self._queue.sid,
            "QueuePosition": str(callers.index(self._caller) + 1),
            "QueueTime": str(self._caller.waited_s),
            "AvgQueueTime": str(sum(each.waited_s for each in callers) // len(callers)),
            "CurrentQueueSize": str(len(callers)),
            "MaxQueueSize": str(MOST_WAITING),
        }

    def _talk(self, waited_s: int) -> None:
        """Connect the caller with whoever took them, until one of the two hangs up."""
        call, far_end, by_sid = self._call, self._far_end, self._caller.by_sid
        announcement = self._caller.announcement
        if announcement is not None:
            more = {"QueueSid": self._queue.sid, "QueueTime": str(waited_s), "DequeingCallSid": by_sid}
            Execution(call, ANNOUNCEMENT).run_aside(
                lambda: call.fetch(announcement.whisper_url, announcement.whisper_method, more)
            )
        call.record(Transferred(call.now_s(), self._queue.name, "bridged"))
        if by_sid:
            self._caller.over.wait()
        elif far_end.talks_s is None:
            call.wait_for(CallEnded, FOREVER_S)
        else:
            call.line.wait_ms(round(far_end.talks_s * 1000))

    def _told(self, waited_s: int) -> dict[str, str]:
        return {"QueueResult": self._result, "QueueSid": self._queue.sid, "QueueTime": str(waited_s)}

    def _tell_too_late(self) -> None:
        """Tell the action that the caller has hung up or was redirected. Its answer is not carried out."""
        if self._verb.action:
            parameters = {**self._call.parameters(), **self._told(self._caller.waited_s)}
            self._call.call_back(self._verb.action, parameters, "queue-action", self._verb.method)
