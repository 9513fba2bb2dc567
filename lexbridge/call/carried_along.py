"""What a call carries along when it goes on elsewhere: over another stream, at a webhook, or with a person."""

from dataclasses import replace

from lexbridge.call.context import CallContext
from lexbridge.call.documents import Opening, Query
from lexbridge.call.facts_query import facts_query
from lexbridge.call.stream_parameters import (
    GREETING_PARAMETER,
    HOOK_PARAMETER,
    HOOK_QUERY,
    NO_INPUT_MS_PARAMETER,
    CallProgress,
    StreamParameters,
    hand_over_parameters,
)
from lexbridge.config.parsers import is_phone_number


def progress(call: CallContext) -> CallProgress:
    """Return how far the call has come, for the next stream or webhook."""
    return CallProgress(call.began_s, call.dialog.turns_answered, call.returned, call.switches)


def query(call: CallContext) -> Query:
    """Return the query of the addresses in a document, by which the next webhook learns how far the call has come."""
    facts = StreamParameters.parse(call.stream.parameters).call_facts if call.dialog.first_attributes else {}
    hook = HOOK_QUERY if call.has_hook and call.dialog.first_attributes is not None else {}
    return {**progress(call).query, **facts_query(facts), **hook}


def next_opening(call: CallContext) -> Opening | None:
    """Return the stream that may take the call over, with all that it has to know; or None if there is none."""
    if call.next_stream is None:
        return None
    parameters = StreamParameters.parse(call.stream.parameters)
    # The next stream sends Lex the facts of the call if this one has not.
    facts = parameters.call_facts if call.dialog.first_attributes is not None else {}
    known = hand_over_parameters(
        facts, call.no_inputs, call.failed_turns, call.dialog.last_prompt, parameters.called_number
    )
    known += progress(call).parameters(call.age_s)
    if facts and call.has_hook:
        known.append((HOOK_PARAMETER, "1"))
    if facts and parameters.greeting is not None:
        known.append((GREETING_PARAMETER, parameters.greeting))
    if call.dialog.directives.no_input_s is not None:
        known.append((NO_INPUT_MS_PARAMETER, str(call.no_input_ms)))
    return replace(call.next_stream, parameters=[*call.next_stream.parameters, *known])


def caller_id(call: CallContext) -> str | None:
    """Return the number that a transfer shows as its caller's; None: Twilio shows the caller's own, if it can."""
    called = StreamParameters.parse(call.stream.parameters).called_number or ""
    return call.rules.transfer_caller_id or (called if is_phone_number(called) else None)
