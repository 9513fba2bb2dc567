"""The table of lines: what its settings come to, whose calls a line serves, and what a call that moves on has."""

import pytest

from lexbridge.config.bots import LexV1Bot, LexV2Bot
from lexbridge.config.line_settings import LineSettings
from lexbridge.config.lines import LineTable
from lexbridge.config.reading import read_settings
from lexbridge.config.route import CallRoute
from lexbridge.config.transfer_targets import transfer_targets
from lexbridge.errors import ConfigError
from lexbridge.phrases.catalogue import greeting_for, phrases_for
from tests.support.line_tables import WITH_BOT, WITHOUT_BOT, call_of, chosen, table_of

SUB, OTHER = "AC" + "1" * 32, "AC" + "2" * 32


def settings(table: LineTable, *route: str) -> LineSettings:
    """Return the settings of a route: the names of the line and the bot, and the locale."""
    found = table.settings_of(CallRoute(*route))
    assert found is not None
    return found


def test_a_line_has_the_settings_that_the_file_says() -> None:
    table = table_of(
        """
        [[lines]]
        name = "shop"
        bot = "flowers"
        match = { to = "+12065550111" }
        greeting = "Flowers here."
        voice = "Polly.Joanna"
        language = "en-US"
        detector = "adaptive"
        transfers = ["+12065550188", "+12065550189"]
        max_calls = 20
        reply_mode = "stream"
        barge_in = false
        no_input_s = 7.5
        hangup_intents = []
        slot_kinds = { Size = "closed", Number = "digits" }
        goodbye_text = "Bye."
        """
    )
    shop = settings(table, "shop")
    assert shop.bot == LexV2Bot("ABCDEFGHIJ", "TSTALIASID", "en_US")
    assert (shop.aws_region, shop.greeting, shop.say_voice) == ("us-west-2", "Flowers here.", "Polly.Joanna")
    assert (shop.say_language, shop.vad, shop.line_max_calls) == ("en-US", "adaptive", 20)
    assert shop.transfer_numbers == transfer_targets("+12065550188,+12065550189")
    assert (shop.reply_mode, shop.barge_in, shop.no_input_s, shop.hangup_intents) == ("stream", False, 7.5, frozenset())
    assert shop.slot_kinds == {"Size": "closed", "Number": "digits"}
    assert (shop.phrases.goodbye, shop.phrases.busy) == ("Bye.", phrases_for("en_US").busy)


def test_bots_have_either_generation_and_their_place() -> None:
    table = table_of(
        """
        [bots.old]
        name = "OrderFlowers"
        alias = "Prod"
        region = "us-east-1"
        endpoint = "https://vpce.example.com"
        role = "arn:aws:iam::123456789012:role/asks-lex"
        [[lines]]
        bot = "old"
        match.to = "+12065550111"
        [[lines]]
        bot = "clinic"
        """,
        {**WITH_BOT, "BOT_ENDPOINT_URL": "https://lex.example.com"},
    )
    old, clinic = settings(table, "line-1"), settings(table, "line-2")
    assert old.bot == LexV1Bot("OrderFlowers", "Prod")
    assert (old.aws_region, old.bot_endpoint_url) == ("us-east-1", "https://vpce.example.com")
    assert old.bot_role_arn == "arn:aws:iam::123456789012:role/asks-lex"
    # An endpoint of one region is none of another.
    assert (clinic.aws_region, clinic.bot_endpoint_url) == ("eu-central-1", None)
    assert [(one.name, one.bot) for one in table.lines.values()] == [("line-1", "old"), ("line-2", "clinic")]


def test_a_later_layer_wins() -> None:
    """The environment, the defaults, the bot, the line."""
    environment = {**WITHOUT_BOT, **dict.fromkeys(("HANGOVER_MS", "ONSET_MS", "PRE_ROLL_MS", "BARGE_IN_MS"), "600")}
    table = table_of(
        """
        [defaults]
        onset_ms = 700
        pre_roll_ms = 700
        barge_in_ms = 700
        [bots.third]
        id = "ABCDEFGHIJ"
        alias = "TSTALIASID"
        pre_roll_ms = 800
        barge_in_ms = 800
        [[lines]]
        bot = "third"
        barge_in_ms = 900
        """,
        environment,
    )
    line = settings(table, "line-1")
    assert (line.hangover_ms, line.onset_ms, line.pre_roll_ms, line.barge_in_ms) == (600, 700, 800, 900)


def test_the_environments_bot_serves_all_else() -> None:
    table = table_of(
        """
        [defaults]
        hangover_ms = 800
        [[lines]]
        match.to = "+12065550111"
        """,
        WITH_BOT,
    )
    assert chosen(table, call_of()) == "line-1"
    assert chosen(table, call_of("+12065550112")) == ""
    assert settings(table, "line-1").bot == settings(table, "").bot == LexV2Bot("FLOWERS123", "TSTALIASID", "en_US")
    # The defaults are those of the lines of the file.
    assert (settings(table, "line-1").hangover_ms, settings(table, "").hangover_ms) == (800, 700)


def test_without_lines_all_is_as_without_a_file() -> None:
    table = table_of("", WITH_BOT)
    assert list(table.routes()) == [CallRoute()]
    assert chosen(table, call_of()) == ""


def test_words_count_for_calls_in_their_language_only() -> None:
    table = table_of(
        """
        [defaults]
        busy_text = "Busy."
        [locales.de_DE]
        voice = "Polly.Vicki"
        busy_text = "Besetzt."
        [[lines]]
        bot = "clinic"
        match.to = "+12065550111"
        [[lines]]
        bot = "flowers"
        """,
        {**WITH_BOT, "GREETING": "Hello, flowers.", "SAY_VOICE": "Polly.Joanna"},
    )
    german, english = settings(table, "line-1"), settings(table, "line-2")
    assert (german.greeting, german.say_voice) == (greeting_for("de_DE"), "Polly.Vicki")
    assert german.phrases.busy == "Besetzt."
    assert (english.greeting, english.say_voice) == ("Hello, flowers.", "Polly.Joanna")
    assert english.phrases.busy == "Busy."


def test_a_line_may_have_its_bot_in_another_locale() -> None:
    table = table_of('[[lines]]\nbot = "flowers"\nlocale = "fr_FR"\ngreeting = "Bonjour."')
    line = settings(table, "line-1")
    assert (line.bot, line.greeting) == (LexV2Bot("ABCDEFGHIJ", "TSTALIASID", "fr_FR"), "Bonjour.")
    assert line.phrases == phrases_for("fr_FR")


SUBACCOUNT = f"""
[[lines]]
name = "sub"
bot = "flowers"
match.to = "+12065550111"
account_sid = "{SUB}"
auth_token = "env:SUB_TOKEN"
"""
SECRETS = {"SUB_TOKEN": "token-of-the-subaccount", "TWILIO_AUTH_TOKEN_SECONDARY": "old-token-of-our-own"}


def test_a_subaccount_has_nothing_of_the_environments_account() -> None:
    table = table_of(SUBACCOUNT, {**WITHOUT_BOT, **SECRETS})
    account = settings(table, "sub").account
    assert (account.twilio_account_sid, account.twilio_auth_token) == (SUB, "token-of-the-subaccount")
    assert account.auth_tokens == ("token-of-the-subaccount",)
    assert "token-of" not in repr(table.lines["sub"])


def test_a_line_serves_only_calls_of_its_account() -> None:
    table = table_of(
        SUBACCOUNT + '[[lines]]\nname = "own"\nbot = "flowers"\nmatch.to = "+1206*"\n', {**WITH_BOT, **SECRETS}
    )
    assert chosen(table, call_of(AccountSid=SUB)) == "sub"
    assert chosen(table, call_of(AccountSid=OTHER)) == "own"
    # Neither a line of the environment's account nor the default one serves another account's calls.
    assert chosen(table, call_of("+12065550112", AccountSid=SUB)) is None
    assert chosen(table, call_of("+12075550112", AccountSid=OTHER)) == ""


def test_lines_of_two_accounts_may_have_the_same_conditions() -> None:
    table = table_of(
        f'[[lines]]\nbot="flowers"\n[[lines]]\nbot="clinic"\naccount_sid="{SUB}"\nauth_token="token-of-the-sub"\n'
    )
    assert chosen(table, call_of(AccountSid=SUB)) == "line-2"
    assert chosen(table, call_of(AccountSid=OTHER)) == "line-1"


SWITCHING = f"""
[defaults]
say_it_again_text = "Again?"
[bots.third]
id = "UVWXYZABCD"
alias = "LIVEALIASX"
locale = "fr_FR"
voice = "Polly.Lea"
reply_mode = "call-update"
hangover_ms = 900
[locales.es_US]
voice = "Polly.Lupe"
[bots.old]
name = "OrderFlowers"
alias = "Prod"
[[lines]]
name = "shop"
bot = "flowers"
match.to = "+12065550111"
reply_mode = "stream"
voice = "Polly.Joanna"
one_moment_text = "Wait."
transfers = ["+12065550188"]
onset_ms = 100
hangover_ms = 800
account_sid = "{SUB}"
auth_token = "token-of-the-sub"
[[lines]]
name = "v1"
bot = "old"
match.to = "+12065550112"
"""


def test_a_call_that_is_handed_over_speaks_with_that_bots_voice() -> None:
    table = table_of(SWITCHING)
    shop, moved = settings(table, "shop"), settings(table, "shop", "third")
    assert moved.bot == LexV2Bot("UVWXYZABCD", "LIVEALIASX", "fr_FR")
    assert (moved.say_voice, moved.phrases) == ("Polly.Lea", phrases_for("fr_FR"))
    # What is no matter of the bot stays as it was; what the bot sets is its own.
    assert (moved.reply_mode, moved.account, moved.transfer_numbers) == ("stream", shop.account, shop.transfer_numbers)
    assert (moved.onset_ms, moved.hangover_ms) == (100, 900)


def test_a_call_that_is_handed_over_keeps_no_intents() -> None:
    environment = {**WITH_BOT, "TRANSFER_FAILED_INTENT": "NobodyThere"}
    table = table_of(
        """
        [bots.other]
        id = "KLMNOPQRST"
        alias = "LIVEALIASX"
        [[lines]]
        name = "shop"
        welcome = "bot"
        welcome_intent = "WelcomeToTheShop"
        """,
        environment,
    )
    own, other = settings(table, "shop"), settings(table, "shop", "other")
    assert (own.welcome, own.welcome_intent, own.transfer_failed_intent) == ("bot", "WelcomeToTheShop", "NobodyThere")
    assert (other.welcome, other.welcome_intent, other.transfer_failed_intent) == ("greeting", None, None)


def test_a_call_that_is_handed_to_a_locale_speaks_its_language() -> None:
    table = table_of(SWITCHING)
    spanish, british = settings(table, "shop", "", "es_US"), settings(table, "shop", "", "en_GB")
    assert spanish.bot == LexV2Bot("ABCDEFGHIJ", "TSTALIASID", "es_US")
    assert (spanish.say_voice, spanish.phrases) == ("Polly.Lupe", phrases_for("es_US"))
    assert (spanish.reply_mode, spanish.hangover_ms) == ("stream", 800)
    assert (british.say_voice, british.phrases.one_moment) == ("Polly.Joanna", "Wait.")
    both = settings(table, "shop", "clinic", "es_US")
    assert both.bot == LexV2Bot("KLMNOPQRST", "LIVEALIASX", "es_US")
    assert (both.aws_region, both.say_voice) == ("eu-central-1", "Polly.Lupe")


@pytest.mark.parametrize(
    "route", [("shop", "fourth"), ("none", "third"), ("", "third"), ("v1", "", "de_DE"), ("shop", "", "xx_YY")]
)
def test_there_is_no_other_bot_or_locale(route: tuple[str, ...]) -> None:
    assert table_of(SWITCHING).settings_of(CallRoute(*route)) is None


def test_the_default_line_hands_calls_over_too() -> None:
    table = table_of(SWITCHING, WITH_BOT)
    assert settings(table, "", "third").bot == LexV2Bot("UVWXYZABCD", "LIVEALIASX", "fr_FR")
    assert settings(table, "", "", "de_DE").bot == LexV2Bot("FLOWERS123", "TSTALIASID", "de_DE")
    assert settings(table, "", "third").account == settings(table, "").account


def test_the_defaults_of_the_file_are_none_of_the_default_line() -> None:
    environment = {**WITH_BOT, "LEX_LOCALE_ID": "de_DE", "BUSY_TEXT": "Besetzt."}
    defaults = f"""
        [defaults]
        locale = "fr_FR"
        reply_mode = "stream"
        onset_ms = 100
        account_sid = "{SUB}"
        auth_token = "token-of-the-sub"
        """
    table = table_of(defaults, environment)
    own, austrian, moved = (settings(table, *route) for route in (("",), ("", "", "de_AT"), ("", "clinic")))
    assert (austrian.onset_ms, austrian.reply_mode, austrian.phrases.busy) == (60, "call-update", "Besetzt.")
    # A bot of the table has them, but no other Twilio account and no other reply mode.
    assert (moved.onset_ms, moved.reply_mode, moved.phrases.busy) == (100, "call-update", "Besetzt.")
    assert own.account == austrian.account == moved.account


def test_a_call_that_comes_back_to_its_bot_has_its_words() -> None:
    table = table_of(SWITCHING)
    assert settings(table, "shop", "flowers") == settings(table, "shop")
    assert settings(table, "shop", "flowers", "es_US") == settings(table, "shop", "", "es_US")


def test_rules_that_do_not_fit_the_other_bot_are_left_out() -> None:
    table = table_of(
        """
        [bots.third]
        id = "UVWXYZABCD"
        alias = "LIVEALIASX"
        hangover_max_ms = 900
        [[lines]]
        bot = "flowers"
        hangover_ms = 1000
        reply_mode = "stream"
        """
    )
    moved = settings(table, "line-1", "third")
    assert (moved.hangover_ms, moved.hangover_max_ms, moved.reply_mode) == (700, 900, "stream")


def test_without_a_bot_in_the_environment_no_line_is_default() -> None:
    with pytest.raises(LookupError, match="names no bot"):
        _ = read_settings(WITHOUT_BOT).line


def test_the_settings_of_all_lines_and_bots_are_told() -> None:
    """A call may be handed to the bot that no line has."""
    table = table_of('[[lines]]\nbot = "flowers"\nregion = "eu-west-2"')
    assert [one.aws_region for one in table.all_settings()] == ["eu-west-2", "us-west-2", "eu-central-1"]
    assert next(table_of("", WITH_BOT).all_settings()).aws_region == "us-west-2"


def test_a_table_without_a_file_is_the_default_line_alone() -> None:
    environment = {name: value for name, value in WITH_BOT.items() if name != "LINES_FILE"}
    table = LineTable.of(read_settings(environment))
    assert (list(table.routes()), list(table.accounts())) == ([CallRoute()], [])


def test_each_account_of_a_line_is_told() -> None:
    table = table_of(
        f'''
        [[lines]]
        bot = "flowers"
        account_sid = "{SUB}"
        auth_token = "the-token-of-the-subaccount"
        '''
    )
    assert [one.twilio_account_sid for one in table.accounts()] == [SUB]


def test_a_route_is_told_in_the_log_by_its_names() -> None:
    assert CallRoute().log_fields == {}
    assert CallRoute("shop", "", "de_DE").log_fields == {"line": "shop", "line_locale": "de_DE"}


def test_without_a_default_line_only_the_lines_have_routes() -> None:
    assert list(table_of('[[lines]]\nname = "shop"\nbot = "flowers"\n').routes()) == [CallRoute("shop")]


def test_a_bot_whose_settings_break_a_rule_takes_no_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check of the table finds such a bot. If it ever misses one, the call stays with the bot that it has."""
    table = table_of('[[lines]]\nname = "shop"\nbot = "flowers"\n')

    def breaks(_: object) -> None:
        raise ConfigError([])

    monkeypatch.setattr("lexbridge.config.switched.read_line_settings", breaks)
    assert table.settings_of(CallRoute("shop", "clinic")) is None


def test_an_empty_text_takes_away_what_an_earlier_layer_sets() -> None:
    table = table_of(
        """
        [defaults]
        voice = "Polly.Joanna"
        [[lines]]
        name = "shop"
        bot = "flowers"
        voice = ""
        """
    )
    assert settings(table, "shop").say_voice is None
