"""HTTP paths of the service: those that Twilio asks for, and those of health checks.

`lexbridge/web` serves them. The load balancer of cloudformation/service.yml passes these paths and no others.
"""

import re

ANSWER_PATH = "/twiml"
"""Webhook of the phone number: Twilio asks it for the first document of a call."""

RESUME_PATH = "/twiml/resume"
"""Webhook that opens another stream, after one was lost or a document has run out."""

KEYS_PATH = "/twiml/keys"
"""Webhook that takes the keys which a `<Gather>` has collected."""

TRANSFERRED_PATH = "/twiml/transferred"
"""Webhook that Twilio asks how a call goes on, once its transfer is over or has failed."""

WHISPER_PATH = "/twiml/whisper"
"""Webhook that has the words for the person whom a transfer reaches, before they are connected."""

ANSWERED_BY_PATH = "/twiml/answered-by"
"""Webhook by which Twilio tells who has answered an outbound call, if it detects that while the call goes on."""

STREAM_STATUS_PATH = "/stream-status"
"""Webhook by which Twilio reports that a stream has started, stopped or failed."""

WEBHOOK_PATHS = (
    ANSWER_PATH,
    f"{ANSWER_PATH}/",
    RESUME_PATH,
    KEYS_PATH,
    ANSWERED_BY_PATH,
    TRANSFERRED_PATH,
    WHISPER_PATH,
    STREAM_STATUS_PATH,
)
"""All paths of webhooks. A "/" after /twiml is easily typed in the Twilio console, and the signature covers it."""

RELEASE_RULE = "/calls/<call_sid>/release"
"""Flask's rule for the paths at which other programs let a call go, signed as Twilio signs webhooks."""

_RELEASE_PATH = re.compile(r"/calls/(CA[0-9a-fA-F]{32})/release")


def released_call(path: str) -> str | None:
    """Return the call that a request at `path` lets go, or None if it is none of RELEASE_RULE."""
    found = _RELEASE_PATH.fullmatch(path)
    return None if found is None else found[1]


SOCKET_PATH = "/"
"""Path of the media socket."""

ACCOUNT_SOCKETS_PATH = "/twiml/media"
"""Path of the media sockets of other accounts, before the AccountSid. The load balancer passes /twiml*."""

PING_PATH, READY_PATH = PROBE_PATHS = ("/ping", "/ready")
"""Both paths of health checks: whether the process is alive, and whether a new call would be taken."""
