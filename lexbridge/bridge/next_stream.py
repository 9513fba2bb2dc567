"""The next stream of a call: its name and its token, ready before a document needs them."""

import math
import secrets
import time

from lexbridge.call.documents import SPEAKING_MS_PER_SYLLABLE, Opening
from lexbridge.call.events import Started
from lexbridge.call.stream_parameters import proof_parameters
from lexbridge.config.route import CallRoute
from lexbridge.twilio.rendering import MAX_DOCUMENT_CHARACTERS
from lexbridge.twilio.stream_names import stream_name
from lexbridge.twilio.stream_token import make_stream_token

TOKEN_KEPT_S = 20.0
"""The time after which the token is made anew, in seconds, because a token is valid for TOKEN_LIFE_S only."""

LONGEST_SPOKEN_S = MAX_DOCUMENT_CHARACTERS * SPEAKING_MS_PER_SYLLABLE / 1000
"""The longest time that a document speaks before it connects the caller to the next stream, in seconds."""


class NextStream:
    """The maker of the opening of a call's next stream."""

    __slots__ = ("_auth_token", "_route", "renew_from_s")

    def __init__(self, auth_token: str, route: CallRoute) -> None:
        """`auth_token`: Twilio's, with which the token is signed. `route`: the call's."""
        self._auth_token = auth_token
        self._route = route.text
        self.renew_from_s = -math.inf
        """When the opening has to be made anew, in monotonic seconds."""

    def renew(self, started: Started | None) -> Opening | None:
        """Return a new opening, or None if the last one can still be used or no stream has started."""
        now_s = time.monotonic()
        if started is None or now_s < self.renew_from_s:
            return None
        self.renew_from_s = now_s + TOKEN_KEPT_S
        sids = started.call_sid, started.account_sid
        nonce = secrets.token_hex(8)
        token = make_stream_token(self._auth_token, *sids, time.time(), LONGEST_SPOKEN_S, nonce, self._route)
        return Opening(stream_name(0, started.stream_sid), proof_parameters(token, self._route))

    def mark_used(self) -> None:
        """Make the next opening a new one, because a document has used the token of the last one."""
        self.renew_from_s = -math.inf
