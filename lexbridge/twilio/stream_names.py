"""Names of media streams, which tell how many streams in a row a call has lost."""

import re


def stream_name(lost: int, previous: str = "") -> str:
    """Return the name of the stream that follows `previous`, the last of `lost` streams lost in a row.

    `previous`: the name or SID of the lost stream, or "" for a call's first stream. Every process makes the same name,
    so that Twilio takes only one of two streams that would replace the same lost one.
    """
    return f"lexbridge-{lost}-{previous[-8:]}" if previous else f"lexbridge-{lost}"


def streams_lost(name: str) -> int:
    """Return how many streams a call had lost before the stream `name`, or 0 if the name is not from `stream_name`."""
    named = re.fullmatch(r"lexbridge-([0-9]{1,4})(-.*)?", name)
    return int(named[1]) if named else 0
