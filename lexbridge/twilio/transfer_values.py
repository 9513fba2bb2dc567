"""Values with which `templates/transfer.xml` carries a transfer out."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from lexbridge.call.transfers import Handoff
from lexbridge.twilio.passed_on import client_parameters, sip_headers, task_attributes
from lexbridge.twilio.routes import TRANSFERRED_PATH, WHISPER_PATH
from lexbridge.twilio.say import clean, text_pieces
from lexbridge.twilio.sealed_text import seal, unseal

_AFTER, _WHISPER = "after", "whisper"
"""Purposes for which texts are sealed in addresses."""


def transfer_values(
    handoff: Handoff,
    secret: str,
    account_sid: str,
    voice: str | None,
    query: Mapping[str, int | str],
    address: Callable[..., str],
) -> dict[str, Any]:
    """Return the values of the template for `handoff`.

    `secret`: seals what an address holds of the call's content; without it no address holds any. `account_sid`: Twilio
    account whose requests alone may bring it back, or "" for the own one. `voice`: that of the call, None for the
    service's own. `query`: for each address. `address`: makes the address of a path and a query.
    """
    spoken_by = {"voice": voice} if voice else {}
    after = {"after": seal(secret, _of(_AFTER, account_sid), handoff.after)} if handoff.after and secret else {}
    has_whisper = bool(handoff.whisper and secret)
    whisper = {"words": seal(secret, _of(_WHISPER, account_sid), handoff.whisper)} if has_whisper else {}
    return {
        "target": handoff.target,
        "stream_sid": handoff.stream_sid,
        "last_pieces": text_pieces(clean(handoff.goodbye)),
        "caller_id": handoff.caller_id,
        "action_url": address(TRANSFERRED_PATH, **query, **spoken_by, **after),
        "whisper_url": address(WHISPER_PATH, **query, **spoken_by, **whisper) if has_whisper else "",
        "headers": sip_headers(handoff.attributes),
        "parameters": client_parameters(handoff.attributes),
        "task": task_attributes(handoff.attributes),
    }


def _of(purpose: str, account_sid: str) -> str:
    # Who has seen an address of another account could otherwise sign for it, and hear what it holds.
    return f"{purpose} of {account_sid}" if account_sid else purpose


def sealed_after(secrets: Iterable[str], account_sid: str, sealed: str) -> str | None:
    """Return the query for AFTER_URL that a transfer's address of this account holds, or None if it holds none."""
    return unseal(secrets, _of(_AFTER, account_sid), sealed)


def sealed_whisper(secrets: Iterable[str], account_sid: str, sealed: str) -> str | None:
    """Return the words of a whisper that its address holds, or None if it holds none of this account."""
    return unseal(secrets, _of(_WHISPER, account_sid), sealed)
