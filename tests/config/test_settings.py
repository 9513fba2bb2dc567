"""The settings read from environments, right and wrong ones with the exact problems."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexbridge.audio.vad import DetectorOptions
from lexbridge.config.bots import LexV1Bot, LexV2Bot
from lexbridge.config.call_rules import PHRASE_SETTINGS
from lexbridge.config.reading import read_settings
from lexbridge.config.settings import SETTINGS, Settings
from lexbridge.config.transfer_targets import NO_TARGETS, transfer_targets
from lexbridge.errors import ConfigError
from lexbridge.phrases.catalogue import phrases_for
from tests.support.property_tests import examples
from tests.support.settings import MINIMAL_ENVIRONMENT, make_settings

NO_BOT = {"LEX_BOT_ID": "", "LEX_BOT_ALIAS_ID": ""}
ONE_BOT = "give LEX_BOT_ID and LEX_BOT_ALIAS_ID for a Lex V2 bot, or LEX_BOT_NAME and LEX_BOT_ALIAS for a Lex V1 bot"
ADDRESS = "must be an address such as https://voice.example.com or http://voice.example.com"
BARGE_IN_MS = "BARGE_IN_MS: is '{}'; must be a whole number from 100 to 2000, a multiple of 20"
NUMBERS = (
    "must be targets with commas between them: numbers in E.164 form (+12065550100, +12065550100;ext=12, "
    "+12065550100;ext=*), sip:user@host, sip:*@host, client:NAME, client:*, queue:NAME, workflow:WW... or "
    "conference:NAME"
)

NUMBER = "must be a phone number in E.164 form, such as +12065550100"
API_KEY = "SK0123456789abcdef0123456789ABCDEF"
REGION = "must be the name of an AWS region such as us-west-2"
LOCALE = "must be a locale such as en_US or es_419"
ROOM = "must be at most 2000 characters, as no document for Twilio has room for more"
REACHED = "must be an address that Twilio reaches from outside, such as that of a tunnel"
PRIVATE = (
    *("https://localhost:8080", "http://127.0.0.1:8080", "http://[::1]:8080", "https://10.0.0.7", "http://192.168.1.2"),
    *("https://bridge", "https://bridge.local", "https://host.docker.internal"),
)
SESSION_TOKEN = (
    "AWS_SESSION_TOKEN: is not set; ACCESS_KEY_ID begins with ASIA: such temporary credentials have a session token, "
    "and AWS refuses them without it. Set it, or use keys that are not temporary"
)

CALL_FACTS = (
    "must be names of Twilio's fields with commas between them, such as AnsweredBy, SipHeader_X-Account, "
    "SipHeader_X-*, query.campaign or query.*, or none"
)
SLOT_KINDS = (
    "must be slots with what is said for each: open, phrase, closed or digits, such as AccountNumber=digits,Size=closed"
)

# Variables besides the smallest valid environment, and every line of the error that they cause.
PROBLEMS = [
    ({"AWS_REGION": ""}, ["AWS_REGION: is not set; must be the name of an AWS region such as us-west-2"]),
    ({"AWS_REGION": "Oregon"}, ["AWS_REGION: is 'Oregon'; must be the name of an AWS region such as us-west-2"]),
    ({"TWILIO_AUTH_TOKEN": " "}, ["TWILIO_AUTH_TOKEN: is not set; must be the auth token of the Twilio console"]),
    (
        {"TWILIO_AUTH_TOKEN": "to ken"},
        ["TWILIO_AUTH_TOKEN: is not valid; must be the auth token of the Twilio console"],
    ),
    (
        {"TWILIO_AUTH_TOKEN_SECONDARY": "sécret"},
        ["TWILIO_AUTH_TOKEN_SECONDARY: is not valid; must be the secondary auth token of the Twilio console"],
    ),
    ({"URL": ""}, [f"URL: is not set; {ADDRESS}"]),
    ({"URL": "voice.example.com"}, [f"URL: is 'voice.example.com'; {ADDRESS}"]),
    ({"URL_CA_FILE": "/no/such.pem"}, ["URL_CA_FILE: is '/no/such.pem'; must be a file that can be read"]),
    ({"URL": "ftp://voice.example.com"}, [f"URL: is 'ftp://voice.example.com'; {ADDRESS}"]),
    ({"URL": "https://"}, [f"URL: is 'https://'; {ADDRESS}"]),
    ({"URL": "https://[voice"}, [f"URL: is 'https://[voice'; {ADDRESS}"]),
    ({"URL": "https://voice.example.com:0"}, [f"URL: is 'https://voice.example.com:0'; {ADDRESS}"]),
    ({"URL": "https://voice.example.com:70000"}, [f"URL: is 'https://voice.example.com:70000'; {ADDRESS}"]),
    ({"URL": "https://voice.example.com/a b"}, [f"URL: is 'https://voice.example.com/a b'; {ADDRESS}"]),
    ({"URL": "https://voice.example.com/?a=1"}, [f"URL: is 'https://voice.example.com/?a=1'; {ADDRESS}"]),
    ({"URL": "https://voice.example.com/#a"}, [f"URL: is 'https://voice.example.com/#a'; {ADDRESS}"]),
    ({"URL": "https://me@voice.example.com"}, [f"URL: is 'https://me@voice.example.com'; {ADDRESS}"]),
    ({"URL": "https://voice.example.com?"}, [f"URL: is 'https://voice.example.com?'; {ADDRESS}"]),
    ({"URL": "https://voice.example.com#"}, [f"URL: is 'https://voice.example.com#'; {ADDRESS}"]),
    ({"URL": "https://:word@voice.example.com"}, [f"URL: is 'https://:word@voice.example.com'; {ADDRESS}"]),
    (
        {"STREAM_URL": "ws://voice.example.com/"},
        ["STREAM_URL: is 'ws://voice.example.com/'; must be an address such as wss://voice.example.com"],
    ),
    ({"TWILIO_API_URL": "api"}, [f"TWILIO_API_URL: is 'api'; {ADDRESS}"]),
    ({"CONTAINER_PORT": "0"}, ["CONTAINER_PORT: is '0'; must be a whole number from 1 to 65535"]),
    ({"CONTAINER_PORT": "8_080"}, ["CONTAINER_PORT: is '8_080'; must be a whole number from 1 to 65535"]),
    ({"CONTAINER_PORT": "٨٠٨٠"}, ["CONTAINER_PORT: is '٨٠٨٠'; must be a whole number from 1 to 65535"]),
    ({"CONTAINER_PORT": "9" * 5000}, [f"CONTAINER_PORT: is '{'9' * 100}'; must be a whole number from 1 to 65535"]),
    ({"ONSET_MS": "30"}, ["ONSET_MS: is '30'; must be a whole number from 20 to 1000, a multiple of 20"]),
    ({"PRE_ROLL_MS": "-20"}, ["PRE_ROLL_MS: is '-20'; must be a whole number from 0 to 2000, a multiple of 20"]),
    ({"HANGOVER_MS": "0.7"}, ["HANGOVER_MS: is '0.7'; must be a whole number from 100 to 5000, a multiple of 20"]),
    (
        {"AWS_ENDPOINT_URL_LEX_RUNTIME_V2": "nonsense"},
        [
            "AWS_ENDPOINT_URL_LEX_RUNTIME_V2: is 'nonsense'; "
            "must be an address such as https://voice.example.com or http://voice.example.com"
        ],
    ),
    (
        {"MAX_UTTERANCE_MS": "15000"},
        ["MAX_UTTERANCE_MS: is '15000'; must be a whole number from 4000 to 14800, a multiple of 20"],
    ),
    ({"VOICE_THRESHOLD": "32768"}, ["VOICE_THRESHOLD: is '32768'; must be a whole number from 1 to 32767"]),
    ({"NO_INPUT_S": "inf"}, ["NO_INPUT_S: is 'inf'; must be a number of seconds from 1 to 120"]),
    ({"NO_INPUT_S": "0.5"}, ["NO_INPUT_S: is '0.5'; must be a number of seconds from 1 to 120"]),
    ({"NO_INPUT_LIMIT": "21"}, ["NO_INPUT_LIMIT: is '21'; must be a whole number from 0 to 20"]),
    ({"DRAIN_S": "2h"}, ["DRAIN_S: is '2h'; must be a number of seconds from 0 to 7200"]),
    ({"MAX_CALLS": "0"}, ["MAX_CALLS: is '0'; must be a whole number from 1 to 100000"]),
    ({"WEB_CONCURRENCY": "0"}, ["WEB_CONCURRENCY: is '0'; must be a whole number from 1 to 64"]),
    ({"MAX_LOOP_LAG_MS": "5"}, ["MAX_LOOP_LAG_MS: is '5'; must be a whole number from 10 to 10000"]),
    ({"MAX_MEMORY_MB": "1G"}, ["MAX_MEMORY_MB: is '1G'; must be a whole number from 64 to 10000000"]),
    ({"REPLY_MODE": "telepathy"}, ["REPLY_MODE: is 'telepathy'; must be one of call-update, stream"]),
    ({"BARGE_IN": "yes"}, ["BARGE_IN: is 'yes'; must be one of on, off"]),
    ({"BARGE_IN_MS": "80"}, [BARGE_IN_MS.format(80)]),
    ({"BARGE_IN_MS": "2020"}, [BARGE_IN_MS.format(2020)]),
    ({"BARGE_IN_MS": "310"}, [BARGE_IN_MS.format(310)]),
    ({"WELCOME": "song"}, ["WELCOME: is 'song'; must be one of greeting, bot"]),
    ({"WELCOME": "song", "WELCOME_INTENT": "Hello"}, ["WELCOME: is 'song'; must be one of greeting, bot"]),
    ({"WELCOME": "bot"}, ["WELCOME_INTENT: is not set; it goes with WELCOME=bot: the intent to begin with"]),
    ({"WELCOME_INTENT": "Hello"}, ["WELCOME_INTENT: is set; it goes with WELCOME=bot, and WELCOME is greeting"]),
    (
        {"WELCOME": "bot", "WELCOME_INTENT": "good day"},
        ["WELCOME_INTENT: is 'good day'; must be the name of an intent such as WelcomeIntent"],
    ),
    *[({"CALL_FACTS": value}, [f"CALL_FACTS: is {value!r}; {CALL_FACTS}"]) for value in ("*", "a b", "query.", "x**")],
    ({"GREETING": "one\ntwo"}, ["GREETING: is 'one\\ntwo'; must be one line of text"]),
    *[
        ({one.name: "one\x07two"}, [f"{one.name}: is 'one\\x07two'; must be one line of text"])
        for one in PHRASE_SETTINGS.values()
    ],
    ({"VAD": "ears"}, ["VAD: is 'ears'; must be one of amplitude, webrtc, adaptive, silero, hybrid"]),
    ({"VOICE_MARGIN_DB": "-7"}, ["VOICE_MARGIN_DB: is '-7'; must be a whole number from -6 to 12"]),
    ({"HANGOVER_MIN_MS": "720"}, ["HANGOVER_MIN_MS: is 720; must be at most HANGOVER_MS, 700"]),
    ({"HANGOVER_MAX_MS": "680"}, ["HANGOVER_MAX_MS: is 680; must be at least HANGOVER_MS, 700"]),
    (
        {"HANGOVER_MAX_MS": "4000", "MAX_UTTERANCE_MS": "4000"},
        ["HANGOVER_MAX_MS: is 4000; must be less than MAX_UTTERANCE_MS, 4000: else no utterance ends by itself"],
    ),
    (
        {"HANGOVER_MS": "5000", "MAX_UTTERANCE_MS": "4000"},
        ["HANGOVER_MS: is 5000; must be less than MAX_UTTERANCE_MS, 4000: else no utterance ends by itself"],
    ),
    (
        {"HANGOVER_MS": "long", "HANGOVER_MAX_MS": "680"},
        ["HANGOVER_MS: is 'long'; must be a whole number from 100 to 5000, a multiple of 20"],
    ),
    ({"LOG_LEVEL": "info"}, ["LOG_LEVEL: is 'info'; must be one of DEBUG, INFO, WARNING, ERROR"]),
    ({"LOG_FORMAT": "xml"}, ["LOG_FORMAT: is 'xml'; must be one of json, text"]),
    ({"SHARE_CALLER_NUMBER": "yes"}, ["SHARE_CALLER_NUMBER: is 'yes'; must be one of on, off"]),
    ({"GREETING": "Hello.\nGo."}, ["GREETING: is 'Hello.\\nGo.'; must be one line of text"]),
    ({"HANGUP_INTENTS": "Good bye"}, ["HANGUP_INTENTS: is 'Good bye'; must be intent names with commas between them"]),
    ({"SLOT_KINDS": "Size"}, [f"SLOT_KINDS: is 'Size'; {SLOT_KINDS}"]),
    ({"SLOT_KINDS": "Size=word"}, [f"SLOT_KINDS: is 'Size=word'; {SLOT_KINDS}"]),
    ({"SLOT_KINDS": "Size=open,Size=closed"}, [f"SLOT_KINDS: is 'Size=open,Size=closed'; {SLOT_KINDS}"]),
    ({"TRANSFER_NUMBERS": "911"}, [f"TRANSFER_NUMBERS: is '911'; {NUMBERS}"]),
    ({"TRANSFER_NUMBERS": "queue:A, flex"}, [f"TRANSFER_NUMBERS: is 'queue:A, flex'; {NUMBERS}; 'flex' is none"]),
    ({"TRANSFER_CALLER_ID": "anonymous"}, [f"TRANSFER_CALLER_ID: is 'anonymous'; {NUMBER}"]),
    ({"TRANSFER_CALLER_ID": "2065550100"}, [f"TRANSFER_CALLER_ID: is '2065550100'; {NUMBER}"]),
    ({"ACCESS_KEY_ID": "ASIA1", "SECRET_ACCESS_KEY": "x"}, [SESSION_TOKEN]),
    ({"ACCESS_KEY_ID": "ASIA1", "SECRET_ACCESS_KEY": "x", "AWS_SESSION_TOKEN": " "}, [SESSION_TOKEN]),
    (
        {"AWS_SESSION_TOKEN": "a token"},
        ["AWS_SESSION_TOKEN: is not valid; must be an AWS session token"],
    ),
    (
        {"TWILIO_API_KEY_SID": API_KEY},
        ["TWILIO_API_KEY_SECRET: is not set; it goes with TWILIO_API_KEY_SID: set both or neither"],
    ),
    (
        {"TWILIO_API_KEY_SECRET": "hush"},
        ["TWILIO_API_KEY_SID: is not set; it goes with TWILIO_API_KEY_SECRET: set both or neither"],
    ),
    (
        {"TWILIO_API_KEY_SID": "AC1", "TWILIO_API_KEY_SECRET": "x"},
        ["TWILIO_API_KEY_SID: is 'AC1'; must be the SID of a Twilio API key: SK and 32 hexadecimal digits"],
    ),
    (
        {"TWILIO_AUTH_TOKEN": API_KEY},
        [
            "TWILIO_AUTH_TOKEN: is not valid; must be the auth token of the Twilio console: this is the SID of an API "
            "key, which signs nothing. It goes into TWILIO_API_KEY_SID, and its secret into TWILIO_API_KEY_SECRET"
        ],
    ),
    (
        {"TWILIO_AUTH_TOKEN_SECONDARY": "AC" + "0" * 32},
        [
            "TWILIO_AUTH_TOKEN_SECONDARY: is not valid; must be the secondary auth token of the Twilio console: this "
            "is the SID of the account"
        ],
    ),
    (
        {"URL": "https://voice.example.com/twiml"},
        [
            "URL: is 'https://voice.example.com/twiml'; must have no path: set it to https://voice.example.com, and "
            "the webhook of the number to https://voice.example.com/twiml"
        ],
    ),
    *[({"URL": url}, [f"URL: is '{url}'; {REACHED}"]) for url in PRIVATE],
    ({"STREAM_URL": "wss://localhost/"}, [f"STREAM_URL: is 'wss://localhost/'; {REACHED}"]),
    ({"AFTER_URL": "http://flow.internal/"}, [f"AFTER_URL: is 'http://flow.internal/'; {REACHED}"]),
    ({"HANGOVR_MS": "300"}, ["HANGOVR_MS: is no setting; did you mean HANGOVER_MS?"]),
    ({"GREETING": "a" * 2001}, [f"GREETING: is '{'a' * 100}'; {ROOM}: it has 2001"]),
    ({"BUSY_TEXT": "&" * 401}, [f"BUSY_TEXT: is '{'&' * 100}'; {ROOM}: it has 2005"]),
    ({"AWS_REGION": "us-esat-1"}, [f"AWS_REGION: is 'us-esat-1'; {REGION}: did you mean us-east-1?"]),
    ({"LEX_LOCALE_ID": "en-US"}, [f"LEX_LOCALE_ID: is 'en-US'; {LOCALE}: did you mean en_US?"]),
    ({"LEX_LOCALE_ID": "xx_YY"}, [f"LEX_LOCALE_ID: is 'xx_YY'; {LOCALE}: there is no language xx"]),
    ({"ACCESS_KEY_ID": "AKIA1"}, ["SECRET_ACCESS_KEY: is not set; it goes with ACCESS_KEY_ID: set both or neither"]),
    ({"SECRET_ACCESS_KEY": "abc"}, ["ACCESS_KEY_ID: is not set; it goes with SECRET_ACCESS_KEY: set both or neither"]),
    (
        {"ACCESS_KEY_ID": "a key", "SECRET_ACCESS_KEY": "a secret"},
        [
            "ACCESS_KEY_ID: is not valid; must be an AWS access key id",
            "SECRET_ACCESS_KEY: is not valid; must be an AWS secret access key",
        ],
    ),
    (NO_BOT, [f"LEX_BOT_ID: no bot is set; {ONE_BOT}"]),
    (
        {"LEX_BOT_NAME": "OrderFlowers", "LEX_BOT_ALIAS": "Prod"},
        [f"LEX_BOT_ID and LEX_BOT_NAME: are both set; one bot only: {ONE_BOT}"],
    ),
    ({"LEX_BOT_ALIAS_ID": ""}, ["LEX_BOT_ALIAS_ID: is not set; it goes with LEX_BOT_ID"]),
    ({"LEX_BOT_ID": ""}, ["LEX_BOT_ID: is not set; it goes with LEX_BOT_ALIAS_ID"]),
    ({**NO_BOT, "LEX_BOT_NAME": "OrderFlowers"}, ["LEX_BOT_ALIAS: is not set; it goes with LEX_BOT_NAME"]),
    ({"LEX_BOT_ID": "short"}, ["LEX_BOT_ID: is 'short'; must be the bot's id: 10 letters and digits"]),
    ({"LEX_LOCALE_ID": "english"}, ["LEX_LOCALE_ID: is 'english'; must be a locale such as en_US or es_419"]),
    (
        {**NO_BOT, "LEX_BOT_NAME": "4", "LEX_BOT_ALIAS": "$"},
        [
            "LEX_BOT_NAME: is '4'; must be the bot's name: 2 to 50 letters and underscores",
            "LEX_BOT_ALIAS: is '$'; must be the alias's name: letters and underscores, or $LATEST",
        ],
    ),
    ({"ADMIN_PORT": "8080"}, ["ADMIN_PORT: is 8080; must differ from CONTAINER_PORT, which Twilio reaches"]),
    (
        {"ADMIN_PORT": "9090", "ADMIN_HOST": "::"},
        ["CONSOLE_PASSWORD: is not set; it is needed because ADMIN_HOST is ::: others reach the console there"],
    ),
    ({"CONSOLE_PASSWORD": "eleven char"}, ["CONSOLE_PASSWORD: is not valid; must be 12 to 200 ASCII characters"]),
    (
        {"EVENTS_URL": "https://crm.example.com/calls"},
        ["EVENTS_SECRET: is not set; it goes with EVENTS_URL: set both or neither"],
    ),
    (
        {"ROUTE_URL": "http://crm.example.com/route", "ROUTE_SECRET": "too short"},
        [
            "ROUTE_URL: is 'http://crm.example.com/route'; "
            "must be an https address; http is for this machine and private networks only",
            "ROUTE_SECRET: is not valid; must be 16 to 200 ASCII characters without spaces",
        ],
    ),
    (
        {"AWS_REGION": "", "URL": "x", "NO_INPUT_S": "x", **NO_BOT, "ACCESS_KEY_ID": "x"},
        [
            "AWS_REGION: is not set; must be the name of an AWS region such as us-west-2",
            f"URL: is 'x'; {ADDRESS}",
            "NO_INPUT_S: is 'x'; must be a number of seconds from 1 to 120",
            f"LEX_BOT_ID: no bot is set; {ONE_BOT}",
            "SECRET_ACCESS_KEY: is not set; it goes with ACCESS_KEY_ID: set both or neither",
        ],
    ),
]


@pytest.mark.parametrize(("variables", "lines"), PROBLEMS)
def test_every_problem_is_listed_with_its_variable_and_rule(variables, lines):
    """Every problem is listed with its variable, what is wrong, and what is allowed."""
    with pytest.raises(ConfigError) as raised:
        make_settings(**variables)
    assert [str(problem) for problem in raised.value.problems] == lines


def test_the_smallest_environment_gives_the_defaults():
    found = make_settings()
    assert found.line.bot == LexV2Bot("FLOWERS123", "TSTALIASID", "en_US")
    assert (found.line.aws_region, found.service.access_key_id, found.service.secret_access_key) == (
        "us-west-2",
        None,
        None,
    )
    assert (found.service.url, found.service.stream_url) == ("https://voice.example.com", "wss://voice.example.com/")
    assert found.service.container_port == 8080
    assert (found.line.reply_mode, found.line.vad, found.line.voice_threshold) == ("call-update", "amplitude", 500)
    assert (found.line.onset_ms, found.line.pre_roll_ms, found.line.hangover_ms, found.line.max_utterance_ms) == (
        60,
        500,
        700,
        14800,
    )
    assert (found.line.hangover_min_ms, found.line.hangover_max_ms) == (700, 700)
    assert (found.line.voice_margin_db, found.line.webrtc_mode) == (0, 3)
    assert (found.line.no_input_s, found.line.no_input_limit) == (10, 3)
    assert found.line.hangup_intents == {"GoodbyeIntent"}
    assert found.line.greeting == "You will be interacting with Lex bot in 3, 2, 1. Go."
    assert (found.line.say_voice, found.line.say_language) == (None, None)
    assert (found.line.barge_in, found.line.barge_in_ms) == (True, 300)
    assert (found.line.welcome, found.line.welcome_intent) == ("greeting", None)
    assert found.line.phrases == phrases_for("en_US")
    assert found.service.twilio_api_url == "https://api.twilio.com"
    assert (found.line.slot_kinds, found.line.join) == ({}, False)
    assert (found.line.transfer_numbers, found.line.share_caller_number) == (NO_TARGETS, False)
    assert (found.line.transfer_attributes, found.line.after_attributes, found.line.after_url) == ((), (), None)
    assert (found.service.drain_s, found.service.max_calls) == (110, 500)
    assert (found.service.log_level, found.service.log_format) == ("INFO", "json")
    assert found.service.account.auth_tokens == ("a-token-of-ours",)


def test_each_variable_can_be_set():
    found = make_settings(
        ACCESS_KEY_ID="AKIA1",
        SECRET_ACCESS_KEY="word",
        TWILIO_AUTH_TOKEN_SECONDARY="the-next-token",
        URL="http://voice.example.com:8443/",
        NO_INPUT_S=" 2.5 ",
        HANGUP_INTENTS="Bye, Ciao.it ,",
        SLOT_KINDS="AccountNumber=digits, Size = closed, Day=phrase,",
        TRANSFER_NUMBERS="+12065550100, +442079460000",
        SHARE_CALLER_NUMBER="on",
        GREETING="Grüß Gott & hello",
    )
    assert (found.service.access_key_id, found.service.secret_access_key, found.service.aws_session_token) == (
        "AKIA1",
        "word",
        None,
    )
    assert found.service.account.auth_tokens == ("a-token-of-ours", "the-next-token")
    assert (found.service.url, found.service.stream_url) == (
        "http://voice.example.com:8443",
        "wss://voice.example.com:8443/",
    )
    assert found.line.no_input_s == 2.5
    assert found.line.hangup_intents == {"Bye", "Ciao.it"}
    assert found.line.slot_kinds == {"AccountNumber": "digits", "Size": "closed", "Day": "phrase"}
    assert found.line.transfer_numbers == transfer_targets("+12065550100,+442079460000")
    assert found.line.share_caller_number
    assert found.line.greeting == "Grüß Gott & hello"


def test_stream_mode_without_barge_in_can_be_set():
    found = make_settings(REPLY_MODE="stream", BARGE_IN="off", BARGE_IN_MS="2000")
    assert (found.line.reply_mode, found.line.barge_in, found.line.barge_in_ms) == ("stream", False, 2000)


@pytest.mark.parametrize("intent", ["WelcomeIntent", "say-hello_2", "AMAZON.HelpIntent"])
def test_the_bot_may_speak_first_with_an_intent_of_its_own(intent):
    found = make_settings(WELCOME="bot", WELCOME_INTENT=intent)
    assert (found.line.welcome, found.line.welcome_intent) == ("bot", intent)


def test_an_english_bot_speaks_in_the_accounts_own_voice():
    for locale_id in ("en_GB", "en_ZA"):
        found = make_settings(LEX_LOCALE_ID=locale_id)
        assert found.line.greeting == "You will be interacting with Lex bot in 3, 2, 1. Go."
        assert (found.line.phrases, found.line.say_language) == (phrases_for("en_US"), None)


def test_the_bots_locale_is_the_language_of_all_that_is_said():
    found = make_settings(LEX_LOCALE_ID="de_AT")
    assert found.line.greeting == "Guten Tag. Was kann ich für Sie tun?"
    assert found.line.phrases.goodbye == "Auf Wiederhören."
    assert found.line.say_language == "de-AT"


def test_a_greeting_and_a_language_of_the_operators_win():
    found = make_settings(LEX_LOCALE_ID="de_AT", GREETING="Servus.", SAY_LANGUAGE="de-DE")
    assert (found.line.greeting, found.line.say_language) == ("Servus.", "de-DE")


@pytest.mark.parametrize(
    ("voice", "language"), [("Polly.Vicki", None), ("Google.de-DE-Standard-A", None), ("woman", "de-AT")]
)
def test_a_voice_that_has_a_language_is_not_told_another(voice, language):
    assert make_settings(LEX_LOCALE_ID="de_AT", SAY_VOICE=voice).line.say_language == language


def test_a_lex_v1_bot_speaks_english_whatever_the_v2_locale():
    found = make_settings(**NO_BOT, LEX_BOT_NAME="OrderFlowers", LEX_BOT_ALIAS="Prod", LEX_LOCALE_ID="de_DE")
    assert (found.line.phrases, found.line.say_language) == (phrases_for("en_US"), None)


@pytest.mark.parametrize(("variable", "name"), [(one.name, name) for name, one in PHRASE_SETTINGS.items()])
def test_each_phrase_can_be_replaced_and_the_others_stay(variable, name):
    found = make_settings(**{variable: "Servus & baba.", "LEX_LOCALE_ID": "de_AT"}).line.phrases
    assert found == replace(phrases_for("de_AT"), **{name: "Servus & baba."})


def test_a_stream_url_of_its_own_wins():
    assert make_settings(STREAM_URL="wss://media.example.com/x").service.stream_url == "wss://media.example.com/x"


@pytest.mark.parametrize("alias", ["Prod", "$LATEST"])
def test_a_lex_v1_bot_is_a_name_and_an_alias(alias):
    found = make_settings(**NO_BOT, LEX_BOT_NAME="OrderFlowers", LEX_BOT_ALIAS=alias)
    assert found.line.bot == LexV1Bot("OrderFlowers", alias)


@pytest.mark.parametrize("region", ["eu-central-1", "ap-southeast-2", "us-gov-west-1", "us-isob-east-1"])
def test_every_shape_of_region_is_taken(region):
    assert make_settings(AWS_REGION=region).line.aws_region == region


@pytest.mark.parametrize("url", PRIVATE)
def test_a_private_address_does_for_a_simulated_twilio(url):
    assert make_settings(URL=url, TWILIO_API_URL="http://127.0.0.1:8082").service.url == url


@pytest.mark.parametrize("url", ["https://voice.example.com/", "http://8.8.8.8:8080", "https://[2001:4860::8888]"])
def test_a_public_address_does_for_any_twilio(url):
    for api in ("https://api.twilio.com", "https://api.dublin.ie1.twilio.com", "https://twilio.example.com"):
        assert make_settings(URL=url, TWILIO_API_URL=api).service.url == url.rstrip("/")


def test_temporary_credentials_have_a_session_token():
    found = make_settings(ACCESS_KEY_ID="ASIA1", SECRET_ACCESS_KEY="word", AWS_SESSION_TOKEN="IQoJ/+=")
    assert (found.service.access_key_id, found.service.aws_session_token) == ("ASIA1", "IQoJ/+=")


def test_an_api_key_and_the_caller_id_of_transfers_can_be_set():
    found = make_settings(TWILIO_API_KEY_SID=API_KEY, TWILIO_API_KEY_SECRET="hush", TRANSFER_CALLER_ID="+12065550100")
    assert (found.service.account.twilio_api_key_sid, found.service.account.twilio_api_key_secret) == (API_KEY, "hush")
    assert found.line.transfer_caller_id == "+12065550100"


def test_a_name_that_is_merely_like_a_settings_is_not_refused():
    make_settings(LEX_NAME="foo", AUTH_TOKEN="x", LEX_BOT_VERSION="3", SERVER_NAME="x")


def test_no_hangup_intent_at_all_is_a_comma():
    assert make_settings(HANGUP_INTENTS=",").line.hangup_intents == frozenset()


def test_secrets_do_not_show_when_settings_are_printed():
    found = make_settings(
        ACCESS_KEY_ID="AKIAXYZ",
        SECRET_ACCESS_KEY="hush",
        TWILIO_AUTH_TOKEN_SECONDARY="next",
        TRANSFER_NUMBERS="+12065550100",
        TRANSFER_CALLER_ID="+12065550199",
        AWS_SESSION_TOKEN="IQoJb3",
        TWILIO_API_KEY_SID=API_KEY,
        TWILIO_API_KEY_SECRET="quiet",
    )
    shown = repr(found)
    keys = ("AKIAXYZ", "hush", "a-token-of-ours", "next", "IQoJb3", "quiet")
    assert not [word for word in (*keys, "+12065550100", "+12065550199") if word in shown]


@pytest.mark.parametrize(
    "setting", [setting for setting in SETTINGS if setting.secret], ids=lambda setting: setting.name
)
def test_a_secret_that_is_wrong_does_not_show_in_its_problem(setting):
    with pytest.raises(ConfigError) as raised:
        make_settings(**{setting.name: "hush hush"})
    assert "hush" not in str(raised.value)


@examples(60)
@given(st.dictionaries(st.sampled_from([setting.name for setting in SETTINGS]), st.text(max_size=30)))
def test_any_environment_gives_settings_or_a_config_error(environment):
    try:
        found = read_settings({**MINIMAL_ENVIRONMENT, **environment})
    except ConfigError as error:
        found = error
    assert isinstance(found, Settings) or found.problems


def test_the_detectors_options_are_those_that_are_set():
    found = make_settings(VOICE_THRESHOLD="900", VOICE_MARGIN_DB="-3", WEBRTC_MODE="1")
    assert found.line.detector_options == DetectorOptions(900, -3, 1)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_this_machines_own_console_needs_no_password(host):
    settings = make_settings(ADMIN_PORT="9090", ADMIN_HOST=host)
    assert (settings.service.admin_port, settings.service.is_watched) == (9090, True)


def test_a_console_for_others_has_a_password():
    settings = make_settings(ADMIN_PORT="9090", ADMIN_HOST="0.0.0.0", CONSOLE_PASSWORD="long enough a word")
    assert settings.service.is_watched
    assert "long enough" not in repr(settings)


def test_nobody_watches_by_default():
    assert not make_settings(CONSOLE_PASSWORD="long enough a word").service.is_watched


def test_the_notice_is_said_of_recorded_calls_alone(tmp_path):
    notice = {"RECORD_NOTICE": "This call is recorded."}
    for variables, said in (
        (notice, ""),
        ({"RECORD_DIR": str(tmp_path)}, ""),
        ({**notice, "RECORD_DIR": str(tmp_path)}, "This call is recorded."),
    ):
        found = make_settings(**variables)
        assert found.notice(found.line) == said
