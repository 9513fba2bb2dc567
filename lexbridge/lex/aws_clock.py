"""Requests to AWS signed with AWS's time, whatever this machine's clock says.

AWS refuses a signature whose time differs from its own by more than five minutes. botocore takes the time from the
machine's wall clock and never corrects it, but an operator, a bad time server or a restored machine can move that clock
by an hour. The time here is the Date of AWS's latest answer plus the time that has passed since. Before the first
answer it is the wall clock's time when the client was made plus the time since. A jump of the wall clock changes
neither.

How the time reaches the signer (botocore 1.44): botocore looks up each request's signer by name in
botocore.auth.AUTH_TYPE_MAPS, and a handler of one client's event `choose-signer` may return another name.
SigV4Auth.add_auth sets the time in the request's context, calls `_modify_request_before_signing`, and then always
reads the time from the context. The signer here sets it again in that call.
"""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from botocore.auth import AUTH_TYPE_MAPS, SIGV4_TIMESTAMP, SigV4Auth
from botocore.handlers import set_operation_specific_signer

from lexbridge.logs import Log

_SIGNER = "v4-lexbridge"
_CLOCK = "lexbridge.lex.aws_clock"  # in a request's context: its client's clock
_LOGGED_FROM_S = 60.0
"""The least difference of the wall clock from AWS's that is logged, in seconds, because AWS accepts five minutes."""

_TIME_CODES = ("RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture")
# AWS sends these codes for a wrong key, too. Only with these words they are about the time.
_SIGNATURE_CODES = ("InvalidSignatureException", "SignatureDoesNotMatch")
_TIME_WORDS = ("Signature expired", "Signature not yet current")

# A clock that never jumps. CLOCK_BOOTTIME, where there is one, goes on while the machine sleeps.
_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class AwsClock:
    """AWS's time, as well as this process knows it."""

    def __init__(self) -> None:
        self._offset_s = time.time() - _steady_s()
        self._is_wall_off = False

    def now(self) -> datetime:
        """Return the time, UTC."""
        return datetime.fromtimestamp(_steady_s() + self._offset_s, UTC)

    def learn(self, date: str) -> None:
        """Learn the time from `date`, the Date header of an answer that has just arrived.

        A header that is no date is ignored. If the wall clock is wrong by more than a minute, a log line says so, once
        until the clock is right again.
        """
        try:
            aws_s = parsedate_to_datetime(date).timestamp()
        except (ValueError, OverflowError):
            return
        self._offset_s = aws_s - _steady_s()
        off_s = time.time() - aws_s
        was_wall_off, self._is_wall_off = self._is_wall_off, abs(off_s) > _LOGGED_FROM_S
        if self._is_wall_off and not was_wall_off:
            Log().warning("clock-differs-from-aws", ahead_s=round(off_s))


class _Signer(SigV4Auth):  # type: ignore[misc]  # no types there
    """Signature version 4, at the time of the client's AwsClock."""

    def _modify_request_before_signing(self, request: Any) -> None:
        request.context["timestamp"] = request.context[_CLOCK].now().strftime(SIGV4_TIMESTAMP)
        super()._modify_request_before_signing(request)


# A name of its own: no other client's signer changes.
AUTH_TYPE_MAPS[_SIGNER] = _Signer


def follow_aws_clock(client: Any) -> AwsClock:
    """Set up a boto3 client to sign with AWS's time from now on. Return the clock.

    A request that AWS refuses for its time is sent again, once and at once, if its body is complete: a live body
    cannot be sent twice.
    """
    clock = AwsClock()

    def choose(context: dict[str, Any], signing_name: str, signature_version: Any, **_: Any) -> Any:
        """Return the name of the signer, or None for botocore's own choice."""
        # botocore does not ask its own handler after this one, and that also decides whether the body is signed.
        chosen = set_operation_specific_signer(context=context, signing_name=signing_name) or signature_version
        if chosen != "v4":
            return None  # another signature, or none
        context[_CLOCK] = clock
        return _SIGNER

    def learn(response_dict: Mapping[str, Any], **_: Any) -> None:
        """Learn the time from an answer."""
        if date := response_dict["headers"].get("Date"):
            clock.learn(date)

    def send_again(response: Any, request_dict: Mapping[str, Any], attempts: int, **_: Any) -> int | None:
        """Return the pause before the request is sent again, in seconds, or None to not send it again."""
        is_whole = isinstance(request_dict["body"], bytes | bytearray | str)
        if response is None or attempts > 1 or not is_whole or not is_refused_for_its_time(response[1]):
            return None
        return 0

    service = client.meta.service_model.service_id.hyphenize()
    client.meta.events.register(f"choose-signer.{service}", choose)
    client.meta.events.register(f"before-parse.{service}", learn)
    client.meta.events.register_first(f"needs-retry.{service}", send_again)
    return clock


def is_refused_for_its_time(response: Mapping[str, Any]) -> bool:
    """Return whether AWS refused a request because of the time in its signature, so that another try helps.

    `response`: the answer as boto3 has parsed it, such as ClientError.response.
    """
    error = response.get("Error", {})
    code, message = error.get("Code", ""), str(error.get("Message", ""))  # from JSON, so it may be of any type
    return code in _TIME_CODES or (code in _SIGNATURE_CODES and message.startswith(_TIME_WORDS))


def _steady_s() -> float:
    return time.clock_gettime(_STEADY)
