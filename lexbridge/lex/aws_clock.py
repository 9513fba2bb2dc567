"""Requests to AWS signed with AWS's time, whatever this machine's clock says.

AWS refuses a signature whose time is more than five minutes from its own. botocore takes the time from the machine's
wall clock, which an operator, a bad time server or a restored machine can move by an hour, and corrects nothing. Here
the time is that of AWS's latest answer (its Date) plus what has passed since; before the first answer, that of the
wall clock when the client was made, likewise. Neither is touched by a wall clock that jumps.

How it reaches the signer (botocore 1.44): each request's signer is looked up by name in botocore.auth.AUTH_TYPE_MAPS,
and the event `choose-signer` of one client may give another name for it. SigV4Auth.add_auth sets the time in the
request's context, calls `_modify_request_before_signing`, and takes the time from the context ever after; it is there
that our signer sets it again.
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
_WORTH_A_LINE_S = 60.0

_TIME_CODES = ("RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture")
# These are said of a wrong key too; of time in these words only.
_SIGNATURE_CODES = ("InvalidSignatureException", "SignatureDoesNotMatch")
_TIME_WORDS = ("Signature expired", "Signature not yet current")

# Steady, and where there are two such clocks the one that goes on while the machine sleeps.
_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class AwsClock:
    """AWS's time, as far as it is known."""

    def __init__(self) -> None:
        self._offset_s = time.time() - _steady_s()
        self._is_wall_off = False

    def now(self) -> datetime:
        """The time, UTC."""
        return datetime.fromtimestamp(_steady_s() + self._offset_s, UTC)

    def learn(self, date: str) -> None:
        """`date`: the Date header of an answer that came just now. One that is none is ignored. Logs when the wall
        clock is found to be off by more than a minute, once until it is right again."""
        try:
            aws_s = parsedate_to_datetime(date).timestamp()
        except (ValueError, OverflowError):
            return
        self._offset_s = aws_s - _steady_s()
        off_s = time.time() - aws_s
        was_wall_off, self._is_wall_off = self._is_wall_off, abs(off_s) > _WORTH_A_LINE_S
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
    """Makes a boto3 client sign with AWS's time from now on, and send a request that was refused for its time again,
    once and at once, if its body is all there (a live one cannot be sent twice). Returns the clock."""
    clock = AwsClock()

    def choose(context: dict[str, Any], signing_name: str, signature_version: Any, **_: Any) -> Any:
        """The name of the signer."""
        # botocore's own choice, which is not asked after ours: it also says whether the body is signed.
        chosen = set_operation_specific_signer(context=context, signing_name=signing_name) or signature_version
        if chosen != "v4":
            return None  # such as no signature at all
        context[_CLOCK] = clock
        return _SIGNER

    def learn(response_dict: Mapping[str, Any], **_: Any) -> None:
        """Each answer tells the time."""
        if date := response_dict["headers"].get("Date"):
            clock.learn(date)

    def send_again(response: Any, request_dict: Mapping[str, Any], attempts: int, **_: Any) -> int | None:
        """After how many seconds, or None: not again."""
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
    """Whether AWS refused a request because of the time in its signature: the next one will do. `response`: the
    answer as boto3 has parsed it, as in ClientError.response."""
    error = response.get("Error", {})
    code, message = error.get("Code", ""), str(error.get("Message", ""))  # of JSON: it may be anything
    return code in _TIME_CODES or (code in _SIGNATURE_CODES and message.startswith(_TIME_WORDS))


def _steady_s() -> float:
    return time.clock_gettime(_STEADY)
