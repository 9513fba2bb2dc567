"""Names of regions and locales: impossible ones are refused, and those that AWS may use some day are not."""

import pytest

from lexbridge.config.places import find_locale_doubt, find_region_doubt, locale_id, region

REGION = "must be the name of an AWS region such as us-west-2"
LOCALE = "must be a locale such as en_US or es_419"


def refusal(parser, text):
    with pytest.raises(ValueError, match=r"^must be ") as raised:
        parser(text)
    return str(raised.value)


@pytest.mark.parametrize(
    "name", ["us-east-1", "af-south-1", "cn-northwest-1", "us-gov-west-1", "us-isob-east-1", "eusc-de-east-1"]
)
def test_a_region_that_boto3_knows_is_taken(name):
    assert region(name) == name


@pytest.mark.parametrize("name", ["us-west-9", "eu-northeast-1", "us-gov-central-1", "us-isof-west-12"])
def test_a_region_of_the_future_is_taken_and_doubted(name):
    assert region(name) == name
    assert find_region_doubt(name, "v2").startswith("is no region that the installed boto3 knows")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("us-esat-1", "us-east-1"),
        ("us-esat-2", "us-east-2"),
        ("eu-wst-1", "eu-west-1"),
        ("ap-southest-2", "ap-southeast-2"),
        ("US-EAST-1", "us-east-1"),
        ("us-east1", "us-east-1"),
        ("us-east-1a", "us-east-1"),
        ("us_west_2", "us-west-2"),
    ],
)
def test_a_slip_in_a_region_is_told(text, meant):
    assert refusal(region, text) == f"{REGION}: did you mean {meant}?"


@pytest.mark.parametrize("text", ["Oregon", "aws-global", "", "\n", "us-east-1\n", "east"])
def test_what_is_no_region_at_all_is_refused(text):
    assert refusal(region, text).startswith(REGION)


@pytest.mark.parametrize("generation", ["v1", "v2"])
def test_a_region_with_lex_is_in_no_doubt(generation):
    assert find_region_doubt("us-east-1", generation) is None
    assert find_region_doubt("us-gov-west-1", generation) is None


def test_a_region_without_lex_is_doubted_and_others_named():
    doubt = find_region_doubt("sa-east-1", "v2")
    assert doubt.startswith("has no Lex that the installed boto3 knows of; there is one in af-south-1, ")
    assert "fips" not in doubt
    assert find_region_doubt("af-south-1", "v2") is None
    assert "has no Lex" in find_region_doubt("af-south-1", "v1")


@pytest.mark.parametrize("name", ["en_US", "de_AT", "es_419", "en_WL", "sk_SK", "zu_ZA", "yue_HK", "en_UK"])
def test_a_locale_in_a_language_that_there_is_is_taken(name):
    assert locale_id(name) == name


@pytest.mark.parametrize(
    ("text", "meant"),
    [("en-US", "en_US"), ("en_us", "en_US"), ("EN_US", "en_US"), ("deDE", "de_DE"), ("es 419", "es_419")],
)
def test_a_locale_that_is_written_otherwise_is_told(text, meant):
    assert refusal(locale_id, text) == f"{LOCALE}: did you mean {meant}?"


@pytest.mark.parametrize(
    ("text", "why"), [("xx_YY", ": there is no language xx"), ("english", ""), ("xx-YY", ""), ("en", ""), ("\n", "")]
)
def test_what_is_no_locale_is_refused(text, why):
    assert refusal(locale_id, text) == LOCALE + why


@pytest.mark.parametrize("name", ["en_US", "es_419", "sk_SK", "yue_HK"])
def test_a_known_or_wholly_unknown_locale_is_not_doubted(name):
    """A locale that Lex has, or one in a language of which nothing is known, is not doubted."""
    assert find_locale_doubt(name) is None


def test_an_unknown_locale_of_a_known_language_is_doubted():
    assert find_locale_doubt("de_LI") == (
        "is no locale that Lex V2 is known to have; in that language there is de_AT, de_CH, de_DE"
    )
