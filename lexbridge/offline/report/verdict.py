"""The verdict on a simulated call: a bot answered or did not, and said what was expected or did not."""

import importlib.util
import os
from collections.abc import Iterator, Mapping

from lexbridge.offline.lex.recognition import GrammarRecogniser
from lexbridge.offline.report.bot_speech import has_phrase, is_sentence, speech_of
from lexbridge.offline.report.bot_words import audio_spans, own_phrases, replies, said_of_ours, says
from lexbridge.offline.report.causes import Placed, likely_causes
from lexbridge.offline.twilio.call import PhoneCall
from lexbridge.offline.twilio.events import BOT_HUNG_UP, BotBegan

_DEAF = "words in audio cannot be heard without soundswallower: pip install -r requirements-offline.txt"

_NOT_ENDED = "it was not the bot that ended the call"
_NO_END = (
    "the bot's last answer asks for no end (HANGUP_INTENTS, lexbridge:action), or for a transfer that its line does "
    "not allow: `transfer-refused` in the bridge's log"
)


def faults_of(call: PhoneCall, placed: Placed, expected: str | None = None) -> list[str]:
    """Return sentences about what was wrong with a call that is over, then the likely causes.

    The list is empty if a bot answered, said what was `expected`, and hung up, and Twilio had no complaint.
    """
    own = own_phrases(os.environ)
    faults = list(_not_said(call, placed.webhook, own, expected))
    if call.answered and (call.over is None or call.over.reason not in BOT_HUNG_UP):
        faults.append(_NOT_ENDED)
    if not faults and not call.complaints:
        return []
    causes = likely_causes(call.events, placed, said_of_ours(call.events, own))
    if not causes and faults == [_NOT_ENDED]:
        causes = [_NO_END]
    return [*faults, *(f"likely: {cause}" for cause in causes)]


def _not_said(call: PhoneCall, webhook: str, own: Mapping[str, str], expected: str | None) -> Iterator[str]:
    said = replies(call.events, webhook, own)
    spans = audio_spans(call.events)
    is_answered = bool(said)
    is_found = expected is None or any(says(text, expected) for text in said)
    if spans and not (is_answered and is_found):
        if importlib.util.find_spec("soundswallower") is None:
            is_answered = True  # somebody spoke, and it is not known who
            if not is_found:
                yield _DEAF
        else:
            is_answered, is_found = _listen(call, spans, None if is_found else expected, is_answered)
    if not is_answered:
        is_heard = any(isinstance(event, BotBegan) for event in call.events)
        yield f"the bot did not answer: {'only lexbridge itself' if is_heard else 'nothing'} was heard"
    elif not is_found:
        yield f"the bot did not say “{expected}”"


def _listen(
    call: PhoneCall, spans: list[tuple[float, float]], wanted: str | None, is_answered: bool
) -> tuple[bool, bool]:
    """Return whether it was the bot that was heard, and whether the phrase `wanted` was in it. In English."""
    is_found = wanted is None
    sentences = list(own_phrases(os.environ, ["en"]))
    with GrammarRecogniser() as recogniser:
        for pcm in speech_of(call, spans):
            if is_answered and is_found:
                break
            is_answered = is_answered or not is_sentence(recogniser, pcm, sentences)
            is_found = is_found or (wanted is not None and has_phrase(recogniser, pcm, wanted))
    return is_answered, is_found
