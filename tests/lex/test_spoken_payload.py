"""The words of custom payloads: in the forms of contact centres and chat platforms, and in any other form."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexbridge.lex.spoken_payload import (
    MAX_PAYLOAD_CHARACTERS,
    MAX_WORDS_CHARACTERS,
    SpokenWords,
    join_sentences,
    speakable_words,
    top_level_names,
)
from tests.support.property_tests import examples

PICTURE = "https://example.com/picture.png"


def said(payload: Any) -> str | None:
    """Return the words of a payload. A value that is no text is sent as JSON."""
    spoken = speakable_words(payload if isinstance(payload, str) else json.dumps(payload))
    return spoken.text if spoken else None


def connect(template: str, **content: Any) -> dict[str, Any]:
    """Return an interactive message of Amazon Connect."""
    message = {"title": "Thanks for choosing!", "imageType": "URL", "imageData": PICTURE}
    return {"templateType": template, "version": "1.0", "data": {"replyMessage": message, "content": content}}


CONNECT = [
    (
        connect(
            "ListPicker",
            title="Which department?",
            subtitle="Tap one",
            imageType="URL",
            imageData=PICTURE,
            elements=[
                {"title": "Billing", "subtitle": "all about bills", "imageData": PICTURE},
                {"title": "Sales", "actionUrl": PICTURE},
            ],
        ),
        "Which department? Tap one. Billing, Sales.",
    ),
    (
        connect("QuickReply", title="How was it?", elements=[{"title": "Good"}, {"title": "Bad"}]),
        "How was it? Good, Bad.",
    ),
    (
        connect(
            "Panel", title="What can I do?", subtitle="Say it.", elements=[{"title": "Check"}, {"title": "Repair"}]
        ),
        "What can I do? Say it. Check, Repair.",
    ),
    (
        connect(
            "TimePicker",
            title="When?",
            subtitle="Pick a time",
            timeZoneOffset=-450,
            location={"latitude": 47.6, "longitude": -122.3, "title": "Oscar", "radius": 1},
            timeslots=[{"date": "2026-12-01T17:00+00:00", "duration": 60}],
        ),
        "When? Pick a time.",
    ),
    (
        connect(
            "Carousel",
            title="Which hotel?",
            elements=[
                {"templateIdentifier": "template0", **connect("Panel", title="The Inn", elements=[{"title": "Book"}])},
                {"templateIdentifier": "template1", **connect("Panel", title="The Spa", subtitle="Warm", elements=[])},
            ],
        ),
        "Which hotel? The Inn. Book. The Spa. Warm.",
    ),
    (
        connect(
            "AppleForm",
            title="Your order",
            pages=[{"pageType": "Select", "title": "Size", "items": [{"title": "Small", "identifier": "s"}]}],
        ),
        "Your order. Size. Small.",
    ),
    (
        connect(
            "WhatsAppInteractiveList",
            body={"text": "Which flowers?"},
            footer={"text": "By the shop"},
            action={
                "button": "Choose",
                "sections": [{"title": "Fresh", "rows": [{"id": "r", "title": "Roses", "description": "red"}]}],
            },
        ),
        "Which flowers? Fresh. Roses.",
    ),
]
SLACK = [
    ({"blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "Pick *one*"}}]}, "Pick one"),
    (
        {
            "text": "Pick one, please",
            "blocks": [
                {"type": "header", "text": {"type": "plain_text", "text": "Flowers"}},
                {"type": "image", "image_url": PICTURE, "title": {"type": "plain_text", "text": "A rose"}},
                {"type": "divider"},
                {
                    "type": "section",
                    "block_id": "b-1",
                    "text": {"type": "mrkdwn", "text": f"See <{PICTURE}|all of _them_>, or {PICTURE}"},
                    "accessory": {"type": "button", "text": {"type": "plain_text", "text": "More"}, "value": "more-1"},
                },
                {
                    "type": "actions",
                    "elements": [
                        {
                            "type": "button",
                            "action_id": "a",
                            "text": {"type": "plain_text", "text": "Yes"},
                            "value": "y",
                        },
                        {"type": "button", "text": {"type": "plain_text", "text": "No"}, "value": "n", "url": PICTURE},
                        {
                            "type": "static_select",
                            "placeholder": {"type": "plain_text", "text": "Colour"},
                            "options": [{"text": {"type": "plain_text", "text": "Red"}, "value": "r"}],
                        },
                    ],
                },
            ],
        },
        "Flowers. A rose. See all of them, or. More. Yes, No. Colour. Red.",
    ),
    (
        {
            "text": "Would you like to play?",
            "attachments": [
                {
                    "fallback": "You cannot choose",
                    "callback_id": "wopr",
                    "color": "#3AA3E3",
                    "title": "A game",
                    "text": "Choose one",
                    "actions": [{"name": "game", "text": "Chess", "type": "button", "value": "chess"}],
                }
            ],
        },
        "Would you like to play? A game. Choose one. Chess.",
    ),
    ({"attachments": [{"fallback": "Only this"}]}, "Only this"),
]
FACEBOOK = [
    (
        {
            "text": "Which colour?",
            "quick_replies": [{"content_type": "text", "title": "Red", "payload": "R"}, {"title": "Blue"}],
        },
        "Which colour? Red, Blue.",
    ),
    (
        {
            "attachment": {
                "type": "template",
                "payload": {
                    "template_type": "generic",
                    "elements": [
                        {
                            "title": "Welcome!",
                            "image_url": PICTURE,
                            "subtitle": "We have hats.",
                            "default_action": {"type": "web_url", "url": PICTURE},
                            "buttons": [
                                {"type": "web_url", "url": PICTURE, "title": "Look"},
                                {"type": "postback", "title": "Chat", "payload": "DEVELOPER_DEFINED"},
                            ],
                        },
                        {"title": "Hats", "payload": "HATS"},
                    ],
                },
            }
        },
        "Welcome! We have hats. Look, Chat. Hats.",
    ),
    (
        {
            "attachment": {
                "type": "template",
                "payload": {"template_type": "button", "text": "Pick one", "buttons": [{"title": "A"}]},
            }
        },
        "Pick one. A.",
    ),
    ({"attachment": {"type": "image", "payload": {"url": PICTURE, "is_reusable": True}}}, None),
]
OTHERS = [
    ({"type": "text", "text": {"body": "Hello there", "preview_url": False}}, "Hello there"),
    (
        {
            "type": "interactive",
            "interactive": {
                "type": "button",
                "header": {"type": "text", "text": "Your order"},
                "body": {"text": "Is it right?"},
                "action": {
                    "buttons": [
                        {"type": "reply", "reply": {"id": "y", "title": "Yes"}},
                        {"type": "reply", "reply": {"id": "n", "title": "No"}},
                    ]
                },
            },
        },
        "Your order. Is it right? Yes, No.",
    ),
    ({"type": "template", "template": {"name": "order_update", "language": {"code": "en"}}, "template_": "x"}, None),
    (
        {
            "appContext": json.dumps(
                {
                    "altMessages": {"ssml": "<speak>The <break/> answer</speak>", "markdown": "The *answer*"},
                    "responseCard": {
                        "contentType": "application/vnd.amazonaws.card.generic",
                        "genericAttachments": [
                            {
                                "title": "More?",
                                "subTitle": "Say it.",
                                "imageUrl": PICTURE,
                                "buttons": [{"text": "Yes", "value": "QID::1"}],
                            }
                        ],
                    },
                }
            )
        },
        "The answer. More? Say it. Yes.",
    ),
    (
        {
            "type": "Structured",
            "text": "Choose",
            "content": [
                {"contentType": "QuickReply", "quickReply": {"text": "First", "payload": "1"}},
                {
                    "contentType": "Card",
                    "card": {
                        "title": "Hat",
                        "description": "Red",
                        "actions": [{"type": "Link", "text": "Buy", "url": PICTURE}],
                    },
                },
            ],
        },
        "Choose. First. Hat. Red. Buy.",
    ),
    (
        {
            "type": "AdaptiveCard",
            "body": [{"type": "TextBlock", "text": "Your name?"}, {"type": "Image", "url": PICTURE}],
            "actions": [{"type": "Action.Submit", "title": "Send", "data": {"title": "token-1"}}],
        },
        "Your name? Send.",
    ),
    (
        {
            "text": "Which?",
            "reply_markup": {"inline_keyboard": [[{"text": "A", "callback_data": "1"}], [{"text": "B"}]]},
        },
        "Which? A, B.",
    ),
    (
        {
            "simpleResponse": {"textToSpeech": "Say this.", "displayText": "See this."},
            "suggestions": [{"title": "Yes"}],
        },
        "Say this. Yes.",
    ),
    ({"contentType": "PlainText", "content": "Your balance is ten."}, "Your balance is ten."),
    (
        {
            "messages": [
                {"contentType": "PlainText", "content": "One."},
                {"contentType": "SSML", "content": "<speak>Two</speak>"},
            ]
        },
        "One. Two.",
    ),
    ({"message": "Say this."}, "Say this."),
    ({"speech": "Say this.", "text": 7}, "Say this."),
    ({"text": "Say this.", "card": {}}, "Say this."),
    ({"card": {"title": "Roses"}}, "Roses"),
    ({"ssml": "", "text": "Not that."}, "Not that."),
    (
        {"options": ["Roses", {"label": "Tulips"}, {"value": "no-label"}, {"text": "<speak>Lilies</speak>"}, 7]},
        "Roses, Tulips, Lilies",
    ),
    ([{"text": "One"}, {"text": "Two"}], "One. Two."),
    (["Roses", "Tulips"], "Roses, Tulips"),
    ([], None),
    ([7, None], None),
    ({"text": json.dumps({"text": json.dumps(["Nested."])})}, "Nested."),
    ({"text": "Twice."} | {"message": "Twice."}, "Twice."),
    (
        {
            "id": "A1",
            "url": PICTURE,
            "value": "token",
            "action": "token",
            "payload": "T",
            "data": "t",
            "actions": ["t"],
        },
        None,
    ),
    ({"title": PICTURE, "text": f"[our page]({PICTURE}) has **all**\n- of\n- them"}, "our page has all of them"),
    ({"text": "\U0001f44d"}, None),
]
TEXTS = [
    ("Say this.", "Say this."),
    (" Say  this. \n", "Say this."),
    ('"Say this."', "Say this."),
    ("42", "42"),
    ("null", None),
    ("", None),
    (PICTURE, None),
    (f"Look at {PICTURE} now", "Look at now"),
    ('{"text": ', None),
    ('{"text": "cut sho', None),
    ("[", None),
    ("[" * 10_000, None),
    ("[laughs] Hello", "[laughs] Hello"),
    ("{name}, hello", "{name}, hello"),
    ("<3 you", "<3 you"),
    ("<root><say>Hello</say> you <b>there</b>!</root>", "Hello. you. there."),
    (
        "<card><id>A1</id><title>Roses</title><imageUrl>x.png</imageUrl><button value='v'>Yes</button></card>",
        "Roses. Yes.",
    ),
    ("<a xmlns='urn:x'><b>Hello</b></a>", "Hello"),
    ("<b>Hello & goodbye", "Hello & goodbye"),
    ("<b><![CDATA[Hello]]></b>", "Hello"),
    ("<?xml version='1.0'?><a>Hello</a>", "Hello"),
    ("<a/>", None),
    ("<br>", None),
    ('<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', None),
    ("<speak/>", None),
    ("x" * (MAX_PAYLOAD_CHARACTERS + 1), None),
]


@pytest.mark.parametrize(("payload", "words"), [*CONNECT, *SLACK, *FACEBOOK, *OTHERS, *TEXTS])
def test_a_payload_says_title_subtitle_and_choices_only(payload: Any, words: str | None) -> None:
    assert said(payload) == words


@pytest.mark.parametrize("payload", ["<speak>Hello <break/></speak>", '{"ssml": " <speak>Hello <break/></speak>"}'])
def test_ssml_stays_ssml(payload: str) -> None:
    assert speakable_words(payload) == SpokenWords("<speak>Hello <break/></speak>", is_ssml=True)


def test_what_is_nested_too_deep_is_left_out() -> None:
    def nested(levels: int, inside: Any) -> Any:
        for _ in range(levels):
            inside = {"data": inside}
        return {"title": "Here.", "content": inside}

    assert said(nested(10, {"title": "There."})) == "Here. There."
    assert said(nested(20, {"title": "There."})) == "Here."
    assert said({"title": "Here.", "options": json.loads("[" * 30 + '"There"' + "]" * 30)}) == "Here."
    assert said("<a>Here<b>" + "<c>" * 20 + "There" + "</c>" * 20 + "</b></a>") == "Here"


def test_a_payload_that_says_much_is_cut_after_a_sentence() -> None:
    texts = [f"Sentence {number} of many more, and none of them is short." for number in range(200)]
    words = said([{"text": text} for text in texts]) or ""
    assert words == " ".join(texts[: words.count(".")])
    assert MAX_WORDS_CHARACTERS * 0.9 < len(words) < MAX_WORDS_CHARACTERS * 1.1
    assert said({"text": "word " * 2000}) == " ".join(["word"] * 2000)  # one sentence is for TwiML to cut


@pytest.mark.parametrize(
    ("payload", "keys"),
    [
        ('{"templateType": "Map", "data": {"secret": 1}}', ("templateType", "data")),
        ('[7, {"lat": 1}, {"other": 2}]', ("lat",)),
        ("[7]", ()),
        ("<map:pin lat='1'/>", ("map:pin",)),
        ("words", ()),
        ("{", ()),
        (json.dumps({f"key {number}": 1 for number in range(99)}), tuple(f"key {number}" for number in range(10))),
        (json.dumps({"k" * 99: 1, "a\nb\x1b\u2028c\ud800": 2}), ("k" * 40, "a b c")),
        ("x" * (MAX_PAYLOAD_CHARACTERS + 1), ()),
    ],
)
def test_the_keys_of_a_payload_are_few_short_and_printable(payload: str, keys: tuple[str, ...]) -> None:
    assert top_level_names(payload) == keys


def test_sentences_end_like_sentences() -> None:
    assert join_sentences([" One ", "Two?", "", "三。"]) == "One. Two? 三。"


NAMES = st.sampled_from(
    ["title", "subTitle", "text", "content", "data", "elements", "buttons", "blocks", "ssml", "payload", "value", "url"]
)
VALUES = st.recursive(
    st.none()
    | st.integers()
    | st.text(max_size=10)
    | st.sampled_from([PICTURE, "<speak>x</speak>", '{"text": "y"}', "<a>z"]),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(NAMES | st.text(max_size=5), values, max_size=4),
    max_leaves=12,
)


@examples(300)
@given(VALUES | st.text())
def test_whatever_a_payload_is_it_says_words_or_nothing(payload: Any) -> None:
    for text in (json.dumps(payload), str(payload)):
        spoken = speakable_words(text)
        assert spoken is None or spoken.text.strip()
        assert spoken is None or PICTURE not in spoken.text
        assert len(top_level_names(text)) <= 10
