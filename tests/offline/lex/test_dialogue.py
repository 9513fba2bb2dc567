"""The dialog engine: stories told line by line."""

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexbridge.offline.lex.bot_files import ORDER_COFFEE, ORDER_FLOWERS, load_bot
from lexbridge.offline.lex.bots import FALLBACK, Bot, Intent, Message, Prompt, Slot
from lexbridge.offline.lex.dialogue import Confirmation, Conversation, DialogState, Turn, advance, take_turn

SUNDAY = date(2026, 11, 22)
FLOWERS, COFFEE = load_bot(ORDER_FLOWERS), load_bot(ORDER_COFFEE)


class Talk:
    """A conversation as one tells it: `says` is the caller, the rest is what the bot made of it."""

    def __init__(self, bot: Bot, **attributes: str) -> None:
        self.bot = bot
        self.turn = Turn(Conversation(attributes=attributes), ())

    def says(self, *lines: str) -> "Talk":
        for line in lines:
            self.turn = take_turn(self.bot, self.turn.conversation, line, SUNDAY)
        return self

    @property
    def heard(self) -> str:
        return " ".join(message.text for message in self.turn.messages)

    @property
    def state(self) -> DialogState:
        return self.turn.conversation.state

    @property
    def intent(self) -> str | None:
        return self.turn.conversation.intent

    @property
    def values(self) -> dict[str, str]:
        return {name: filling.value for name, filling in self.turn.conversation.fillings.items()}


def test_a_whole_order() -> None:
    talk = Talk(FLOWERS)
    assert talk.says("I would like to order some flowers").heard == "What type of flowers would you like to order?"
    assert talk.turn.conversation.slot_to_elicit == "FlowerType"
    assert talk.says("red roses").heard == "What day do you want the roses to be picked up?"
    assert talk.says("tomorrow").heard == "At what time do you want the roses to be picked up?"
    assert talk.says("at five p m").state is DialogState.CONFIRM_INTENT
    assert talk.heard == "Okay, your roses will be ready for pickup at 17:00 on 2026-11-23. Does this sound okay?"
    assert talk.says("yes").state is DialogState.FULFILLED
    assert talk.turn.conversation.confirmation is Confirmation.CONFIRMED
    assert talk.values == {"FlowerType": "roses", "PickupDate": "2026-11-23", "PickupTime": "17:00"}
    assert talk.says("that is all").heard == "Thank you for calling. Goodbye."
    assert (talk.intent, talk.state) == ("GoodbyeIntent", DialogState.FULFILLED)


def test_a_whole_order_of_the_other_bot() -> None:
    talk = Talk(COFFEE).says("I would like to order some coffee", "cappuccino please", "large", "two cups")
    assert talk.heard == "So, large cappuccino, 2 of them. Is that right?"
    assert talk.says("that is right").state is DialogState.FULFILLED
    assert talk.says("goodbye").intent == "GoodbyeIntent"


def test_slots_filled_by_the_first_utterance_are_not_asked_for() -> None:
    talk = Talk(FLOWERS).says("I would like to order some tulips for friday")
    assert talk.values == {"FlowerType": "tulips", "PickupDate": "2026-11-27"}
    assert talk.turn.conversation.slot_to_elicit == "PickupTime"
    assert talk.turn.confidence == 1.0


def test_an_answer_may_fill_more_than_the_slot_asked_for() -> None:
    talk = Talk(FLOWERS).says("order flowers", "some lilies for tomorrow please")
    assert talk.values == {"FlowerType": "lilies", "PickupDate": "2026-11-23"}


def test_a_slot_is_asked_three_times_and_then_given_up() -> None:
    talk = Talk(FLOWERS).says("order flowers")
    for line in ("a bicycle", ""):
        assert talk.says(line).heard == "What type of flowers would you like to order?"
    assert talk.says("a car").state is DialogState.FAILED
    assert talk.heard == "Sorry, I could not understand. Please call again later."
    assert talk.says("order flowers").state is DialogState.ELICIT_SLOT


def test_a_new_slot_is_asked_as_often_as_the_first() -> None:
    talk = Talk(FLOWERS).says("order flowers", "what", "what", "roses", "what", "what")
    assert talk.state is DialogState.ELICIT_SLOT
    assert talk.says("what").state is DialogState.FAILED


def test_no_to_the_confirmation() -> None:
    talk = Talk(FLOWERS).says("order flowers", "roses", "today", "noon", "no thank you")
    assert (talk.state, talk.intent) == (DialogState.FAILED, "OrderFlowers")
    assert talk.turn.conversation.confirmation is Confirmation.DENIED
    assert talk.heard == "Okay, I will not place your order. What would you like to do?"


def test_the_confirmation_is_asked_three_times_and_then_given_up() -> None:
    talk = Talk(FLOWERS).says("order flowers", "roses", "today", "noon", "perhaps", "well")
    assert talk.state is DialogState.CONFIRM_INTENT
    assert talk.says("hm").state is DialogState.FAILED


def test_a_value_may_be_put_right_at_the_confirmation() -> None:
    talk = Talk(FLOWERS).says("order flowers", "roses", "today", "noon", "I would like tulips")
    assert talk.state is DialogState.CONFIRM_INTENT
    assert talk.values == {"FlowerType": "tulips", "PickupDate": "2026-11-22", "PickupTime": "12:00"}


@pytest.mark.parametrize(
    ("line", "intent"), [("help", "HelpIntent"), ("stop", "StopIntent"), ("goodbye", "GoodbyeIntent")]
)
@pytest.mark.parametrize("before", [[], ["order flowers"], ["order flowers", "roses", "today", "noon"]])
def test_a_command_is_heard_at_any_time(before: list[str], line: str, intent: str) -> None:
    talk = Talk(FLOWERS).says(*before, line)
    assert (talk.intent, talk.state, talk.values) == (intent, DialogState.FULFILLED, {})


def test_what_means_nothing_is_asked_about_three_times() -> None:
    talk = Talk(FLOWERS)
    for _ in range(3):
        assert talk.says("the weather").heard == "Sorry, I did not understand that. What would you like to do?"
        assert (talk.state, talk.intent) == (DialogState.ELICIT_INTENT, None)
    assert talk.says("the weather").state is DialogState.FAILED
    assert talk.says("the weather").state is DialogState.ELICIT_INTENT


def test_a_fallback_intent_takes_what_means_nothing() -> None:
    talk = Talk(COFFEE).says("the weather")
    assert (talk.intent, talk.state) == ("FallbackIntent", DialogState.FULFILLED)
    talk = Talk(COFFEE).says("order coffee", "tea", "tea", "tea")
    assert talk.intent == "FallbackIntent"


def test_attributes_outlive_every_intent() -> None:
    talk = Talk(FLOWERS, shop="north")
    for line in ("order flowers", "roses", "stop", "the weather", "help", "order flowers", "today", "goodbye"):
        assert talk.says(line).turn.conversation.attributes == {"shop": "north"}


# --- bots made for one rule each ---


def says(text: str, **more: int) -> tuple[Message, ...]:
    return (Message(text, **more),)  # type: ignore[arg-type]


def bot_of(*intents: Intent, **more: object) -> Bot:
    return Bot("B", intents, **more)  # type: ignore[arg-type]


def test_an_intent_without_closing_is_left_to_the_client() -> None:
    talk = Talk(bot_of(Intent("Pay", ("pay",), fulfils=False))).says("pay")
    assert (talk.state, talk.heard) == (DialogState.READY_FOR_FULFILLMENT, "")


def test_an_optional_slot_is_not_asked_for() -> None:
    slot = Slot("When", "AMAZON.DATE", required=False, prompt=Prompt((), 1))
    bot = bot_of(Intent("Pay", ("pay", "pay {When}"), (slot,), closing=says("Paid {When}.")))
    assert Talk(bot).says("pay").heard == "Paid ."
    assert Talk(bot).says("pay tomorrow").heard == "Paid 2026-11-23."


def test_an_open_ended_slot_takes_any_words_but_a_command() -> None:
    slot = Slot("Name", "AMAZON.US_FIRST_NAME", required=True, prompt=Prompt(says("Your name?"), 2))
    bot = bot_of(
        Intent("Hello", ("hello",), (slot,), closing=says("Hello {Name}.")),
        Intent("Stop", ("stop",), closing=says("Bye.")),
    )
    assert Talk(bot).says("hello", "Mary Ann").heard == "Hello mary ann."
    assert Talk(bot).says("hello", "stop").heard == "Bye."


def test_a_follow_up_question() -> None:
    more = Prompt(says("Anything else?", group=2), 1)
    bot = bot_of(
        Intent("Pay", ("pay",), closing=says("Paid."), follow_up=more, follow_up_declined=says("Then goodbye.")),
        clarification=Prompt(says("What then?"), 2),
    )
    assert Talk(bot).says("pay").heard == "Paid. Anything else?"
    assert Talk(bot).says("pay", "no").heard == "Then goodbye."
    assert Talk(bot).says("pay", "yes").heard == "What then?"
    assert Talk(bot).says("pay", "pay").heard == "Paid. Anything else?"


def test_variations_take_turns_and_groups_come_together() -> None:
    messages = (Message("First?"), Message("Second?"), Message("Always.", group=2))
    slot = Slot("N", "AMAZON.NUMBER", required=True, prompt=Prompt(messages, 3))
    talk = Talk(bot_of(Intent("Count", ("count",), (slot,))))
    assert talk.says("count").heard == "First? Always."
    assert talk.says("hm").heard == "Second? Always."
    assert talk.says("hm").heard == "First? Always."


def test_attributes_fill_messages_but_not_custom_payloads() -> None:
    payload = Message('{"a": [shop]}', "CustomPayload", 2)
    bot = bot_of(Intent("Where", ("where",), closing=(Message("In [shop] or [other]."), payload)))
    talk = Talk(bot, shop="north").says("where")
    assert [message.text for message in talk.turn.messages] == ["In north or [other].", '{"a": [shop]}']


def test_a_bot_with_only_intents_asks_the_consoles_question() -> None:
    talk = Talk(bot_of(Intent("Pay", ("pay",)))).says("what")
    assert talk.heard == "Sorry, can you please repeat that?"


def test_clarification_goes_before_the_fallback_intent() -> None:
    fallback = Intent("Fallback", parent=FALLBACK, closing=says("No idea."))
    talk = Talk(bot_of(fallback, clarification=Prompt(says("What?"), 1)))
    assert talk.says("hm").heard == "What?"
    assert talk.says("hm").heard == "No idea."


def test_a_dialog_about_an_unknown_intent_starts_again() -> None:
    for state in (DialogState.ELICIT_SLOT, DialogState.CONFIRM_INTENT, DialogState.ELICIT_INTENT):
        lost = Conversation(state=state, intent="Gone", slot_to_elicit="X", following_up="Gone")
        assert take_turn(FLOWERS, lost, "order flowers", SUNDAY).conversation.slot_to_elicit == "FlowerType"
    assert take_turn(FLOWERS, replace(lost, state=DialogState.CONFIRM_INTENT), "hm", SUNDAY).messages
    assert advance(FLOWERS, lost).conversation.state is DialogState.ELICIT_INTENT


LINES = [
    "order flowers",
    "roses",
    "tomorrow",
    "noon",
    "yes",
    "no",
    "help",
    "stop",
    "hm",
    "",
    "goodbye",
    "tulips at five",
]


@given(st.lists(st.sampled_from(LINES), max_size=12))
def test_the_bot_always_answers_and_is_always_in_a_state_lex_has(lines: list[str]) -> None:
    talk = Talk(FLOWERS)
    for line in lines:
        talk.says(line)
        assert talk.heard
        conversation = talk.turn.conversation
        assert (conversation.slot_to_elicit is not None) == (talk.state is DialogState.ELICIT_SLOT)
        assert conversation.intent or talk.state in (DialogState.ELICIT_INTENT, DialogState.FAILED)
