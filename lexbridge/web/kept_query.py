"""The query in which addresses keep a call's beginning, until the first prompt is said and the bot has the facts.

Twilio repeats such an address when it asks there. So the webhook that opens the next stream knows whether the callee
was greeted yet, whether a machine has answered, and what Twilio tells only once.
"""

import re
from collections.abc import Mapping

from lexbridge.call.facts_query import carried_facts, facts_query
from lexbridge.call.stream_parameters import (
    CALLEE_FIRST_PARAMETER,
    CALLEE_HAS_SPOKEN,
    CALLEE_IS_AWAITED,
    MACHINE_PARAMETER,
)

_CALLEE_FIRST, _MACHINE = "callee", "machine"


def first_query(facts: Mapping[str, str], *, callee: str = "", machine: str = "") -> dict[str, str]:
    """Return the query of a call's first document.

    `callee`: a value of CALLEE_FIRST_PARAMETER if the callee is to speak before the first prompt, or "". `machine`:
    Twilio's word for one that has answered, or "".
    """
    query: dict[str, str] = {}
    if callee:
        query[_CALLEE_FIRST] = callee
    if machine:
        query[_MACHINE] = machine
    return {**query, **facts_query(facts)}


def kept_query(arguments: Mapping[str, str]) -> dict[str, str]:
    """Return what the next document keeps of the `arguments` of a webhook."""
    return first_query(dict(carried_facts(arguments)), callee=_kept_callee(arguments), machine=_kept_machine(arguments))


def _kept_callee(arguments: Mapping[str, str]) -> str:
    callee = arguments.get(_CALLEE_FIRST, "")
    return callee if callee in (CALLEE_IS_AWAITED, CALLEE_HAS_SPOKEN) else ""


def _kept_machine(arguments: Mapping[str, str]) -> str:
    machine = arguments.get(_MACHINE, "")
    return machine if re.fullmatch("[A-Za-z0-9_-]{1,40}", machine) else ""


def kept_parameters(arguments: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return what the `arguments` of a webhook tell the stream that it opens."""
    kept = ((CALLEE_FIRST_PARAMETER, _kept_callee(arguments)), (MACHINE_PARAMETER, _kept_machine(arguments)))
    return [(name, value) for name, value in kept if value]
