"""Likely causes of a simulated call that went wrong, found in its events. Pure."""

import re
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

from lexbridge.offline.twilio import events as happened
from lexbridge.offline.twilio.events import Event

Kind = TypeVar("Kind", bound=Event)


@dataclass(frozen=True, slots=True)
class Placed:
    """The addresses of a call. `api_url`: the simulated REST API. `connect_to`: where connections really went."""

    webhook: str
    api_url: str
    connect_to: str | None = None

    @property
    def base(self) -> str:
        """The webhook's address without its path."""
        parts = urlsplit(self.webhook)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def reached(self) -> str:
        """Address at which the bridge should listen."""
        return self.connect_to or self.base


def likely_causes(events: Sequence[Event], placed: Placed, ours: Set[str]) -> list[str]:
    """Return what to look at, the likeliest first. `ours`: names of lexbridge's own phrases that the caller heard."""
    documents = [each for each in _all(events, happened.WebhookAnswered) if each.purpose == "document"]
    refused = next((each for each in documents if not 200 <= each.status < 300), None)
    if refused is not None:
        return list(_of_webhook(refused, placed))
    if streams := _all(events, happened.StreamRefused):
        return list(_of_stream(streams[0], placed))
    if "not_available" in ours and not any("<Stream" in each.body for each in documents):
        return [_NO_LINE]
    return [*_of_updates(events, placed), *(_OF_PHRASES[name] for name in _OF_PHRASES if name in ours)]


def _of_webhook(answer: happened.WebhookAnswered, placed: Placed) -> Iterator[str]:
    if answer.status == 0:
        yield _unreached(answer.body, placed)
        return
    causes = _OF_STATUS.get(answer.status)
    if causes is None and answer.status >= 500:
        yield f"the bridge, or what stands before it, failed: its log, or that of the proxy at {placed.reached}"
    else:
        yield from (causes or _other)(placed)


def _forbidden(placed: Placed) -> Iterator[str]:
    yield "the auth tokens differ: this call was signed with --auth-token or TWILIO_AUTH_TOKEN of this shell"
    yield (
        f"the addresses differ: this call was signed for {placed.webhook}, so the bridge needs URL={placed.base}, "
        "letter for letter (http or https, host, port, path)"
    )
    yield "the bridge's log says which: the `reason` of `peer-refused`"


def _other(placed: Placed) -> Iterator[str]:
    path = urlsplit(placed.webhook).path
    if path.rstrip("/") != "/twiml":
        yield f"lexbridge's webhook is {placed.base}/twiml, by POST, and this call asked for {path or '/'}"
    else:
        yield f"something that is no lexbridge answers at {placed.reached}"


def _busy(_: Placed) -> Iterator[str]:
    yield "the bridge takes no call: it starts, drains or is full (GET /ready says which)"


_OF_STATUS: dict[int, Callable[[Placed], Iterator[str]]] = {
    403: _forbidden,
    503: _busy,
}


def _unreached(why: str, placed: Placed) -> str:
    if re.search("refused", why, re.IGNORECASE):
        return f"nothing listens at {placed.reached}: start the bridge, or check its CONTAINER_PORT"
    if re.search("NameResolution|gaierror|Name or service", why):
        return f"the host of {placed.reached} has no address: --connect-to says where the bridge really is"
    if re.search("SSL|certificate", why, re.IGNORECASE):
        return f"no TLS, or no certificate that is trusted, at {placed.reached}: --connect-to http://... goes past it"
    if re.search("timeout|timed out|no answer within", why, re.IGNORECASE):
        return f"{placed.reached} does not answer: a firewall, another host, or a bridge that hangs"
    return f"the connection to {placed.reached} broke: is it a bridge that listens there?"


def _of_stream(refused: happened.StreamRefused, placed: Placed) -> Iterator[str]:
    if "403" in refused.reason:
        yield f"the bridge does not take the signature for {refused.url}: is STREAM_URL set to another address?"
    elif "404" in refused.reason:
        yield f"no socket is served at {refused.url}: lexbridge's is at / alone, so STREAM_URL has no path"
    elif "503" in refused.reason:
        yield "the bridge takes no more streams: MAX_CALLS"
    else:
        yield f"the media stream did not open at {refused.url}: STREAM_URL (unset: wss:// and the host of URL)"
        if placed.connect_to is None:
            yield "--connect-to http://127.0.0.1:8080 goes to a bridge here, whatever its addresses say"


def _of_updates(events: Sequence[Event], placed: Placed) -> Iterator[str]:
    came = [*_all(events, happened.UpdateReceived), *_all(events, happened.UpdateRefused)]
    if refused := [each for each in _all(events, happened.UpdateRefused) if each.status in (401, 403)]:
        yield f"the bridge signs in with another token ({refused[0].status}): its TWILIO_AUTH_TOKEN is not ours"
    is_two_way = bool(_all(events, happened.MediaBegan)) or any(
        "<Connect" in each.body for each in _all(events, happened.WebhookAnswered)
    )
    spoke = bool(_all(events, happened.SpeechEnded) or _all(events, happened.KeyPressed))
    if spoke and not is_two_way and not came:
        yield (
            f"no update of the call came from the bridge: start it with TWILIO_API_URL={placed.api_url}, and see "
            "`call-update-failed` in its log"
        )


_NO_LINE = (
    "no line of the table serves this call (`call-refused` with `no line` in the bridge's log): server.py --which "
    "NUMBER says why. In a call that you place, `to` is the person, and `from` your number"
)
_OF_PHRASES = {
    "busy": "the bridge takes no call: `call-refused` in its log says why (MAX_CALLS, draining, overloaded)",
    "not_available": "the bridge does not reach the bot: `lex-rejected` in its log, and server.py --check=live",
    "say_it_again": "Lex failed, or the bot's Lambda function did: `turn-failed` in the bridge's log",
    "not_heard": "the bridge heard nothing: VAD and VOICE_THRESHOLD, or the script says nothing when it is asked",
}


def _all(events: Sequence[Event], kind: type[Kind]) -> list[Kind]:
    return [event for event in events if isinstance(event, kind)]
