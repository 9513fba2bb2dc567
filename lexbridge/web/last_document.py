"""Last document of a call that a webhook ends: a goodbye, or the way to AFTER_URL."""

from lexbridge.bridge.lines import LineRuntime
from lexbridge.call.after import NO_RESULT, Outcome, after_query, with_query
from lexbridge.call.documents import Document
from lexbridge.lex.model import Message
from lexbridge.logs import Log


def last_document(
    line: LineRuntime, log: Log, words: str, outcome: Outcome, voice: str | None = None, query: str | None = None
) -> Document:
    """Return the document that says `words`, and then hangs up or sends the call on to AFTER_URL.

    `query`: what AFTER_URL gets; None: the `outcome`, for a webhook knows no more of the call.
    """
    after_url = line.rules.after_url
    if after_url is None:
        return line.documents.goodbye([Message(words)], voice)
    log.info("sent-on", outcome=outcome.value)
    url = with_query(after_url, query or after_query(NO_RESULT, outcome, ()))
    return line.documents.go_on_at(url, [Message(words)], voice=voice)
