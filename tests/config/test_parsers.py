"""The parsers by themselves. test_settings.py has what each setting takes and refuses."""

import os

import pytest

from lexbridge.config.parsers import (
    address,
    after_attributes,
    after_url,
    attribute_names,
    auth_token,
    base_address,
    confidential_address,
    file,
    folder,
    host,
    intent_names,
    is_loopback,
    line,
    lines_place,
    matching,
    one_of,
    parse_seconds,
    parse_whole,
    phone_number,
    public_address,
    seconds,
    slot_kinds,
    spoken,
    switch,
    whole_number,
)

EVERY_PARSER = {
    "line": line,
    "matching": matching("[a-z]+", "must be small letters"),
    "one_of": one_of("high", "low"),
    "whole_number": whole_number(1, 9),
    "seconds": seconds(1, 9),
    "switch": switch,
    "address": address("wss"),
    "base_address": base_address,
    "confidential_address": confidential_address,
    "file": file,
    "folder": folder,
    "host": host,
    "intent_names": intent_names,
    "slot_kinds": slot_kinds,
    "after_url": after_url,
    "attribute_names": attribute_names,
    "after_attributes": after_attributes,
    "phone_number": phone_number,
    "public_address": public_address,
    "spoken": spoken,
    "auth_token": auth_token("must be a token"),
}


@pytest.mark.parametrize(
    ("parser", "text", "value"),
    [
        ("line", "Grüß Gott & hello", "Grüß Gott & hello"),
        ("matching", "ab", "ab"),
        ("one_of", "low", "low"),
        ("whole_number", "7", 7),
        ("seconds", "2.125", 2.125),
        ("switch", "on", True),
        ("switch", "off", False),
        ("address", "wss://voice.example.com/x/", "wss://voice.example.com/x/"),
        ("base_address", "http://[::1]:8080/x/", "http://[::1]:8080/x"),
        ("confidential_address", "https://crm.example.com/route", "https://crm.example.com/route"),
        ("confidential_address", "http://10.0.0.7:8000/route", "http://10.0.0.7:8000/route"),
        ("confidential_address", "http://crm.internal/route", "http://crm.internal/route"),
        ("file", __file__, __file__),
        ("folder", os.curdir, os.curdir),
        ("host", "127.0.0.1", "127.0.0.1"),
        ("host", "::1", "::1"),
        ("host", "admin.internal", "admin.internal"),
        ("intent_names", "Bye, Ciao.it ,", {"Bye", "Ciao.it"}),
        ("slot_kinds", "A=digits, B = open,", {"A": "digits", "B": "open"}),
        (
            "after_url",
            "https://flows.example.com/a?b=c&FlowEvent=return#rc=2",
            "https://flows.example.com/a?b=c&FlowEvent=return#rc=2",
        ),
        ("after_url", "http://flows.example.com:8080/", "http://flows.example.com:8080/"),
        ("attribute_names", "customer, lexbridge:call-sid ,customer,", ("customer", "lexbridge:call-sid")),
        ("after_attributes", "customer", ("customer",)),
        ("phone_number", "+12065550100", "+12065550100"),
        ("public_address", "https://voice.example.com:8443/", "https://voice.example.com:8443"),
        ("spoken", "a" * 2000, "a" * 2000),
        ("spoken", "&" * 400, "&" * 400),
        ("spoken", "<>" * 250, "<>" * 250),
        ("auth_token", "0123456789abcdef0123456789abcdef", "0123456789abcdef0123456789abcdef"),
        ("auth_token", "SKanything", "SKanything"),
    ],
)
def test_what_keeps_to_the_rule_becomes_the_value(parser, text, value):
    assert EVERY_PARSER[parser](text) == value


@pytest.mark.parametrize("parser", EVERY_PARSER.values(), ids=EVERY_PARSER)
def test_whatever_is_refused_is_refused_with_the_rule(parser):
    with pytest.raises(ValueError, match=r"^must be "):
        parser("a\n=b")


@pytest.mark.parametrize(
    "url",
    [
        "ftp://flows.example.com",
        "https://user:secret@flows.example.com/",
        "https:///next",
        "https://flows.example.com:0/",
        "https://flows.example.com:99999/",
        "https://flows.example.com/<Say>",
        "https://flows.example.com/" + "a" * 500,
    ],
)
def test_a_call_goes_on_only_at_a_sound_address(url):
    with pytest.raises(ValueError, match=r"^must be an address such as https://"):
        after_url(url)


@pytest.mark.parametrize("names", ["intent", "customer,outcome", "slot_Size"])
def test_an_attribute_may_not_hide_what_the_query_has(names):
    with pytest.raises(ValueError, match=r"^must be names other than intent, outcome and slot_"):
        after_attributes(names)


def test_a_rule_names_the_range_and_what_is_allowed():
    for parser, rule in (
        (whole_number(-6, 12), "must be a whole number from -6 to 12"),
        (whole_number(0, 100, 20), "must be a whole number from 0 to 100, a multiple of 20"),
        (seconds(0.5, 60), "must be a number of seconds from 0.5 to 60"),
        (one_of("on"), "must be on"),
        (address("https", "http"), "must be an address such as https://voice.example.com or http://voice.example.com"),
    ):
        with pytest.raises(ValueError, match=f"^{rule}$"):
            parser("")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        *[("0", 0), ("007", 7), ("20", 20), ("21", None), ("-1", None), ("+1", None), ("1_0", None), ("٣", None)],
        *[("²", None), ("", None), (None, None), ("1.0", None), (" 1", None), ("9" * 5000, None), ("0" * 10, None)],
    ],
)
def test_a_whole_number_is_ascii_digits_within_its_bounds(text, number):
    assert parse_whole(text, 0, 20) == number


def test_a_whole_number_may_be_below_zero_where_its_bounds_are():
    assert parse_whole("-6", -6, 12) == -6
    assert parse_whole("-7", -6, 12) is None
    assert parse_whole("-0", 0, 12) == 0


@pytest.mark.parametrize(
    ("text", "number"),
    [("1", 1), ("2.5", 2.5), ("9.999", 9.999), ("0.5", None), ("inf", None), ("1e0", None), ("", None)],
)
def test_seconds_are_digits_to_the_millisecond_within_limits(text, number):
    assert parse_seconds(text, 1, 10) == number


@pytest.mark.parametrize(
    ("host", "is_own"),
    [
        ("127.0.0.1", True),
        ("127.8.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.7", False),
        ("localhost.example.com", False),
    ],
)
def test_which_hosts_only_this_machine_reaches(host, is_own):
    assert is_loopback(host) is is_own


@pytest.mark.parametrize("place", ["lines.toml", "/etc/lexbridge/lines.toml", "s3://my-bucket/folder/lines.toml"])
def test_a_table_of_lines_is_a_path_or_an_object_in_s3(place: str) -> None:
    assert lines_place(place) == place


@pytest.mark.parametrize(
    "place", ["s3://bucket", "s3://B/lines.toml", "s3:lines.toml", "s3://bucket/", "https://x/lines.toml", "a\nb"]
)
def test_other_places_of_a_table_are_refused(place: str) -> None:
    with pytest.raises(ValueError, match=r"s3://bucket/key"):
        lines_place(place)
