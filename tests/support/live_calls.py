"""Live streams of calls, as the record of live calls holds them."""

from collections.abc import Callable

from lexbridge.bridge.live_calls import LiveStream


def live_stream(call_sid: str, told: Callable[[str], object] = lambda _: None) -> LiveStream:
    """A stream that tells what it is told."""
    return LiveStream(
        call_sid,
        f"MZ{call_sid[2:]}",
        lambda: told("take over"),
        lambda: told("leave"),
        lambda: told("close"),
        note_reason=told,
    )
