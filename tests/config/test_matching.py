"""Which calls a line serves: each condition, the order, the index, and shares by weight."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexbridge.config.match_index import MatchIndex
from lexbridge.config.match_reading import parse_account_sid, parse_address
from lexbridge.config.matching import Fact, Match, Texts, normalised_address
from tests.support.line_tables import call_of, chosen, table_of
from tests.support.property_tests import examples

AC = "AC" + "0" * 32


@pytest.mark.parametrize(
    ("match", "form"),
    [
        ('to = "+12065550111"', {"to": "+12065550111"}),
        ('to = "+1 (206) 555-0111"', {"to": "+12065550111"}),
        ('to = ["+12065550112", "+1206*"]', {"to": "+12065550199"}),
        ('to = "311"', {"to": "311"}),
        ('to = "sip:Shop@Example.sip.twilio.com"', {"to": "sip:shop@example.sip.twilio.com;transport=tls"}),
        ('to = "sip:shop@*"', {"to": "SIP:shop@example.com"}),
        ('to = "client:Ann"', {"to": "client:Ann"}),
        ('from = "+43*"', {"caller": "+4312345678"}),
        ('from = "anonymous"', {"caller": "Anonymous"}),
        ('from = "*"', {"caller": "+12065550100"}),
        ('query.bot = "sales"', {"query": {"bot": "sales"}}),
        ("query.dept = 4", {"query": {"dept": "4"}}),
        ('sip_header."X-Dept" = "4"', {"SipHeader_x-dept": "4"}),
        ('sip_header."X-Dept" = "*"', {"SipHeader_X-Dept": "any"}),
        ('parameter.plan = ["gold", "silver"]', {"plan": "silver"}),
        ('direction = "outbound"', {"Direction": "outbound-api"}),
        ('direction = "inbound"', {"Direction": "inbound"}),
        (f'account_sid = "{AC}"', {"AccountSid": AC}),
        ('hours = "mon 13:00-14:00", timezone = "Europe/Vienna"', {}),
        ('not_hours = ["mon 09:00-12:00", "tue"], timezone = "UTC"', {}),
        ('to = "+1206*", from = "+1206*", direction = "inbound"', {}),
        ("", {}),
    ],
)
def test_a_line_serves_calls_that_fulfil_its_conditions(match: str, form: dict[str, str]) -> None:
    table = table_of(f'[[lines]]\nbot = "flowers"\nmatch = {{ {match} }}')
    assert chosen(table, call_of(**form)) == "line-1"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("match", "form"),
    [
        ('to = "+12065550111"', {"to": "+12065550112"}),
        ('to = "+1207*"', {}),
        ('to = "client:Ann"', {"to": "client:ann"}),
        ('from = "anonymous"', {}),
        ('from = "*"', {"caller": ""}),
        ('query.bot = "sales"', {}),
        ('query.bot = "sales"', {"query": {"bot": "Sales"}}),
        ('query.bot = "sales"', {"bot": "sales"}),
        ('sip_header."X-Dept" = "4"', {"SipHeader_X-Dept": "5", "X-Dept": "4"}),
        ('parameter.plan = "gold"', {"query": {"plan": "gold"}}),
        ('direction = "outbound"', {}),
        (f'account_sid = "{AC}"', {}),
        ('hours = "mon 09:00-12:00", timezone = "UTC"', {}),
        ('not_hours = "mon 09:00-12:01", timezone = "UTC"', {}),
        ('to = "+1206*", from = "+1207*"', {}),
    ],
)
def test_a_line_serves_no_other_calls(match: str, form: dict[str, str]) -> None:
    table = table_of(f'[[lines]]\nbot = "flowers"\nmatch = {{ {match} }}')
    assert chosen(table, call_of(**form)) is None  # type: ignore[arg-type]


def test_the_first_line_that_serves_a_call_is_chosen() -> None:
    table = table_of(
        """
        [[lines]]
        name = "sales"
        bot = "flowers"
        match = { to = "+12065550111", query.bot = "sales" }
        [[lines]]
        name = "vip"
        bot = "flowers"
        match = { from = "+12065550199" }
        [[lines]]
        name = "shop"
        bot = "flowers"
        match = { to = ["+12065550111", "+12065550112"] }
        [[lines]]
        name = "all"
        bot = "clinic"
        """
    )
    assert chosen(table, call_of(query={"bot": "sales"}, caller="+12065550199")) == "sales"
    assert chosen(table, call_of(caller="+12065550199")) == "vip"
    assert chosen(table, call_of()) == "shop"
    assert chosen(table, call_of("+12065550113")) == "all"


def test_unmet_conditions_are_told_in_words() -> None:
    table = table_of(
        """
        [[lines]]
        bot = "flowers"
        match = { to = ["+1207*", "311"], query.bot = "x", hours = "tue", timezone = "UTC", from = "+1206*" }
        """
    )
    match = table.lines["line-1"].match
    assert list(match.unmet(call_of())) == [
        "to is +12065550111, not 311 or +1207*",
        "query.bot is not given, and has to be x",
        "the time there is mon 12:00, and the hours are tue (UTC)",
    ]
    assert str(match) == "to 311 or +1207*, from +1206*, query.bot x, tue (UTC)"
    assert str(Match()) == "all calls"


def test_equal_lines_share_their_calls_by_weight() -> None:
    lines = "".join(
        f'[[lines]]\nname = "{name}"\nbot = "flowers"\nmatch.to = "+12065550111"\nweight = {weight}\n'
        for name, weight in (("old", 3), ("new", 1), ("off", 0))
    )
    table, same = table_of(lines), table_of(lines)
    calls = [call_of(CallSid=f"CA{number}") for number in range(2000)]
    counts = Counter(chosen(table, call) for call in calls)
    assert counts.keys() == {"old", "new"}
    assert 400 < counts["new"] < 600
    assert [chosen(table, call) for call in calls] == [chosen(same, call) for call in calls]  # in each worker


def test_a_thousand_lines_are_not_compared_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = "".join(f'[[lines]]\nbot = "flowers"\nmatch.to = "+1206555{n:04}"\n' for n in range(500))
    queries = "".join(
        f'[[lines]]\nbot = "flowers"\nmatch = {{ to = "+12075550000", query.n = {n} }}\n' for n in range(500)
    )
    ranges = "".join(f'[[lines]]\nbot = "flowers"\nmatch.to = "+1208555{n:03}*"\n' for n in range(500))
    table = table_of(numbers + queries + ranges)
    compared = []
    serves = Match.serves
    monkeypatch.setattr(Match, "serves", lambda self, call: compared.append(self) or serves(self, call))
    assert chosen(table, call_of("+12065550499")) == "line-500"
    assert chosen(table, call_of("+12075550000", query={"n": "499"})) == "line-1000"
    assert chosen(table, call_of("+12085554990")) == "line-1500"
    assert chosen(table, call_of("+12095550000")) is None
    assert len(compared) == 3


TEXTS = st.builds(
    Texts.of,
    st.frozensets(st.sampled_from(["1", "12", "123", "2", "23"]), max_size=3),
    st.frozensets(st.sampled_from(["", "1", "12", "2"]), max_size=2),
).filter(lambda one: bool(one.whole or one.beginnings))
FACTS = st.sampled_from([Fact("to"), Fact("query", "a"), Fact("parameter", "b")])
MATCHES = st.builds(Match, st.dictionaries(FACTS, TEXTS, max_size=3))
TEXT = st.sampled_from(["", "1", "12", "123", "1234", "2", "23", "3"])
CALLS = st.builds(lambda to, a, b: call_of(to, query={"a": a}, b=b), TEXT, TEXT, TEXT)


@examples(300)
@given(st.lists(MATCHES, max_size=8), CALLS)
def test_the_index_leads_to_the_same_line_as_a_search(matches: list[Match], call: object) -> None:
    searched = [at for at, match in enumerate(matches) if match.serves(call)]  # type: ignore[arg-type]
    candidates = list(MatchIndex(matches).of_call(call))  # type: ignore[arg-type]
    assert candidates == sorted(candidates)
    assert [at for at in candidates if matches[at].serves(call)] == searched  # type: ignore[arg-type]


@examples(300)
@given(MATCHES, MATCHES, st.lists(CALLS, max_size=20))
def test_what_covers_a_match_serves_its_calls(match: Match, other: Match, calls: list[object]) -> None:
    is_covered = match.cover(other)
    for call in calls:
        if is_covered and other.serves(call):  # type: ignore[arg-type]
            assert match.serves(call)  # type: ignore[arg-type]
    assert match.cover(match)
    if is_covered:
        assert list(MatchIndex([match]).of_match(other)) == [0]


def test_addresses_are_compared_without_what_does_not_matter() -> None:
    assert normalised_address("SIP:Ann@Example.com:5061;transport=tls?X-A=1") == "sip:ann@example.com:5061"
    assert normalised_address("client:Ann") == "client:Ann"
    assert normalised_address("RESTRICTED") == "restricted"


def test_an_address_to_ask_about_is_whole() -> None:
    assert parse_address(" +1 (206) 555-0111 ") == "+12065550111"
    for text, rule in (("+1206*", "without a \\*"), ("+12x", "must be")):
        with pytest.raises(ValueError, match=rule):
            parse_address(text)


def test_an_account_to_ask_about_has_its_form() -> None:
    assert parse_account_sid("AC" + "1" * 32) == "AC" + "1" * 32
    with pytest.raises(ValueError, match="must be"):
        parse_account_sid("SK" + "1" * 32)


def test_a_match_covers_one_with_more_conditions() -> None:
    few, more = (
        table_of(f'[[lines]]\nbot = "flowers"\nmatch = {{ {text} }}\n').lines["line-1"].match
        for text in ('to = "+1206*"', 'to = "+12065550111", direction = "inbound"')
    )
    assert few.cover(more)
    assert not more.cover(few)


def test_thousands_of_numbers_and_beginnings_are_told_apart() -> None:
    beginnings = frozenset(f"+1206{number:05}" for number in range(10_000))
    whole = frozenset(f"+1{area}{number:05}99" for area in (206, 207) for number in range(10_000))
    texts = Texts.of(whole, beginnings)
    assert (len(texts.whole), texts.beginnings) == (10_000, beginnings)
    assert texts.include("+12060000099")
    assert not texts.include("+1206000")
    assert not texts.include("+1")
