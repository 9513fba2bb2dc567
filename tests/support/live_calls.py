"""A live stream for tests of the calls that a process serves."""

from collections.abc import Callable

from lexbridge.bridge.live_calls import LiveStream


def live_stream(
    call_sid: str, told: Callable[[str], object] = lambda _: None, line: str = "", account_sid: str = ""
) -> LiveStream:
    """Return a stream that passes on each command that it gets. `line`: name of the line that serves its call."""
    return LiveStream(
        call_sid,
        f"MZ{call_sid[2:]}",
        lambda: told("take over"),
        lambda: told("leave"),
        lambda: told("close"),
        note_reason=told,
        line=line,
        account_sid=account_sid,
    )
