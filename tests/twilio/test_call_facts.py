"""What Twilio's webhook tells of a call, and which of it the bot gets."""

from urllib.parse import quote

import pytest
from markupsafe import escape

from lexbridge.call.attributes import ATTRIBUTES
from lexbridge.call.facts_query import MAX_CARRIED_CHARACTERS, facts_query
from lexbridge.call.stream_parameters import OWN_PARAMETERS
from lexbridge.twilio.call_facts import (
    CALLER_FIELD,
    MAX_FACTS,
    MAX_FACTS_CHARACTERS,
    collect_facts,
)

SERVICE, PERSON = "+12065550199", "+12065550100"
INBOUND = {"From": PERSON, "To": SERVICE, "Direction": "inbound"}
OUTBOUND = {"From": SERVICE, "To": PERSON, "Direction": "outbound-api", "AnsweredBy": "human"}
ALWAYS = {"lexbridge:called-number": SERVICE, "lexbridge:direction": "inbound"}


def facts(form, *allowed, query=(), **options):
    return dict(collect_facts(form, dict(query), allowed, **options).attributes)


def others(form, *allowed, **options):
    """Return the facts beside those that the bot always gets."""
    told = facts({**INBOUND, **form}, *allowed, **options)
    return {name.removeprefix("lexbridge:"): value for name, value in told.items() if name not in ALWAYS}


def test_without_a_list_only_the_service_is_told():
    assert facts({**INBOUND, "CallerName": "Ada", "StirVerstat": "TN-Validation-Passed-A"}) == ALWAYS


def test_the_number_of_the_person_is_told_in_both_directions():
    assert facts(INBOUND, CALLER_FIELD) == {**ALWAYS, "lexbridge:caller-number": PERSON}
    assert facts(OUTBOUND, CALLER_FIELD) == {
        **ALWAYS,
        "lexbridge:direction": "outbound-api",
        "lexbridge:caller-number": PERSON,
    }


def test_a_field_is_named_after_twilio_in_lower_case():
    form = {
        "AnsweredBy": "human",
        "StirVerstat": "TN-Validation-Passed-A",
        "ParentCallSid": "CA1",
        "ForwardedFrom": "+1",
        "CallerName": "Ada",
        "FromZip": "98101",
    }
    assert others(form, *form) == {
        "answered-by": "human",
        "stir-verstat": "TN-Validation-Passed-A",
        "parent-call-sid": "CA1",
        "forwarded-from": "+1",
        "caller-name": "Ada",
        "from-zip": "98101",
    }


@pytest.mark.parametrize(
    ("allowed", "told"),
    [
        ("SipHeader_X-*", {"sip-x-shop": "7", "sip-x-account": "A1"}),
        ("sipheader_x-shop", {"sip-x-shop": "7"}),
        ("SipHeader_User-to-User", {"sip-user-to-user": "00"}),
        ("SipHeader_X-Account,SipHeader_X-*", {"sip-x-account": "A1", "sip-x-shop": "7"}),
        ("SipHeader_X", {}),
    ],
)
def test_headers_of_sip_calls(allowed, told):
    form = {"SipHeader_X-Shop": "7", "SipHeader_X-Account": "A1", "SipHeader_User-to-User": "00", "SipDomain": "d"}
    assert list(others(form, *allowed.split(",")).items()) == list(told.items())


def test_the_query_of_the_address():
    query = {"campaign": "7", "Bot": "sales", "odd name": "x", "": "y"}
    assert others({}, "query.campaign", query=query.items()) == {"query-campaign": "7"}
    assert others({}, "query.*", query=query.items()) == {"query-campaign": "7", "query-bot": "sales"}
    assert collect_facts({}, query, ["query.*"]).left_out == {"query.*": 1}


def test_an_empty_field_is_no_fact():
    assert others({"AnsweredBy": "", "CallerName": ""}, "AnsweredBy", "Caller*") == {}


def test_credentials_are_never_told():
    form = {"CallToken": "secret", "StirPassportToken": "secret", "StirVerstat": "ok"}
    assert others(form, "CallToken", "StirPassportToken", "Stir*", "Call*") == {"stir-verstat": "ok"}


@pytest.mark.parametrize(
    "name", [*OWN_PARAMETERS, *(attribute.name for attribute in ATTRIBUTES if attribute.set_by == "bot")]
)
def test_a_client_cannot_name_what_means_something(name):
    field = name.partition(":")[2] if name.startswith("lexbridge:") else name
    collected = collect_facts({field: "hangup"}, {}, [field])
    assert collected.attributes == {}
    assert collected.left_out == {field: 1}


# -- bounds


def test_a_fact_that_is_too_long_is_left_out_and_counted():
    collected = collect_facts({"CallerName": "x" * 500, "AnsweredBy": "human"}, {}, ["CallerName", "AnsweredBy"])
    assert collected.attributes == {"lexbridge:answered-by": "human"}
    assert collected.left_out == {"CallerName": 1}
    assert "human" not in repr(collected)


def test_a_name_that_the_caller_chose_is_counted_but_not_told():
    form = {"SipHeader_X-+43 660 1234567": "1", "SipHeader_X-Shop": "x" * 500, "SipHeader_X-Tel:0660": "y"}
    collected = collect_facts(form, {}, ["SipHeader_X-*", "SipHeader_X-Shop", "SipHeader_X-Tel:0660"])
    assert collected.attributes == {}
    assert collected.left_out == {"SipHeader_X-*": 3}
    assert collect_facts(form, {}, ["sipheader_x-shop", "SipHeader_X-*"]).left_out == {
        "sipheader_x-shop": 1,
        "SipHeader_X-*": 2,
    }


def test_all_facts_together_fit_into_a_document():
    form = {f"SipHeader_X-{n}": "&" * 90 for n in range(60)}
    collected = collect_facts(form, {}, ["SipHeader_*"])
    xml = "".join(f'<Parameter name="{name}" value="{escape(value)}"/>' for name, value in collected.attributes.items())
    assert MAX_FACTS_CHARACTERS - 600 < len(xml) <= MAX_FACTS_CHARACTERS
    assert collected.left_out == {"SipHeader_*": 60 - len(collected.attributes)}


def test_there_are_at_most_so_many_facts():
    collected = collect_facts({f"SipHeader_X-{n}": "1" for n in range(40)}, {}, ["SipHeader_*"])
    assert collected.left_out == {"SipHeader_*": 40 - len(collected.attributes)}
    assert len(collected.attributes) <= MAX_FACTS


def test_what_is_listed_first_has_room_first():
    form = {f"SipHeader_X-{n}": "1" * 90 for n in range(40)} | {"AnsweredBy": "human"}
    assert next(iter(collect_facts(form, {}, ["AnsweredBy", "SipHeader_*"]).attributes)) == "lexbridge:answered-by"


# -- a stream that was lost before the first turn


def test_what_twilio_tells_once_is_carried_to_the_next_webhook():
    allowed = ["AnsweredBy", "query.*", "StirVerstat", "SipHeader_*"]
    form = {"AnsweredBy": "human", "StirVerstat": "ok", "SipHeader_X-Shop": "7"}
    first = collect_facts(form, {"Campaign": "7 & 8"}, allowed).attributes
    query = facts_query(first)
    assert query == {"fact.answered-by": "human", "fact.query-campaign": "7 & 8"}
    later = collect_facts(
        {"StirVerstat": "ok"}, {**query, "lost": "1", "fact.sip-x-shop": "8"}, allowed, is_first=False
    )
    assert later.attributes == {name: value for name, value in first.items() if not name.endswith("shop")}


def test_what_is_carried_is_short_in_an_address():
    carried = facts_query({f"lexbridge:query-{n}": "ü" * 9 for n in range(20)})
    assert 0 < sum(len(f"&{name}={quote(value)}") for name, value in carried.items()) <= MAX_CARRIED_CHARACTERS


def test_only_what_is_allowed_comes_back():
    query = {"fact.answered-by": "human", "fact.query-campaign": "7"}
    assert others({}, "query.*", query=query.items(), is_first=False) == {"query-campaign": "7"}


def test_the_first_address_cannot_pretend_to_be_a_later_one():
    query = {"fact.answered-by": "human"}
    assert others({}, "AnsweredBy", "query.x", query=query.items()) == {}
