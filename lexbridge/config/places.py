"""AWS regions and Lex locales: which names are impossible, and which ones are doubtful.

The known regions come from the data files of the installed botocore. A region or locale that may be newer than these is
doubtful at most, and never refused.
"""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from typing import Any

from botocore.loaders import create_loader

_COMPASS = ("central", "north", "northeast", "northwest", "south", "southeast", "southwest", "east", "west")
"""Words with which the names of regions end, before their number."""

_LOCALES = re.findall(
    r"\w+",
    "af_ZA ar_AE ar_SA bg_BG ca_ES cs_CZ cy_GB da_DK de_AT de_CH de_DE en_AB en_AU en_GB en_IE en_IN en_NZ en_US en_WL "
    "en_ZA es_419 es_ES es_MX es_US fi_FI fr_BE fr_CA fr_FR hi_IN it_IT ja_JP ko_KR nl_BE nl_NL no_NO pl_PL pt_BR "
    "pt_PT sv_SE zh_CN zh_HK",
)
"""Locales of Lex V2, each language that is here with all of its locales. Lex has other languages too.

Source: https://docs.aws.amazon.com/lexv2/latest/dg/how-languages.html .
"""

_LANGUAGES = frozenset(
    re.findall(
        r"\w+",
        "aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee "
        "el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is "
        "it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms "
        "mt my na nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg sh si "
        "sk sl sm sn so sq sr ss st su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh "
        "yi yo za zh zu",
    )
)
"""Every two-letter code of ISO 639. The codes of three letters are thousands, so any of those is accepted."""


def region(value: str) -> str:
    """Return `value` if it is the name of an AWS region, or could be the name of a newer one than boto3 knows."""
    rule = "must be the name of an AWS region such as us-west-2"
    form = re.fullmatch(r"([a-z]{2,4}(?:-[a-z]+)*)-([a-z]+)-[0-9]{1,2}", value)
    if value in _regions() or (form and form[2] in _COMPASS and _is_in_a_partition(value)):
        return value
    close = get_close_matches(value.lower(), sorted(_regions()), n=5, cutoff=0.7)
    # Prefer a name with the same letters, because two of them may have changed places.
    meant = min(close, key=lambda name: sorted(name) != sorted(value.lower()), default=None)
    raise ValueError(f"{rule}: did you mean {meant}?" if meant else rule)


def locale_id(value: str) -> str:
    """Return `value` if it has the form of a Lex locale, with an existing language."""
    rule = "must be a locale such as en_US or es_419"
    form = re.fullmatch(r"([a-z]{2,3})_[A-Z0-9]{2,3}", value)
    if form and (len(form[1]) == 3 or form[1] in _LANGUAGES):
        return value
    if form:
        raise ValueError(f"{rule}: there is no language {form[1]}")
    parts = re.fullmatch(r"([A-Za-z]{2,3})[-_ ]?([A-Za-z0-9]{2,3})", value)
    meant = f"{parts[1].lower()}_{parts[2].upper()}" if parts else ""
    raise ValueError(f"{rule}: did you mean {meant}?" if meant in _LOCALES else rule)


def find_region_doubt(name: str, generation: str) -> str | None:
    """Return what is doubtful about a region, or None if boto3 knows Lex there. `generation`: "v1" or "v2"."""
    if name not in _regions():
        return "is no region that the installed boto3 knows; it may be newer than that: upgrade boto3"
    there = _lex_regions("runtime.lex" if generation == "v1" else "runtime-v2-lex")
    if name in there:
        return None
    return f"has no Lex that the installed boto3 knows of; there is one in {', '.join(sorted(there))}"


def find_locale_doubt(name: str) -> str | None:
    """Return what is doubtful about a locale: Lex knows its language, but not the locale. None: nothing is."""
    language = name.partition("_")[0]
    there = [locale for locale in _LOCALES if locale.startswith(f"{language}_")]
    if name in there or not there:
        return None
    return f"is no locale that Lex V2 is known to have; in that language there is {', '.join(there)}"


@cache
def _data(name: str) -> Mapping[str, Any]:
    data: Mapping[str, Any] = create_loader().load_data(name)
    return data


@cache
def _regions() -> frozenset[str]:
    """Return the regions that the installed botocore knows, without those that stand for a whole partition."""
    every = (name for partition in _data("partitions")["partitions"] for name in partition["regions"])
    return frozenset(name for name in every if not name.endswith("-global"))


def _is_in_a_partition(name: str) -> bool:
    """Return whether the name has the form that some partition of AWS gives its regions."""
    return any(re.match(partition["regionRegex"], name) for partition in _data("partitions")["partitions"])


@cache
def _lex_regions(service: str) -> frozenset[str]:
    partitions = _data("endpoints")["partitions"]
    every = (name for one in partitions for name in one["services"].get(service, {"endpoints": ()})["endpoints"])
    return frozenset(name for name in every if not name.endswith("-fips"))
