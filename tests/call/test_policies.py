"""Tables of what the rules of a call decide: each row is one case."""

import pytest

from lexbridge.audio.hangover import Expected
from lexbridge.call import joining, limits, replies, resumption
from lexbridge.call.after import Outcome
from lexbridge.call.dialog import DialogContext
from lexbridge.call.directives import Directives
from lexbridge.call.joining import Answered, Failed, Join, Stand
from lexbridge.call.last_words import Goodbye, GoOnAt, SwitchTo, TransferTo
from lexbridge.call.replies import FetchPrompt, HangUp, Reprompt, Speak, Transfer
from lexbridge.call.resumption import (
    AnswerLate,
    AskToRepeat,
    BeginAgain,
    Beginning,
    CarryOut,
    SendGathered,
    Session,
    Standing,
    Step,
    TellOfReturn,
)
from lexbridge.call.states import CallState, TurnState
from lexbridge.call.stream_parameters import (
    HANDED_OVER,
    KEYED,
    LOST,
    RETURNED,
    SWITCHED,
    CallProgress,
    StreamParameters,
    fingerprint,
)
from lexbridge.call.switching import Switches
from lexbridge.call.transfers import Handoff
from lexbridge.call.turn import Turn
from lexbridge.config.transfer_targets import NumberTarget
from lexbridge.errors import LexRejected, LexUnavailable
from lexbridge.lex.model import NO_DIALOG, DialogState, Message, Reply
from lexbridge.twilio.twiml import TwimlDocuments
from tests.support.settings import make_settings
from tests.support.switches import FLOWERS, ROUTER, switchboard
from tests.support.twilio_messages import STREAM_SID
from tests.support.twiml import outline

NUMBER = "+15550100123"
TARGET = NumberTarget(NUMBER)
RULES = make_settings(
    HANGUP_INTENTS="GoodbyeIntent", TRANSFER_NUMBERS=NUMBER, GREETING="Hello.", MAX_CALL_S="600", MAX_TURNS="5"
).line.call_rules
PHRASES = RULES.phrases
SAYS = (Message("Which flowers?"),)
SPOKEN = Turn(1, 0, TurnState.ANSWERED)
KEYED_IN = Turn(1, 0, TurnState.ANSWERED, keys="12")
WELCOME = Turn(1, 0, TurnState.ANSWERED, intent="WelcomeIntent", words_instead="Hello.")

ELICIT, FULFILLED, FAILED = DialogState.ELICIT_SLOT, DialogState.FULFILLED, DialogState.FAILED


def reply(state=ELICIT, messages=SAYS, transcript="roses", intent="OrderFlowers", **attributes):
    return Reply(state, messages, intent, session_attributes=attributes, transcript=transcript)


def words(text):
    return (Message(text),)


ASKS_FOR_TRANSFER = {"lexbridge:action": "transfer", "lexbridge:transfer-to": NUMBER}
RETURNS = {"lexbridge:action": "return"}
ASKS_FOR_ANOTHER = {"lexbridge:action": "transfer", "lexbridge:transfer-to": "+15550100999"}


@pytest.mark.parametrize(
    ("answer", "turn", "decision"),
    [
        (reply(), SPOKEN, Speak(SAYS)),
        (reply(FULFILLED), SPOKEN, Speak(SAYS)),
        # the bot says nothing
        (reply(messages=()), SPOKEN, Speak(words(PHRASES.say_it_again))),
        (reply(messages=(), transcript=""), SPOKEN, Speak(())),
        (reply(messages=(), transcript=""), None, Speak(())),
        (reply(messages=(), transcript=""), KEYED_IN, Speak(words(PHRASES.say_it_again))),
        (reply(messages=(), transcript=""), WELCOME, Speak(words("Hello."))),
        (reply(FULFILLED, messages=()), SPOKEN, Speak(words(PHRASES.done))),
        (reply(FULFILLED, messages=(), intent="FallbackIntent"), SPOKEN, Speak(words(PHRASES.say_it_again))),
        (reply(FAILED, messages=(), transcript=""), SPOKEN, Speak(words(PHRASES.say_it_again))),
        # the bot hangs up
        (reply(FULFILLED, intent="GoodbyeIntent"), SPOKEN, HangUp(SAYS, has_audio=True)),
        (reply(FULFILLED, messages=(), intent="GoodbyeIntent"), SPOKEN, HangUp(words(PHRASES.goodbye))),
        (reply(ELICIT, intent="GoodbyeIntent"), SPOKEN, Speak(SAYS)),
        (reply(FULFILLED, **{"lexbridge:action": "hangup"}), SPOKEN, HangUp(SAYS, has_audio=True)),
        (reply(ELICIT, **{"lexbridge:action": "hangup"}), SPOKEN, Speak(SAYS)),
        # the bot transfers the call
        (reply(FULFILLED, **ASKS_FOR_TRANSFER), SPOKEN, Transfer(SAYS, TARGET)),
        (reply(ELICIT, **ASKS_FOR_TRANSFER), SPOKEN, Speak(SAYS)),
        (reply(FULFILLED, **ASKS_FOR_ANOTHER), SPOKEN, Speak(SAYS, is_transfer_refused=True)),
        (reply(FULFILLED, **{"lexbridge:action": "transfer"}), SPOKEN, Speak(SAYS, is_transfer_refused=True)),
        # the bot gives the call back, but AFTER_URL is not set
        (
            reply(FULFILLED, **RETURNS),
            SPOKEN,
            HangUp(SAYS, has_audio=True, is_return_refused=True),
        ),
        (reply(ELICIT, **RETURNS), SPOKEN, Speak(SAYS)),
    ],
)
def test_what_a_reply_calls_for(answer, turn, decision):
    dialog = DialogContext().after(answer, RULES.slot_kinds)
    assert replies.decide(answer, dialog, RULES, turn) == decision


AFTER_URL = "https://flows.example.com/next?FlowEvent=return"
GOES_ON = make_settings(AFTER_URL=AFTER_URL, HANGUP_INTENTS="GoodbyeIntent").line.call_rules


@pytest.mark.parametrize(
    ("answer", "decision"),
    [
        (reply(FULFILLED, **RETURNS), HangUp(SAYS, has_audio=True)),
        (reply(FULFILLED, messages=(), **RETURNS), HangUp(words(PHRASES.goodbye))),
        (reply(FULFILLED, **{"lexbridge:action": "hangup"}), HangUp(SAYS, has_audio=True)),
        (reply(FULFILLED, intent="GoodbyeIntent"), HangUp(SAYS, has_audio=True)),
    ],
)
def test_a_bot_that_is_done_gives_the_call_back_where_it_may(answer, decision):
    dialog = DialogContext().after(answer, {})
    assert replies.decide(answer, dialog, GOES_ON, SPOKEN) == decision


def test_a_reply_whose_words_cannot_be_read_may_be_heard():
    """Lex may have spoken words that could not be read, so its audio is the goodbye."""
    answer = Reply(FULFILLED, (), "GoodbyeIntent", odd_parts=("messages",))
    dialog = DialogContext().after(answer, {})
    assert replies.decide(answer, dialog, RULES, SPOKEN) == HangUp(words(PHRASES.goodbye), has_audio=True)


REJECTED = HangUp(words(PHRASES.named(LexRejected.apology)), outcome=Outcome.FAILED)


@pytest.mark.parametrize(
    ("error", "turn", "failed_turns", "decision"),
    [
        (LexUnavailable("no answer"), SPOKEN, 1, Speak(words(PHRASES.named(LexUnavailable.apology)))),
        (LexUnavailable("no answer"), SPOKEN, 2, Speak(words(PHRASES.named(LexUnavailable.apology)))),
        (LexUnavailable("no answer"), SPOKEN, 3, HangUp(words(PHRASES.not_available), outcome=Outcome.FAILED)),
        (LexUnavailable("no answer"), WELCOME, 0, Speak(words("Hello."))),
        (LexRejected("no such bot"), SPOKEN, 1, REJECTED),
        (LexRejected("no such bot"), WELCOME, 0, REJECTED),
    ],
)
def test_what_a_failed_turn_calls_for(error, turn, failed_turns, decision):
    assert replies.decide_failure(error, turn, failed_turns, RULES) == decision


NOT_HEARD = Message(PHRASES.not_heard)
GIVES_UP = HangUp(words(f"{PHRASES.not_heard} {PHRASES.goodbye}"), outcome=Outcome.SILENT)


@pytest.mark.parametrize(
    ("no_inputs", "asked_limit", "last_prompt", "decision"),
    [
        (1, None, SAYS, Reprompt(NOT_HEARD, SAYS)),
        (1, None, (), Reprompt(NOT_HEARD, ())),
        (1, None, None, FetchPrompt()),
        (RULES.no_input_limit, None, SAYS, Reprompt(NOT_HEARD, SAYS)),
        (RULES.no_input_limit + 1, None, SAYS, GIVES_UP),
        (RULES.no_input_limit + 1, None, None, GIVES_UP),
        (1, 0, SAYS, GIVES_UP),
        (20, 20, SAYS, Reprompt(NOT_HEARD, SAYS)),
    ],
)
def test_what_silence_calls_for(no_inputs, asked_limit, last_prompt, decision):
    dialog = DialogContext(Directives(no_input_limit=asked_limit), last_prompt=last_prompt)
    assert replies.decide_silence(no_inputs, dialog, RULES) == decision


def test_a_switch_is_for_answers_that_do_not_end_the_call():
    """What closes the call wins over a switch, which is decided only where the bot would speak and listen."""
    answer = reply(FULFILLED, **{"lexbridge:action": "hangup", "lexbridge:bot": "flowers"})
    dialog = DialogContext().after(answer, {})
    assert isinstance(replies.decide(answer, dialog, RULES, SPOKEN), HangUp)
    assert (dialog.directives.bot, dialog.directives.locale_id) == ("flowers", None)


BEFORE = {"where": "the dialog stood"}


@pytest.mark.parametrize(
    ("outcome", "checkpoint", "waited_ms", "decision"),
    [
        (Answered(SPOKEN, reply(), speaks=False), BEFORE, 0, Join(BEFORE)),
        (Answered(SPOKEN, reply(), speaks=True), {}, 2500, Join({})),
        (Answered(SPOKEN, reply(), speaks=True), BEFORE, 2520, Stand("the caller has waited too long")),
        (Answered(SPOKEN, reply(), speaks=True), None, 0, Stand("where the dialog stood is not known")),
        (Answered(SPOKEN, reply(FULFILLED), speaks=True), BEFORE, 0, Stand("the dialog is closed")),
        (Answered(SPOKEN, reply(FAILED), speaks=True), None, 9000, Stand("the dialog is closed")),
        (Failed(SPOKEN, LexUnavailable("no answer")), BEFORE, 0, Join(BEFORE)),
        (Failed(SPOKEN, LexUnavailable("no answer")), None, 0, Stand("where the dialog stood is not known")),
    ],
)
def test_whether_two_pieces_are_joined(outcome, checkpoint, waited_ms, decision):
    assert joining.decide(outcome, checkpoint, waited_ms, lex_timeout_s=5) == decision


@pytest.mark.parametrize(
    ("turns", "age_s", "has_pending", "reached", "before_listening"),
    [
        (4, 599.9, False, None, None),
        (5, 0, False, "MAX_TURNS", "MAX_TURNS"),
        (5, 0, True, "MAX_TURNS", "MAX_TURNS"),
        (0, 600, False, "MAX_CALL_S", "MAX_CALL_S"),
        (0, 600, True, "MAX_CALL_S", None),
        (0, 659.9, True, "MAX_CALL_S", None),
        (0, 660, True, "MAX_CALL_S", "MAX_CALL_S"),
        (5, 660, True, "MAX_TURNS", "MAX_TURNS"),
    ],
)
def test_by_which_limit_a_call_ends(turns, age_s, has_pending, reached, before_listening):
    assert limits.reached_limit(RULES, turns, age_s) == reached
    assert limits.limit_before_listening(RULES, turns, age_s, has_pending=has_pending) == before_listening


def test_a_call_without_limits_never_ends_by_them():
    rules = make_settings().line.call_rules
    assert limits.reached_limit(rules, 10_000, 1e9) is None
    assert limits.limit_before_listening(rules, 10_000, 1e9, has_pending=False) is None


@pytest.mark.parametrize(
    ("last_words", "document"),
    [
        (Goodbye(), ["Fine.", "Hangup"]),
        (Goodbye(limit_words="Too long."), ["Fine.", "Too long.", "Hangup"]),
        (GoOnAt("https://a.example.com/", None, limit_words="Too long."), ["Fine.", "Too long.", "Redirect"]),
        (GoOnAt("https://a.example.com/", STREAM_SID), ["Stop", "Fine.", "Redirect"]),
        (TransferTo(Handoff(TARGET, None, "Goodbye.")), ["Fine.", "Dial", "Goodbye.", "Hangup"]),
        (TransferTo(Handoff(TARGET, STREAM_SID, "Goodbye.")), ["Stop", "Fine.", "Dial", "Goodbye.", "Hangup"]),
        (SwitchTo("sales/flowers", None, None, {}), ["Fine.", "Redirect"]),
        (SwitchTo("sales/flowers", STREAM_SID, None, {}), ["Stop", "Fine.", "Redirect"]),
    ],
)
def test_the_document_of_the_last_words(last_words, document):
    documents = TwimlDocuments("https://voice.example.com", "wss://voice.example.com/", hold_s=60, is_two_way=False)
    assert outline(last_words.document(documents, words("Fine.")).twiml) == document


def test_each_answer_makes_a_new_position_of_the_dialog():
    before = DialogContext(first_attributes={"a": "b"}, turns_answered=2)
    answer = Reply(DialogState.CONFIRM_INTENT, SAYS, checkpoint=BEFORE)
    after = before.after(answer, {})
    assert before == DialogContext(first_attributes={"a": "b"}, turns_answered=2)
    assert (after.expected, after.checkpoint, after.turns_answered) == (Expected.CLOSED, BEFORE, 2)
    assert after.last_prompt == ()  # its words have not been said yet
    assert before.after(answer, {}, counts_turn=True).turns_answered == 3


BOT_WELCOMES = make_settings(WELCOME="bot", WELCOME_INTENT="WelcomeIntent").line.call_rules


@pytest.mark.parametrize(
    ("resumed", "rules", "beginning"),
    [
        (None, RULES, Beginning.GREETED),
        (None, BOT_WELCOMES, Beginning.WELCOME),
        (LOST, RULES, Beginning.FETCH_FIRST),
        (LOST, BOT_WELCOMES, Beginning.FETCH_FIRST),
        (KEYED, RULES, Beginning.FETCH_FIRST),
        (RETURNED, BOT_WELCOMES, Beginning.FETCH_FIRST),
        (HANDED_OVER, BOT_WELCOMES, Beginning.TAKE_OVER),
        (SWITCHED, RULES, Beginning.FETCH_FIRST),  # nobody has written such parameters
    ],
)
def test_how_a_stream_begins(resumed, rules, beginning):
    assert resumption.begin(StreamParameters(resumed), rules) is beginning


FROM_ROUTER = CallProgress(switches=Switches(1, 1, ROUTER))


@pytest.mark.parametrize(
    ("resumed", "beginning"),
    [
        (SWITCHED, Beginning.SWITCHED),
        (HANDED_OVER, Beginning.SWITCHED),
        (LOST, Beginning.FETCH_FIRST),
        (KEYED, Beginning.FETCH_FIRST),
    ],
)
def test_how_a_stream_begins_whose_bot_is_new_to_the_call(resumed, beginning):
    assert resumption.begin(StreamParameters(resumed, progress=FROM_ROUTER), RULES) is beginning


FACTS = {"lexbridge:called-number": NUMBER}
SID = {"lexbridge:call-sid": "CA1"}


@pytest.mark.parametrize(
    ("parameters", "dialog"),
    [
        (StreamParameters(), DialogContext(first_attributes=SID, checkpoint=NO_DIALOG)),
        (StreamParameters(call_facts=FACTS), DialogContext(first_attributes={**FACTS, **SID}, checkpoint=NO_DIALOG)),
        (StreamParameters(LOST), DialogContext()),
        (StreamParameters(LOST, call_facts=FACTS), DialogContext(first_attributes={**FACTS, **SID})),
        (StreamParameters(LOST, no_input_ms=4000), DialogContext()),
        (StreamParameters(HANDED_OVER), DialogContext(last_prompt=None)),
        (
            StreamParameters(HANDED_OVER, no_input_ms=4000),
            DialogContext(Directives(no_input_s=4), last_prompt=None),
        ),
    ],
)
def test_where_the_dialog_stands_when_a_stream_begins(parameters, dialog):
    assert resumption.first_dialog(parameters, "CA1") == dialog


UNKNOWN = DialogContext(last_prompt=None, first_attributes=FACTS)  # what the bot said last is not known
KNOWN = DialogContext(last_prompt=SAYS, first_attributes=FACTS)
TAKES_OVER = StreamParameters(HANDED_OVER)
BACK_TAKEN_OVER = StreamParameters(HANDED_OVER, prompt_fingerprint="0badcafe", progress=CallProgress(returned="busy"))
IS_BUSY = {"lexbridge:transfer-status": "busy"}
ASKED = reply()
NEWER = reply(messages=words("Which day?"))


BACK = CallProgress(returned="busy")
GAVE_AWAY = reply(FULFILLED, shop="7", **ASKS_FOR_TRANSFER, **{"lexbridge:whisper": "Roses."})
TOLD_OF_RETURN = TellOfReturn(words(PHRASES.transfer_failed), asks_lex=True)
HAS_INTENT = make_settings(TRANSFER_FAILED_INTENT="NobodyThere").line.call_rules
HANDS_ON = reply(messages=(), **{"lexbridge:bot": "flowers"})


def came_back(resumed=RETURNED, keys=None):
    """A call that has come back from a transfer: over this stream, or over one before that was lost."""
    parameters = StreamParameters(resumed, call_facts=FACTS, keys=keys, progress=BACK)
    return Standing(CallState.RESUMING, KNOWN, parameters, call_sid="CA1")


def lost(dialog=KNOWN, keys=None, progress=None, route=None):
    """A call whose stream before was lost, or stopped for keys."""
    parameters = StreamParameters(KEYED if keys else LOST, keys=keys, progress=progress or CallProgress())
    return Standing(CallState.RESUMING, dialog, parameters, switchboard=switchboard(route))


def taken_over(dialog=UNKNOWN, parameters=TAKES_OVER, **standing):
    """A call that another stream handed over."""
    return Standing(CallState.LIVE, dialog, parameters, **standing)


@pytest.mark.parametrize(
    ("session", "standing", "rules", "resumed"),
    [
        # another stream was lost
        (Session(ASKED), lost(), RULES, CarryOut(ASKED)),
        (Session(reply(messages=())), lost(), RULES, AskToRepeat(asks_lex=True)),
        (Session(None), lost(), RULES, AskToRepeat(asks_lex=True)),
        (Session(None, is_told=False), lost(), RULES, AskToRepeat(asks_lex=False)),
        (Session(None), lost(), BOT_WELCOMES, Step.WELCOME),
        (Session(ASKED), lost(), BOT_WELCOMES, CarryOut(ASKED)),
        (
            Session(reply(FULFILLED, messages=(), intent="GoodbyeIntent")),
            lost(),
            RULES,
            CarryOut(reply(FULFILLED, messages=(), intent="GoodbyeIntent")),
        ),
        (Session(ASKED), lost(keys="12#"), RULES, SendGathered("12")),
        (Session(None), lost(keys="12"), BOT_WELCOMES, SendGathered("12")),
        (Session(ASKED), lost(keys="12*"), RULES, Step.REPEAT_PROMPT),
        # a transfer came back
        (Session(GAVE_AWAY), came_back(), RULES, TOLD_OF_RETURN),
        (Session(GAVE_AWAY), came_back(LOST), RULES, TOLD_OF_RETURN),
        (Session(GAVE_AWAY), came_back(), HAS_INTENT, BeginAgain("NobodyThere", PHRASES.transfer_failed)),
        (Session(None), came_back(), RULES, TOLD_OF_RETURN),
        (Session(None), came_back(), BOT_WELCOMES, TOLD_OF_RETURN),
        (
            Session(None, is_told=False),
            came_back(),
            RULES,
            TellOfReturn(words(PHRASES.transfer_failed), asks_lex=False),
        ),
        (Session(ASKED), came_back(LOST), RULES, CarryOut(ASKED)),  # Lex has answered since
        (Session(GAVE_AWAY), came_back(KEYED, keys="12#"), RULES, SendGathered("12")),
        (Session(GAVE_AWAY), came_back(KEYED, keys="12*"), RULES, Step.REPEAT_PROMPT),
        (Session(GAVE_AWAY), taken_over(parameters=BACK_TAKEN_OVER), RULES, Step.AWAIT_INPUT),
        (
            Session(GAVE_AWAY),
            taken_over(parameters=BACK_TAKEN_OVER, asks_again=True),
            RULES,
            Reprompt(NOT_HEARD, words(PHRASES.transfer_failed)),
        ),
        # ... and the bot had handed the call on
        (Session(HANDS_ON), lost(), RULES, AskToRepeat(asks_lex=True)),
        (Session(HANDS_ON), lost(route=ROUTER), RULES, CarryOut(HANDS_ON)),
        (Session(HANDS_ON), lost(route=FLOWERS), RULES, AskToRepeat(asks_lex=True)),
        # ... and the bot has it from another one
        (Session(None), lost(progress=FROM_ROUTER), BOT_WELCOMES, Step.FETCH_ATTRIBUTES),
        (Session(None), lost(progress=FROM_ROUTER, keys="1"), RULES, Step.FETCH_ATTRIBUTES),
        (Session(ASKED), lost(progress=FROM_ROUTER), RULES, CarryOut(ASKED)),
        (Session(None, is_told=False), lost(progress=FROM_ROUTER), RULES, AskToRepeat(asks_lex=False)),
        (Session(None), lost(progress=CallProgress(switches=Switches(1))), BOT_WELCOMES, Step.WELCOME),
        # another stream handed the call over
        (Session(ASKED), taken_over(), RULES, Step.AWAIT_INPUT),
        (Session(ASKED), taken_over(is_idle=False), RULES, Step.NOTHING),
        (Session(ASKED), taken_over(asks_again=True), RULES, Reprompt(NOT_HEARD, SAYS)),
        (Session(None), taken_over(asks_again=True), RULES, Reprompt(NOT_HEARD, ())),
        (Session(None, is_told=False), taken_over(), RULES, Step.AWAIT_INPUT),
        (
            Session(NEWER),
            taken_over(parameters=StreamParameters(HANDED_OVER, prompt_fingerprint=fingerprint(SAYS))),
            RULES,
            AnswerLate(NEWER),
        ),
        (
            Session(ASKED),
            taken_over(parameters=StreamParameters(HANDED_OVER, prompt_fingerprint=fingerprint(SAYS))),
            RULES,
            Step.AWAIT_INPUT,
        ),
        (
            Session(reply(messages=())),
            taken_over(parameters=StreamParameters(HANDED_OVER, prompt_fingerprint=fingerprint(SAYS))),
            RULES,
            Step.AWAIT_INPUT,
        ),
        # the call has gone on
        (Session(ASKED), taken_over(has_turn=True), RULES, Step.NOTHING),
        (Session(ASKED), Standing(CallState.CLOSING, UNKNOWN, TAKES_OVER), RULES, Step.NOTHING),
        # a second look
        (Session(NEWER), taken_over(KNOWN, fetched=ASKED), RULES, AnswerLate(NEWER)),
        (Session(NEWER), taken_over(KNOWN, fetched=None), RULES, AnswerLate(NEWER)),
        (Session(ASKED), taken_over(KNOWN, fetched=ASKED), RULES, Step.NOTHING),
        (Session(None), taken_over(KNOWN, fetched=ASKED), RULES, Step.NOTHING),
        (Session(NEWER), taken_over(KNOWN, fetched=ASKED, has_had_turns=True), RULES, Step.NOTHING),
        (Session(NEWER), taken_over(KNOWN, fetched=ASKED, is_idle=False), RULES, Step.NOTHING),
    ],
)
def test_how_a_call_is_resumed(session, standing, rules, resumed):
    assert resumption.go_on(session, standing, rules)[1] == resumed


@pytest.mark.parametrize(
    ("session", "standing", "facts"),
    [
        (Session(ASKED), lost(), None),
        (Session(None), lost(), FACTS),
        (Session(None, is_told=False), lost(), None),
        (Session(ASKED), taken_over(), None),
        (Session(ASKED), taken_over(has_turn=True), None),
        (Session(None), taken_over(), FACTS),
        (Session(None, is_told=False), taken_over(), FACTS),
        (Session(GAVE_AWAY), came_back(), {"shop": "7", **IS_BUSY}),
        (Session(GAVE_AWAY), came_back(LOST), {"shop": "7", **IS_BUSY}),
        (Session(GAVE_AWAY), taken_over(parameters=BACK_TAKEN_OVER), {"shop": "7", **IS_BUSY}),
        (Session(None), came_back(), {**FACTS, **SID, **IS_BUSY}),
        (Session(None, is_told=False), came_back(), None),
        (Session(ASKED), came_back(LOST), None),
    ],
)
def test_whether_a_resumed_call_still_has_facts_to_send(session, standing, facts):
    assert resumption.go_on(session, standing, RULES)[0].first_attributes == facts


@pytest.mark.parametrize(
    ("session", "standing", "last_prompt", "expected"),
    [
        (Session(ASKED), lost(), SAYS, Expected.PHRASE),
        (Session(NEWER), lost(keys="1"), NEWER.messages, Expected.PHRASE),
        (Session(None), lost(keys="1"), (), Expected.OPEN),
        (Session(ASKED), taken_over(), SAYS, Expected.PHRASE),
        (Session(None), taken_over(), (), Expected.OPEN),
        (Session(ASKED), taken_over(has_turn=True), None, Expected.OPEN),
    ],
)
def test_where_the_dialog_of_a_resumed_call_stands(session, standing, last_prompt, expected):
    dialog = resumption.go_on(session, standing, RULES)[0]
    assert (dialog.last_prompt, dialog.expected) == (last_prompt, expected)
