"""The routing hook: the operator's program that is asked about each new call, and may say which line answers it.

The webhook of a new call waits for the answer, on its own greenlet. No other call waits: the hook has one deadline, one
attempt, and a limit of questions at a time, of which no Twilio account takes all. Whatever goes wrong, the table of
lines decides.
"""

import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import gevent
import requests

from lexbridge import __version__
from lexbridge.logs import Log, RateLimitedLog
from lexbridge.net.capped_http import capped_session, is_too_long
from lexbridge.net.standard_webhooks import signature_headers, signing_key
from lexbridge.web.fair_places import FairPlaces
from lexbridge.web.hook_answer import HookAnswer, HookAnswerRefused, read_hook_answer

DEADLINE_S = 2.0
"""Limits a question as a whole, in seconds: name, connection, TLS and the answer to its last byte. The caller hears
ringing meanwhile."""

MAX_QUESTIONS_OF_ONE, MAX_QUESTIONS = 64, 256
"""Limit the questions of a process that are under way: about calls of one Twilio account, and about all.

A call beyond it is not asked about: the table decides. At 2 s each, one account may have 32 new calls a second of a
hook that hangs, and leaves places for the others."""

_LEFT_OUT = ("CallToken",)
"""Fields of Twilio's webhook that the hook does not get: by this one, whoever has it calls as the caller."""


@dataclass(frozen=True, slots=True)
class Question:
    """A call about which the hook is asked.

    `form`, `query`: of Twilio's webhook. `line`: the line that the table chose, or None if it has none for the call.
    `is_new`: whether the call is new; if not, only the attributes are needed once more.
    """

    form: Mapping[str, str]
    query: Mapping[str, str]
    line: str | None
    is_new: bool = True


class RouteHook:
    """The routing hook at ROUTE_URL."""

    def __init__(
        self,
        url: str,
        secret: str,
        signer_of: Callable[[str], str] = lambda account_sid: account_sid,
        deadline_s: float = DEADLINE_S,
        places: FairPlaces | None = None,
    ) -> None:
        """`secret`: signs each question. `signer_of`: returns the account whose secrets count for an AccountSid.

        `deadline_s`: as DEADLINE_S. `places`: of questions under way; without it, as MAX_QUESTIONS tells.
        """
        self._url = url
        self._key = signing_key(secret)
        self._signer_of = signer_of
        self._deadline_s = deadline_s
        self._session = capped_session(MAX_QUESTIONS)
        self._places = places or FairPlaces(MAX_QUESTIONS, MAX_QUESTIONS_OF_ONE)
        self._unanswered = RateLimitedLog("route-not-answered")
        self._odd = RateLimitedLog("route-answer-odd")

    def ask(self, question: Question, log: Log) -> HookAnswer | None:
        """Return the answer to `question`, or None if there is none that can be used. Raise nothing.

        `log`: names the call.
        """
        account = self._signer_of(question.form.get("AccountSid", ""))
        if not self._places.take(account):
            self._unanswered.count("too many at once")
            return None
        try:
            began_s = time.monotonic()
            answer = self._ask(question)
            took_ms = round((time.monotonic() - began_s) * 1000)
            fields = {"took_ms": took_ms, "chosen": answer.line, "attributes": len(answer.attributes)}
            log.write("debug", "route-answered", fields)
            if answer.unknown_keys:
                self._odd.count("unknown keys", {"keys": ", ".join(answer.unknown_keys)})
            return answer
        except HookAnswerRefused as refused:
            self._unanswered.count(refused.why, {"rule": refused.rule})
        except Exception as error:
            log.exception("route-broken", error=type(error).__name__)
        finally:
            self._places.give_back(account)
        return None

    def refuse(self, why: str, rule: str) -> None:
        """Note that an answer cannot be carried out, so that the table decides."""
        self._unanswered.count(why, {"rule": rule})

    def _ask(self, question: Question) -> HookAnswer:
        """Return the answer to `question`. Raise HookAnswerRefused."""
        message_id = f"msg_{secrets.token_hex(16)}"
        body = json.dumps(_body(question, message_id), ensure_ascii=False).encode("utf-8", "replace")
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"lexbridge/{__version__}",
            **signature_headers(self._key, message_id, body, int(time.time())),
        }
        deadline = gevent.Timeout(self._deadline_s)
        try:
            with deadline:
                status, answered = self._post(body, headers)
        except gevent.Timeout as timeout:
            if timeout is not deadline:
                raise
            raise HookAnswerRefused("timeout", f"answer within {self._deadline_s:g} s") from None
        except requests.RequestException as error:
            raise HookAnswerRefused(_reason(error), "be there, with a valid certificate, and answer in JSON") from None
        if not 200 <= status < 300:
            raise HookAnswerRefused(f"status {status}", "answer 200 or 204: redirects are not followed")
        return read_hook_answer(answered)

    def _post(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Post `body`, and return status and body of the answer. Raise requests.RequestException."""
        with self._session.post(
            self._url, data=body, headers=headers, timeout=self._deadline_s, allow_redirects=False, stream=True
        ) as answer:
            return answer.status_code, answer.content


def _body(question: Question, message_id: str) -> Mapping[str, Any]:
    form = {name: value for name, value in question.form.items() if name not in _LEFT_OUT}
    return {
        "type": "call.route",
        "id": message_id,
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "data": {
            "call_sid": form.get("CallSid", ""),
            "account_sid": form.get("AccountSid", ""),
            "from": form.get("From", ""),
            "to": form.get("To", ""),
            "direction": form.get("Direction", ""),
            "line": question.line,
            "is_new": question.is_new,
            "query": dict(question.query),
            "twilio": form,
        },
    }


def _reason(error: requests.RequestException) -> str:
    """Return a few words for an error of the network: one of a small set."""
    if is_too_long(error):
        return "too long"
    match error:
        case requests.exceptions.SSLError():
            return "no TLS"
        case requests.Timeout():
            return "timeout"
        case requests.exceptions.ContentDecodingError():
            return "compressed"
        case requests.exceptions.ChunkedEncodingError():
            return "cut off"
        case _:
            return "no connection"
