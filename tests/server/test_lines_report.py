"""The table of lines as people read it, and which line answers a call and why."""

import pytest

from lexbridge.server.lines_report import describe_choice, describe_lines
from tests.support.line_tables import WITH_BOT, call_of, table_of

SUB = "AC" + "1" * 32
LINES = f"""
[bots.old]
name = "OrderFlowers"
alias = "Prod"
[[lines]]
name = "sales"
bot = "flowers"
match = {{ to = "+12065550111", query.bot = "sales", hours = "mon-fri 09:00-17:00", timezone = "Europe/Vienna" }}
voice = "Polly.Joanna"
max_calls = 20
max_turns = 30
weight = 3
[[lines]]
name = "new"
bot = "old"
match = {{ to = "+12065550111", query.bot = "sales", hours = "mon-fri 09:00-17:00", timezone = "Europe/Vienna" }}
role = "arn:aws:iam::123456789012:role/asks-lex"
weight = 1
[[lines]]
name = "clinic"
bot = "clinic"
match.to = "+43*"
reply_mode = "stream"
account_sid = "{SUB}"
auth_token = "token-of-the-sub"
"""


def test_the_table_shows_each_line_without_secrets() -> None:
    lines = describe_lines(table_of(LINES, WITH_BOT)).splitlines()
    assert {
        line.index(cell) for line, cell in zip(lines, ["calls", "to", "09", "to", "09", "to", SUB], strict=False)
    } == {11}
    assert [" ".join(line.split()) for line in lines] == [
        "line calls bot locale region replies voice limits",
        "sales to +12065550111, query.bot sales, mon-fri flowers en_US us-west-2 call-update Polly.Joanna "
        "20 calls, 30 turns, weight 3",
        "09:00-17:00 (Europe/Vienna)",
        "new to +12065550111, query.bot sales, mon-fri old Lex V1 us-west-2 (role) call-update - weight 1",
        "09:00-17:00 (Europe/Vienna)",
        "clinic to +43*, account clinic de_DE eu-central-1 stream de-DE -",
        SUB,
        "(default) all others FLOWERS123 TSTALIASID en_US us-west-2 call-update - -",
    ]


def test_bots_without_a_line_are_told() -> None:
    said = describe_lines(table_of('[[lines]]\nbot = "flowers"'))
    assert said.splitlines()[2:] == ["", "Bots without a line, which a bot may hand calls to: clinic"]


def test_the_answer_names_the_line_and_its_shares() -> None:
    said, is_answered = describe_choice(table_of(LINES), call_of(query={"bot": "sales"}, CallSid="", AccountSid=""))
    assert is_answered
    assert said.splitlines()[1:] == [
        "  It shares these calls by weight: sales 3 of 4, new 1 of 4.",
        said.splitlines()[2],
    ]
    assert said.splitlines()[0].split()[2] in ("sales", "new")


def test_the_answer_tells_why_no_line_before_it_answers() -> None:
    said, is_answered = describe_choice(table_of(LINES, WITH_BOT), call_of(query={"bot": "buy"}))
    assert is_answered
    assert said.splitlines() == [
        "The default line answers: the bot of the environment.",
        "  FLOWERS123 TSTALIASID, en_US, in us-west-2; replies by call-update",
        "No line of the table does:",
        "  sales   query.bot is buy, not sales",
        "  new     query.bot is buy, not sales",
        "  clinic  to is +12065550111, not +43*",
    ]


@pytest.mark.parametrize(("account_sid", "answers"), [("", True), (SUB, True), ("AC" + "2" * 32, False)])
def test_a_call_without_an_account_is_one_of_the_lines(account_sid: str, answers: bool) -> None:
    said, is_answered = describe_choice(table_of(LINES), call_of("+4312345678", AccountSid=account_sid))
    assert is_answered is answers
    if answers:
        assert said.startswith(f"The line clinic answers: to +43*, account {SUB}\n  clinic, de_DE, in eu-central-1;")
    else:
        assert said.splitlines()[0].startswith("No line answers: the caller hears")
        assert said.splitlines()[-1] == f"  clinic  its calls are those of the Twilio account {SUB}"


def test_a_thousand_other_numbers_are_only_counted() -> None:
    numbers = "".join(f'[[lines]]\nbot = "flowers"\nmatch.to = "+1206555{n:04}"\n' for n in range(1000))
    lines = f'[[lines]]\nname = "vip"\nbot = "clinic"\nmatch.from = "+43*"\n{numbers}'
    said, is_answered = describe_choice(table_of(lines), call_of("+12065550999"))
    assert is_answered
    assert said.splitlines() == [
        "The line line-1001 answers: to +12065550999",
        "  flowers, en_US, in us-west-2; replies by call-update",
        "The lines before it do not:",
        "  vip  from is +12065550100, not +43*",
        "  999 others: they serve other numbers",
    ]
