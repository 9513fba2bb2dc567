"""What is wrong with a table of lines: each problem with its place, all of them at once."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexbridge.config.lines_file import build_table, parse_lines
from lexbridge.config.opening_hours import RULE as HOURS
from lexbridge.config.reading import read_settings
from lexbridge.errors import ConfigError, Problem
from tests.support.line_tables import WITH_BOT, WITHOUT_BOT, problems_of, table_of
from tests.support.property_tests import examples

SUB = "AC" + "1" * 32
NUMBER = (
    "must be a number with + and its country code, such as +12065550100, its beginning such as +1206*, a short code, a "
    "SIP address, or client: and an identity"
)
TOML = "must be as https://toml.io describes: each text in quotes, and all from { to } on one line"
HANGOVER = "must be a whole number from 100 to 5000, a multiple of 20"
ACCOUNT = "a Twilio account of its own needs account_sid and auth_token in the same place"
NAME = "must have 1 to 60 letters, digits, or characters of _ . -"
LINE = '[[lines]]\nname = "sales"\nbot = "flowers"\n'
WEIGHT = "must be a whole number from 0 to 1000"

ONE_BOT = "give id and alias for a Lex V2 bot, or name and alias for a Lex V1 bot"
NO_BOT = "must be the name of one of [bots.NAME]: clinic, flowers"
SAME = 'serves the same calls as [[lines]] 1 "sales"; must have another `match`, or both a `weight` to share them'
PROCESS = "is no setting of a line; it is one of the whole process"
ANY = "must be a text of 1 to 500 characters; `*` at its end stands for anything, or for nothing"
FORM = "must be a text, a number, true or false, or a list of texts"
TOKEN = "must be the auth token of the Twilio console: this is the SID of the account"
ENV = "must be set in the environment"
BOT_NAMED = "a bot is named in [bots.NAME], by id or name, and by alias; a line then has bot = NAME"
OF_LINES = "does not belong there; it is a setting of a line: give it in [[lines]] or [defaults]"
OF_ONE_LINE = "does not belong there; it belongs to one line: give it in [[lines]]"
LINES = "must be written as [[lines]], in two brackets, once for each line"
NOT_HOURS = "must have some: `not_hours` takes all away"
DIFFERS = (
    'has other secrets than at [[lines]] 1 "sales"; lines of one Twilio account must have the same tokens and API key'
)
FIRST = '[[lines]] 1 "sales", which comes first, serves them all: put this line before it'

OF_FILE: list[tuple[str, str]] = [
    # a file after TWO_BOTS, and its problem without `LINES_FILE: `
    ("[[line]]", "line: is not known; did you mean lines?"),
    ("[bots.x]\nregion = 'us-west-2'", f"[bots.x]: has neither id nor name; {ONE_BOT}"),
    (
        "[bots.x]\nid='ABCDEFGHIJ'\nname='A'\nalias='ABCDEFGHIJ'",
        f"[bots.x]: id and name are both set; one bot only: {ONE_BOT}",
    ),
    ("[bots.x]\nid='ABCDEFGHIJ'", "[bots.x]: alias: is not set; it goes with id"),
    ("[bots.x]\nname='Flowers'", "[bots.x]: alias: is not set; it goes with name"),
    (
        "[bots.x]\nid='short'\nalias='TSTALIASID'",
        "[bots.x]: id: is 'short'; must be the bot's id: 10 letters and digits",
    ),
    (
        "[bots.x]\nname='Flowers'\nalias='A1'",
        "[bots.x]: alias: is 'A1'; must be the alias's name: letters and underscores, or $LATEST",
    ),
    ("[bots.'a b']\nid='ABCDEFGHIJ'\nalias='TSTALIASID'", f"[bots.'a b']: is no name of a bot; {NAME}"),
    (
        "[bots.x]\nid='ABCDEFGHIJ'\nalias='TSTALIASID'\nauth_token='x'",
        f"[bots.x]: auth_token: {OF_LINES}",
    ),
    # and not `did you mean max_call_s?`
    ("[bots.x]\nid='ABCDEFGHIJ'\nalias='TSTALIASID'\nmax_calls=3", f"[bots.x]: max_calls: {OF_LINES}"),
    ("[locales.de_DE]\nreply_mode='stream'", f"[locales.de_DE]: reply_mode: {OF_LINES}"),
    ("[defaults]\nbot = 'flowers'", f"[defaults]: bot: {OF_ONE_LINE}"),
    (  # no line is told that its calls are those of one whose numbers are wrong
        "[[lines]]\nbot = 'flowers'\nmatch.to = '1206'\n[[lines]]\nbot = 'flowers'\nmatch.to = '12065550100'",
        f"[[lines]] 2: match.to: is '12065550100'; {NUMBER}",
    ),
    (
        "[bots.x]\nid='ABCDEFGHIJ'\nalias='TSTALIASID'\nhangover_max_ms=500",
        "[bots.x]: hangover_max_ms: is 500; must be at least HANGOVER_MS, 700",
    ),
    ("[locales.english]\nvoice='x'", "[locales.english]: is not known; must be a locale such as en_US or es_419"),
    ("[locales.de_DE]\nvoiec='x'", "[locales.de_DE]: voiec: is not known; did you mean voice?"),
    ("[defaults]\nhangover_ms = 10", f"[defaults]: hangover_ms: is 10; {HANGOVER}"),
    ("[defaults]\nhangover_min_ms = 800", "[defaults]: hangover_min_ms: is 800; must be at most HANGOVER_MS, 700"),
    (  # and no line is told that it has no time zone
        "[defaults]\ntimezone = 'Vienna'\n[[lines]]\nbot = 'flowers'\nmatch.hours = 'mon'",
        "[defaults]: timezone: is 'Vienna'; must be a time zone such as Europe/Vienna or UTC",
    ),
    ("[defaults]\nport = 8080", f"[defaults]: port: {PROCESS}: set CONTAINER_PORT in the environment"),
    ("[[lines]]\nbot = 'flower'", f"[[lines]] 1: bot: is 'flower'; {NO_BOT}"),
    ("[[lines]]", f"[[lines]] 1: bot: is not set; {NO_BOT}"),
    ("[[lines]]\nbot = 'flowers'\nname = 'a/b'", f"[[lines]] 1: name: is 'a/b'; {NAME}"),
    (
        LINE + "weight = 1\n[[lines]]\nname = 'sales'\nbot = 'clinic'\nweight = 1",
        '[[lines]] 2 "sales": name: is taken; it is the name of [[lines]] 1 "sales" too',
    ),
    (LINE + "[[lines]]\nbot = 'clinic'", f"[[lines]] 2: {SAME}"),
    (LINE + "weight = 1\n[[lines]]\nbot = 'clinic'", f"[[lines]] 2: {SAME}"),
    (LINE + "match.to='+1 206 555 0100'\n[[lines]]\nbot = 'clinic'\nmatch.to=['+12065550100']", f"[[lines]] 2: {SAME}"),
    (
        LINE + "match.to='+1206*'\n[[lines]]\nbot = 'clinic'\nmatch={ to='+12065550100', query.a='b' }",
        f"[[lines]] 2: serves no call; {FIRST}",
    ),
    (
        LINE
        + f"match.to='+12065550100'\naccount_sid='{SUB}'\nauth_token='one-token'\n"
        + f"[[lines]]\nbot = 'clinic'\naccount_sid='{SUB}'\nauth_token='another-token'",
        f"[[lines]] 2: account_sid: {DIFFERS}",
    ),
]

OF_LINE: list[tuple[str, str]] = [
    # what follows LINE, and its problem without the place of the line
    ("url = 'https://x.example.com'", f"url: {PROCESS}: set URL in the environment"),
    ("hangovr_ms = 700", "hangovr_ms: is not known; did you mean hangover_ms?"),
    ("GREETING = 'x'", "GREETING: is not known; did you mean greeting?"),
    ("zzzz = 'x'", "zzzz: is not known; it is no setting of a line"),
    ("hangover_ms = 'long'", f"hangover_ms: is 'long'; {HANGOVER}"),
    ("hangover_min_ms = 800", "hangover_min_ms: is 800; must be at most HANGOVER_MS, 700"),
    ("welcome = 'bot'", "welcome_intent: is not set; it goes with WELCOME=bot: the intent to begin with"),
    ("voice = 'a'\nsay_voice = 'b'", "say_voice: is set twice; it is the same as voice"),
    ("say_voice = 'a'\nvoice = 'b'", "voice: is set twice; it is the same as say_voice"),
    ("to = '+12065550100'", "to: does not belong there; it is a condition: write match.to = ..."),
    ("query.bot = 'x'", "query: does not belong there; it is a condition: write match.query = ..."),
    ("timezone = 'UTC'", "timezone: does not belong there; give it in [defaults], or as match.timezone"),
    ("LEX_BOT_ID = 'ABCDEFGHIJ'", f"LEX_BOT_ID: does not belong there; {BOT_NAMED}"),
    ("id = 'ABCDEFGHIJ'", f"id: does not belong there; {BOT_NAMED}"),
    ("match.greeting = 'Hi.'", f"match: greeting: {OF_LINES}"),
    ("barge_in = 1", "barge_in: is 1; must be one of on, off"),
    ("greeting = 2026-01-01", f"greeting: is datetime.date(2026, 1, 1); {FORM}"),
    ("hangup_intents = ['a,b']", "hangup_intents: is ['a,b']; must have texts without commas in a list"),
    (
        "transfer_caller_id = '911'",
        "transfer_caller_id: is '911'; must be a phone number in E.164 form, such as +12065550100",
    ),
    ("weight = 1001", f"weight: is 1001; {WEIGHT}"),
    ("weight = true", f"weight: is True; {WEIGHT}"),
    (
        "weight = 0",
        "weight: is 0; must be more than 0 for one of the lines with this `match`; to switch them all off, remove them",
    ),
    ("match = 'x'", "match: is 'x'; must be a table such as { to = \"+12065550100\" }"),
    ("match.form = '+1'", "match: form: is not known; did you mean from?"),
    ("match.to = '2065550100'", f"match.to: is '2065550100'; {NUMBER}"),
    ("match.to = ['+12065550100', '2065550100']", f"match.to: has '2065550100'; {NUMBER}"),
    (
        "match.to = ['+12065550100', 12065550100]",
        'match.to: has 12065550100; must stand in quotes, with + and its country code: "+12065550100"',
    ),
    ("match.to = 'sip:'", f"match.to: is 'sip:'; {NUMBER}"),
    ("match.to = []", "match.to: is []; must be a text, or a list of texts"),
    ("match.query = 'x'", "match.query: is 'x'; must have a name: query.bot = \"sales\""),
    ("match.query.bot = ''", f"match.query.bot: is ''; {ANY}"),
    (
        "match.sip_header.Dept = '4'",
        "match.sip_header.'Dept': is not valid; must be the name of a SIP header that begins with X-",
    ),
    (
        "match.sip_header = { X-A = '4', x-a = '5' }",
        "match.sip_header.x-a: is set twice; upper and lower case count as the same there",
    ),
    (
        "match.direction = 'in'",
        "match.direction: is 'in'; must be one of inbound, outbound, outbound-api, outbound-dial",
    ),
    ("match.account_sid = 'x'", "match.account_sid: is 'x'; must be the account's SID: AC and 32 hexadecimal digits"),
    (
        "match.to = 12065550100",
        'match.to: is 12065550100; must stand in quotes, with + and its country code: "+12065550100"',
    ),
    ("match.hours = 'mon'", 'match.timezone: is not set; must be set here or in [defaults], such as "Europe/Vienna"'),
    ("match = { hours = '9-5', timezone = 'UTC' }", f"match.hours: is '9-5'; {HOURS}"),
    ("match = { not_hours = 'mon-sun', timezone = 'UTC' }", f"match.hours: has no minute; {NOT_HOURS}"),
    (f"account_sid = '{SUB}'", f"auth_token: is not set; {ACCOUNT}"),
    ("auth_token = 'token-of-a-sub'", f"account_sid: is not set; {ACCOUNT}"),
    (f"account_sid = '{SUB}'\nauth_token = '{SUB}'", f"auth_token: is not valid; {TOKEN}"),
    (f"account_sid = '{SUB}'\nauth_token = 'env:NOWHERE_ELSE'", f"auth_token: is not valid; NOWHERE_ELSE {ENV}"),
    (
        f"account_sid = '{SUB}'\nauth_token = 'env:fedcba98'",
        f"auth_token: is not valid; the variable that it names after `env:` {ENV}",
    ),
]

WHOLE: list[tuple[dict[str, Any], str]] = [
    ({"lines": 3}, f"LINES_FILE: lines: is no list; {LINES}"),
    ({"lines": [3]}, f"LINES_FILE: [[lines]] 1: is a single value; {LINES}"),
    ({"defaults": 1}, "LINES_FILE: [defaults]: is a single value; must be a table: write [defaults], in one bracket"),
    ({"bots": []}, "LINES_FILE: bots: is a list; must be a table: write [bots.NAME], once for each"),
    ({"bots": {"x": 1}}, "LINES_FILE: [bots.x]: is a single value; must be a table: write [bots.NAME], once for each"),
    ({}, "LINES_FILE: has no [[lines]]; must have one, as the environment has no bot"),
]


@pytest.mark.parametrize(("text", "problem"), OF_FILE, ids=[problem[:50] for _, problem in OF_FILE])
def test_each_problem_tells_its_place_and_the_rule(text: str, problem: str) -> None:
    line = "" if "[[lines]]" in text else '\n[[lines]]\nbot = "flowers"\n'
    assert problems_of(text + line) == [f"LINES_FILE: {problem}"]


@pytest.mark.parametrize(("text", "problem"), OF_LINE, ids=[problem[:50] for _, problem in OF_LINE])
def test_each_problem_of_a_line_names_it(text: str, problem: str) -> None:
    assert problems_of(LINE + text) == [f'LINES_FILE: [[lines]] 1 "sales": {problem}']


@pytest.mark.parametrize(("data", "problem"), WHOLE, ids=[problem[:50] for _, problem in WHOLE])
def test_parts_that_are_no_tables_are_told(data: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError) as raised:
        build_table(data, WITHOUT_BOT, read_settings(WITHOUT_BOT))
    assert problem in [str(one) for one in raised.value.problems]


def test_all_problems_are_listed_at_once() -> None:
    problems = problems_of(
        """
        [defaults]
        hangover_ms = 10
        [bots.x]
        alias = "TSTALIASID"
        [[lines]]
        bot = "x"
        match.to = "none"
        weight = -1
        [[lines]]
        bot = "y"
        onset_ms = 0
        """
    )
    places = [one.split(": is ")[0].split(": has ")[0].removeprefix("LINES_FILE: ") for one in problems]
    assert places == [
        "[defaults]: hangover_ms",
        "[bots.x]",
        "[[lines]] 1: weight",
        "[[lines]] 2: onset_ms",
        "[[lines]] 2: bot",
    ]


def test_a_wrong_default_is_told_once() -> None:
    lines = "".join(f'[[lines]]\nbot = "flowers"\nmatch.to = "+120655501{n:02}"\n' for n in range(50))
    assert problems_of("[defaults]\nhangover_max_ms = 600\n" + lines) == [
        "LINES_FILE: [defaults]: hangover_max_ms: is 600; must be at least HANGOVER_MS, 700"
    ]


def test_what_is_wrong_with_the_environment_is_not_told_again() -> None:
    environment = {**WITH_BOT, "HANGOVER_MS": "10", "AWS_REGION": "nowhere"}
    try:
        read_settings(environment)
    except ConfigError as error:
        known = error.problems
    assert len(known) == 2
    data = parse_lines("[[lines]]\nmatch.to = 'x1'\n[[lines]]\nmatch.to = '+12065550100'")
    with pytest.raises(ConfigError) as raised:
        build_table(data, environment, None, known=known)
    assert [one.variable for one in raised.value.problems] == ["LINES_FILE: [[lines]] 1: match.to"]


def test_no_secret_is_in_a_problem() -> None:
    token = "ACS" + "3" * 40
    problems = problems_of(LINE + f"account_sid = '{SUB}'\nauth_token = 'a {token}'\napi_key_secret = ['{token}']")
    assert len(problems) >= 2
    assert token not in "".join(problems)
    assert token not in "".join(problems_of(f"[[defaults]]\nauth_token = '{token}'"))


def test_no_line_is_told_of_defaults_that_are_no_table() -> None:
    problems = problems_of("[[defaults]]\ntimezone = 'UTC'\n" + LINE + "match.hours = 'mon'")
    assert problems == ["LINES_FILE: [defaults]: is a list; must be a table: write [defaults], in one bracket"]


@pytest.mark.parametrize("text", ["[", "a = ", "a = 2026-99-99", "a = 1\na = 2", "a = " + "[" * 5000, "\0", "a = 1_"])
def test_a_file_that_is_no_toml_is_one_problem(text: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse_lines(text)
    (problem,) = raised.value.problems
    assert (problem.variable, problem.rule) == ("LINES_FILE", TOML)
    assert problem.wrong.startswith("is no TOML")


@pytest.mark.parametrize(("depth", "is_taken"), [(20, True), (21, False), (2000, False)])
def test_a_name_with_too_many_dots_is_one_problem(depth: int, is_taken: bool) -> None:
    text = f"{'a.' * (depth - 1)}a = 1"  # the file itself is the first table
    if is_taken:
        assert parse_lines(text)
        return
    with pytest.raises(ConfigError, match="LINES_FILE: is too deep"):
        parse_lines(text)


@pytest.mark.parametrize(
    "text", ["a" + ".a" * 400_000 + " = 1", "[a" + " . 'a'" * 100_000 + "]", "x={a" + ".a" * 30_000]
)
def test_a_key_that_would_take_minutes_to_read_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="LINES_FILE: is too deep: see line 3; must have at most 20 tables"):
        parse_lines(f"# first\n[defaults]\n{text}")


@pytest.mark.parametrize("nested", ["[" * 100_000, "{a=" * 100_000, "[{a=" * 50_000, "[" * 30 + "]" * 30])
def test_what_is_nested_too_deep_is_one_problem(nested: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse_lines(f"a = {nested}")
    assert len(raised.value.problems) == 1


@pytest.mark.parametrize("number", [f"0x{'f' * 20_000}", f"0o{'7' * 20_000}", "9223372036854775808", f"-{'9' * 4000}"])
def test_a_number_that_is_too_large_is_told_with_its_place(number: str) -> None:
    text = f"defaults.max_turns = {number}\n[[lines]]\n[[lines]]\nmatch.to = [1, {number}]\n'\t' = {number}"
    with pytest.raises(ConfigError) as raised:
        parse_lines(text)
    places = ["defaults.max_turns", "lines.2.match.to.2", r"lines.2.'\t'"]
    assert [str(one) for one in raised.value.problems] == [
        f"LINES_FILE: {place}: is too large a number; must be a whole number from -{2**63 - 1} to {2**63 - 1}"
        for place in places
    ]


def test_a_number_of_thousands_of_digits_is_a_problem() -> None:
    with pytest.raises(ConfigError, match="LINES_FILE: is no TOML"):
        parse_lines(f"defaults.max_turns = {'9' * 5000}")


@pytest.mark.parametrize("number", [2**63 - 1, 1 - 2**63, 0])
def test_the_largest_numbers_are_read(number: int) -> None:
    assert parse_lines(f"a = [{number}]") == {"a": [number]}


def test_the_reader_gives_way_between_lines() -> None:
    """A worker takes a table of a thousand lines while it serves calls."""
    text = "[bots.x]\nid='ABCDEFGHIJ'\nalias='TSTALIASID'\n" + "".join(
        f"[[lines]]\nbot='x'\nmatch={{ to='+1206555{n:04}', hours='mon-fri 09:00-17:00', timezone='UTC' }}\n"
        for n in range(1000)
    )
    ways: list[int] = []
    settings = read_settings(WITHOUT_BOT)
    table = build_table(parse_lines(text), WITHOUT_BOT, settings, lambda: ways.append(1))
    assert len(table.lines) == 1000
    assert len(ways) >= 3001


NAMES = st.sampled_from(
    [
        *[
            "name",
            "match",
            "bot",
            "weight",
            "to",
            "query",
            "hours",
            "timezone",
            "greeting",
            "auth_token",
            "account_sid",
        ],
        *[
            "id",
            "alias",
            "locale",
            "region",
            "lines",
            "bots",
            "defaults",
            "locales",
            "x",
            "de_DE",
            "hangover_ms",
            "",
            "\0",
        ],
    ]
)
SIMPLE = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates() | st.binary(max_size=2)
)
VALUES = st.recursive(SIMPLE, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3))
FILES = st.fixed_dictionaries(
    {},
    optional={
        "lines": st.lists(st.dictionaries(NAMES, VALUES, max_size=4), max_size=3) | VALUES,
        "bots": st.dictionaries(NAMES, st.dictionaries(NAMES, VALUES, max_size=4), max_size=3) | VALUES,
        "defaults": st.dictionaries(NAMES, VALUES, max_size=4) | VALUES,
        "locales": VALUES,
        "x": VALUES,
    },
)


@examples(400)
@given(FILES, st.booleans())
def test_reading_raises_nothing_but_a_config_error(data: dict[str, Any], has_bot: bool) -> None:
    environment = WITH_BOT if has_bot else WITHOUT_BOT
    problems: tuple[Problem, ...] = ()
    try:
        build_table(data, environment, read_settings(environment))
    except ConfigError as error:
        problems = error.problems
    assert all(one.variable.startswith("LINES_FILE") for one in problems)


@examples(200)
@given(st.text(max_size=60))
def test_no_text_raises_anything_but_a_config_error(text: str) -> None:
    with suppress(ConfigError):
        table_of(text, WITH_BOT)
