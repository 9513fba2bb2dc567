"""Recorded answers of Lex in `tests/data/lex/`, and what each of them says."""

import json
from pathlib import Path

from lexbridge.lex import v1, v2
from lexbridge.lex.model import DialogState, Message, MessageFormat, Reply
from tests.support.twilio_messages import CALL_SID

DATA = Path(__file__).parents[1] / "data" / "lex"
DECODERS = {"v1": v1.reply_from_post_content, "v2": v2.reply_from_recognize_utterance}
WHAT_DAY = (Message("What day do you want the roses to be picked up?"),)
ATTRIBUTES = {"lexbridge:call-sid": CALL_SID}
NOT_HELD = {"slot": None, "intent": None, "attributes": {}}
UNREADABLE = ["v1_cut_short_invalid"]
V2_HELLO = [{"content": "Hello.", "contentType": "PlainText"}]


V1_ACTION = {
    "type": "ElicitSlot",
    "intentName": "OrderFlowers",
    "slotToElicit": "PickupDate",
    "message": "What day do you want the roses to be picked up?",
    "messageFormat": "PlainText",
}


V2_STATE = {
    "dialogAction": {"type": "ElicitSlot", "slotToElicit": "PickupDate"},
    "intent": {"name": "OrderFlowers", "state": "InProgress"},
    "sessionAttributes": ATTRIBUTES,
}


V2_MESSAGES = [{"content": "What day do you want the roses to be picked up?", "contentType": "PlainText"}]


def flowers(state, messages=WHAT_DAY, intent="OrderFlowers", slot=None, attributes=ATTRIBUTES, transcript="roses"):
    return Reply(DialogState(state), messages, intent, slot, attributes, transcript)


GOOD = {
    "v1_elicit_slot": flowers("ElicitSlot", slot="PickupDate"),
    "v1_message_not_encoded": flowers("ElicitSlot", slot="PickupDate"),
    "v1_message_only_encoded": flowers(
        "ElicitSlot",
        (Message("Für welchen Tag möchten Sie die Rosen?"),),
        slot="PickupDate",
        transcript="schöne Rosen",
    ),
    "v1_composite": flowers(
        "ElicitSlot",
        (
            Message("Okay."),
            Message("<speak>Which <emphasis>day</emphasis>?</speak>", MessageFormat.SSML),
            Message("Say a day."),
        ),
        slot="PickupDate",
    ),
    "v1_fulfilled_without_message": flowers("Fulfilled", (), attributes={}),
    "v1_nothing_understood": flowers(
        "ElicitIntent", (Message("Sorry, what can I do for you?"),), intent=None, transcript=""
    ),
    "v1_failed": flowers("Failed"),
    "v1_confirm_intent": flowers("ConfirmIntent"),
    "v2_elicit_slot": flowers("ElicitSlot", slot="PickupDate"),
    "v2_elicit_intent": flowers("ElicitIntent", intent=None, transcript=""),
    "v2_confirm_intent": flowers("ConfirmIntent"),
    "v2_fulfilled": flowers("Fulfilled"),
    "v2_ready_for_fulfillment": flowers("ReadyForFulfillment"),
    "v2_failed": flowers("Failed"),
    "v2_closed_while_in_progress": flowers("Failed"),
    "v2_delegated": flowers("ElicitIntent"),
    "v2_none_and_fulfilled": flowers("Fulfilled"),
    "v2_without_messages": flowers("ElicitIntent", (), intent=None, attributes={}, transcript=None),
    "v2_several_messages": flowers(
        "ElicitSlot",
        (
            Message("Okay."),
            Message("<speak>Which <break/> day?</speak>", MessageFormat.SSML),
            Message("Days."),
            Message("Say a day."),
        ),
        slot="PickupDate",
    ),
    "v2_card": flowers(
        "ElicitSlot",
        (
            Message("What flowers would you like?"),
            Message("Flowers. Fresh today! Roses, lilies, tulips."),
            Message("Schön, dass Sie da sind: Ja, nein."),
        ),
        slot="FlowerType",
    ),
}


ODD = {
    "v1_dialog_state_invalid": (flowers("ElicitIntent", slot="PickupDate"), "dialogState"),
    "v1_message_format_invalid": (flowers("ElicitSlot", (), slot="PickupDate"), "message"),
    "v1_encoded_message_not_base64_invalid": (flowers("ElicitSlot", slot="PickupDate"), "encodedMessage"),
    "v1_encoded_transcript_not_utf8_invalid": (flowers("ElicitSlot", slot="PickupDate"), "inputTranscript"),
    "v1_composite_not_json_invalid": (flowers("ElicitSlot", (), slot="PickupDate"), "message"),
    "v1_composite_list_invalid": (flowers("ElicitSlot", (), slot="PickupDate"), "message"),
    "v1_composite_messages_object_invalid": (flowers("ElicitSlot", (), slot="PickupDate"), "message.messages"),
    "v1_composite_part_text_invalid": (flowers("ElicitSlot", (), slot="PickupDate"), "message.messages[0]"),
    "v1_composite_value_number_invalid": (flowers("ElicitSlot", (), slot="PickupDate"), "message.messages[0].value"),
    "v1_composite_too_deep_invalid": (flowers("ElicitSlot", (), slot="PickupDate"), "message"),
    "v1_session_attributes_list_invalid": (
        flowers("ElicitSlot", slot="PickupDate", attributes={}),
        "sessionAttributes",
    ),
    "v2_session_state_missing_invalid": (flowers("ElicitIntent", **NOT_HELD), "sessionState"),
    "v2_session_state_not_base64_invalid": (flowers("ElicitIntent", **NOT_HELD), "sessionState"),
    "v2_session_state_not_gzip_invalid": (flowers("ElicitIntent", **NOT_HELD), "sessionState"),
    "v2_session_state_cut_short_invalid": (flowers("ElicitIntent", **NOT_HELD), "sessionState"),
    "v2_session_state_not_json_invalid": (flowers("ElicitIntent", **NOT_HELD), "sessionState"),
    "v2_session_state_list_invalid": (flowers("ElicitIntent", **NOT_HELD), "sessionState"),
    "v2_session_state_too_large_invalid": (flowers("ElicitIntent", **NOT_HELD), "sessionState"),
    "v2_dialog_action_invalid": (flowers("ElicitIntent", intent=None), "sessionState.dialogAction.type"),
    "v2_dialog_action_list_invalid": (flowers("ElicitIntent", intent=None), "sessionState.dialogAction.type"),
    "v2_intent_state_list_invalid": (flowers("Failed"), "sessionState.intent.state"),
    "v2_intent_text_invalid": (flowers("Failed", intent=None), "sessionState.intent"),
    "v2_intent_name_list_invalid": (flowers("Fulfilled", intent=None), "sessionState.intent.name"),
    "v2_messages_object_invalid": (flowers("ElicitSlot", (), slot="PickupDate"), "messages"),
    "v2_message_content_number_invalid": (flowers("ElicitSlot", (), slot="PickupDate"), "messages[0].content"),
    "v2_message_content_type_invalid": (flowers("ElicitSlot", (), slot="PickupDate"), "messages[0]"),
    "v2_card_list_invalid": (flowers("ElicitSlot", (), slot="PickupDate"), "messages[0].imageResponseCard"),
    "v2_card_title_number_invalid": (
        flowers("ElicitSlot", (), slot="PickupDate"),
        "messages[0].imageResponseCard.title",
    ),
    "v2_card_subtitle_object_invalid": (
        flowers("ElicitSlot", (Message("Flowers."),), slot="PickupDate"),
        "messages[0].imageResponseCard.subtitle",
    ),
    "v2_card_buttons_text_invalid": (
        flowers("ElicitSlot", (Message("Flowers."),), slot="PickupDate"),
        "messages[0].imageResponseCard.buttons",
    ),
    "v2_card_button_text_number_invalid": (
        flowers("ElicitSlot", (Message("Flowers."),), slot="PickupDate"),
        "messages[0].imageResponseCard.buttons[0].text",
    ),
}


def response_of(name):
    return json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))
