"""The credentials of an IAM role, which AWS STS gives and which are renewed before they expire.

botocore's own would hold up calls: a request that renews them waits for STS with a minute's patience and four retries,
and all requests of the role wait behind it, one after the other. Here one greenlet at a time asks STS, with deadlines
of its own. Requests that have no valid credentials wait for it together; while the old ones are valid, none waits.
"""

import time
from typing import Any

import gevent
from botocore.config import Config
from botocore.credentials import DeferredRefreshableCredentials
from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from lexbridge.logs import Log

STS_CONNECT_S, STS_ANSWER_S = 1.5, 2.5
"""Deadlines of a request to STS, in seconds. A turn whose credentials are new still has time for Lex after that."""

FAILED_FOR_S = 1.0
"""Time for which a failure stands for all requests, in seconds, because each of them would ask STS anew."""

_MAX_TEXT = 200


def sts_config() -> Config:
    """Return how a client asks STS: with the deadlines of this module, and once."""
    return Config(
        connect_timeout=STS_CONNECT_S, read_timeout=STS_ANSWER_S, retries={"total_max_attempts": 1}, tcp_keepalive=True
    )


class RoleNotAssumed(BotoCoreError):  # type: ignore[misc]  # no types there
    """STS gave no credentials of the role. `is_refusal`: STS said so, and another try would not help."""

    fmt = "{why}"

    def __init__(self, why: str, is_refusal: bool) -> None:
        super().__init__(why=why)
        self.is_refusal = is_refusal


class RoleCredentials(DeferredRefreshableCredentials):  # type: ignore[misc]  # no types there
    """The credentials of one role, for all clients of the process."""

    def __init__(self, sts: Any, role_arn: str) -> None:
        """`sts`: boto3's client of STS, with `sts_config`."""
        super().__init__(self._ask, "assume-role")
        self._sts = sts
        self._role_arn = role_arn
        self._asking: gevent.Greenlet[[], None] | None = None
        self._failure: RoleNotAssumed | None = None
        self._failed_s = 0.0
        self._log = Log()

    # botocore's name
    def _refresh(self) -> None:
        """Renew the credentials if they expire soon. Wait for that only if they are about to. Raise RoleNotAssumed."""
        if not self.refresh_needed(self._advisory_refresh_timeout):
            return
        has_failed = self._failure is not None and time.monotonic() < self._failed_s + FAILED_FOR_S
        if self._asking is None and not has_failed:
            self._asking = gevent.spawn(self._renew)
        if not self.refresh_needed(self._mandatory_refresh_timeout):
            return
        if self._asking is not None:
            self._asking.join()
        # Another error for each request: a traceback grows each time that an exception is raised.
        if self._failure is not None and self.refresh_needed(0):
            raise RoleNotAssumed(str(self._failure), self._failure.is_refusal)

    def _renew(self) -> None:
        """Ask STS, on a greenlet of its own."""
        failure = None
        try:
            self._set_from_data(self._ask())
            self._publish_refresh()
        except ClientError as error:
            failure = _refusal(error)
        except (BotoCoreError, HTTPError, OSError) as error:
            failure = RoleNotAssumed(f"STS gave no credentials: {type(error).__name__}; check BOT_ROLE_ARN", False)
        except Exception as error:  # an answer of another form
            failure = RoleNotAssumed(f"STS's answer cannot be read: {type(error).__name__}; check BOT_ROLE_ARN", False)
        finally:
            self._asking = self._staged_expiry_time = None
        if failure is None and self._is_expired():
            failure = RoleNotAssumed("STS gave credentials that have expired; set this machine's clock", False)
        self._failure, self._failed_s = failure, time.monotonic()
        if failure is not None:
            self._log.error("role-not-assumed", error=str(failure), role=self._role_arn)

    def _ask(self) -> dict[str, Any]:
        """Return the answer of STS in botocore's form. Raise botocore's errors."""
        name = f"lexbridge-{int(time.time())}"
        given = self._sts.assume_role(RoleArn=self._role_arn, RoleSessionName=name)["Credentials"]
        return {
            "access_key": given["AccessKeyId"],
            "secret_key": given["SecretAccessKey"],
            "token": given["SessionToken"],
            "expiry_time": given["Expiration"].isoformat(),
        }


def _refusal(error: ClientError) -> RoleNotAssumed:
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500))
    code = str(error.response.get("Error", {}).get("Code", ""))[:_MAX_TEXT]
    is_refusal = 400 <= status < 500 and status not in (408, 429) and "Throttl" not in code
    return RoleNotAssumed(
        f"STS answered {status} {code}; check BOT_ROLE_ARN, and whether the credentials may assume it", is_refusal
    )
