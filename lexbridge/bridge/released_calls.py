"""The calls that were let go: another program has them, and no process of this server touches them again.

A release may reach any worker, and the call's stream may be at another one. So the calls stand in shared memory. Each
worker looks there before it changes a call, and several times a second whether one of its own was let go.
"""

import mmap
import time
from collections.abc import Callable

import gevent

from lexbridge.bridge.call_control import CallControl
from lexbridge.errors import CallLetGo
from lexbridge.logs import Log
from lexbridge.twilio.shared_digests import SharedDigests

KEPT_S = 4 * 3600.0
"""Time for which a call counts as let go, in seconds: the longest that a call lasts, if nothing else is agreed.

Source: https://www.twilio.com/docs/voice/api/call-resource#create-a-call-resource , parameter `TimeLimit`.
"""

BUCKETS, IN_BUCKET = 512, 64
"""Number of buckets, and of calls in each. The first bucket is full with some 20,000 calls: 5,000 an hour.

Then the account with the most calls there gives way, and 64 accounts have room of their own.
"""

OPERATOR = "operator"
"""Owner of what the operator lets go of. No Twilio account is called so."""

STREAM_FOUND_S = 0.5
"""The longest wait for the process that has the call's stream to let go of it, in seconds. It takes some 60 ms."""

_LOOK_S = 0.01


class ReleasedCalls:
    """The calls that were let go. Forked processes share them. Make it before the fork."""

    def __init__(self, buckets: int = BUCKETS, in_bucket: int = IN_BUCKET) -> None:
        self._released = SharedDigests(buckets, in_bucket)
        self._left = SharedDigests(buckets, in_bucket)
        self._changes = memoryview(mmap.mmap(-1, 8)).cast("Q")

    @property
    def changes(self) -> int:
        """A number that is another one once more calls were let go."""
        return self._changes[0]

    def add(self, account_sid: str, call_sid: str, signer: str = "") -> None:
        """Let a call go.

        `account_sid`: whose call it is; "" if the operator lets go of it, whosever it is. `signer`: the account whose
        secrets asked for it. It may not be the named one, because all AccountSids that no line names have those of the
        environment.
        """
        now_s = time.time()
        self._released.add(_key(account_sid, call_sid), now_s + KEPT_S, now_s, signer)
        # After the call stands there. Two processes may write the same number at once: then both calls stand there.
        self._changes[0] = (self._changes[0] + 1) % 2**63

    def let_go(self, call_sid: str) -> bool:
        """Let a call go because the operator asks for it. Return whether a process of this server had its stream."""
        self.add("", call_sid, OPERATOR)
        return self.wait_for_stream("", call_sid)

    def has(self, account_sid: str, call_sid: str) -> bool:
        """Return whether a call was let go."""
        now_s = time.time()
        return any(self._released.has(_key(account, call_sid), now_s) for account in ("", account_sid))

    def take_back(self, account_sid: str, call_sid: str) -> None:
        """Serve a call again: another program has sent it to the first webhook."""
        for account in ("", account_sid):
            self._released.forget(_key(account, call_sid))
            self._left.forget(_key(account, call_sid))

    def note_left(self, account_sid: str, call_sid: str, signer: str = "") -> None:
        """Note that the process which has a call's stream has let go of it. `signer`: as for `add`."""
        now_s = time.time()
        # As one of its account, too: another account that names its CallSid may not take it back.
        self._released.add(_key(account_sid, call_sid), now_s + KEPT_S, now_s, signer)
        for account in ("", account_sid):
            self._left.add(_key(account, call_sid), now_s + KEPT_S, now_s, signer)

    def wait_for_stream(self, account_sid: str, call_sid: str) -> bool:
        """Wait until the process that has a call's stream has let go of it. Return False if none here has one.

        `account_sid`: "" if the operator asks.
        """
        give_up_s = time.monotonic() + STREAM_FOUND_S
        while not self._left.has(_key(account_sid, call_sid), time.time()):
            if time.monotonic() >= give_up_s:
                return False
            gevent.sleep(_LOOK_S)
        return True


def _key(account_sid: str, call_sid: str) -> str:
    return f"{account_sid} {call_sid}"


class UnreleasedCallControl(CallControl):
    """Control of the calls that were not let go. It raises CallLetGo for the others."""

    def __init__(self, control: CallControl, released: ReleasedCalls) -> None:
        """`control`: carries out what is asked."""
        self._control = control
        self._released = released

    def update(
        self, account_sid: str, call_sid: str, twiml: str, log: Log, is_wanted: Callable[[], bool] = lambda: True
    ) -> None:
        self._check(account_sid, call_sid)

        def is_still_wanted() -> bool:
            return is_wanted() and not self._released.has(account_sid, call_sid)

        self._control.update(account_sid, call_sid, twiml, log, is_still_wanted)

    def stop_stream(self, account_sid: str, call_sid: str, stream: str) -> None:
        self._check(account_sid, call_sid)
        self._control.stop_stream(account_sid, call_sid, stream)

    def _check(self, account_sid: str, call_sid: str) -> None:
        if self._released.has(account_sid, call_sid):
            raise CallLetGo("the call was let go")
