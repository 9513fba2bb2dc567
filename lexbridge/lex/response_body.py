"""The body of a response from Lex: its content type, and what to do with a body that is not needed."""

from collections.abc import Mapping
from typing import Any

import gevent

from lexbridge.errors import LexUnavailable
from lexbridge.lex.faults import BOTO_ERRORS
from lexbridge.net.capped_http import is_encoded

_MAX_DRAINED_BYTES = 64 * 1024
"""The most that is read of a body without audio, in bytes, because such a body is empty as a rule.

Once it is read, its connection can serve the next request.
"""

_DRAIN_WITHIN_S = 0.2
"""The longest wait for the end of such a body, in seconds, because a new connection takes no longer."""


def drain(body: Any, deadline: gevent.Timeout | None = None) -> None:
    """Read the rest of a body that is not needed, so that its connection can be used again.

    The connection is closed if the end does not come soon. Faults of the body are ignored. `deadline`: of the turn,
    which has its answer already.
    """
    left_bytes = _MAX_DRAINED_BYTES
    late = gevent.Timeout(_DRAIN_WITHIN_S)
    try:
        with late:
            while left_bytes > 0 and (received := body.read(left_bytes)):
                left_bytes -= len(received)
    except gevent.Timeout as timeout:
        if timeout not in (late, deadline):
            raise
        left_bytes = 0
    except BOTO_ERRORS:
        left_bytes = 0
    if left_bytes <= 0:
        body.close()


def audio_type(response: Mapping[str, Any]) -> str:
    """Return the content type of a response's audio.

    Raise LexUnavailable if the audio is compressed, because lexbridge asks for no compression: played as it is, it
    would be noise.
    """
    if is_encoded(response.get("ResponseMetadata", {}).get("HTTPHeaders", {})):
        raise LexUnavailable("Lex's audio has a Content-Encoding")
    return str(response.get("contentType", ""))
