"""Session attributes that go along with a transfer, in the form that each kind of target takes."""

import json
import re
from collections.abc import Mapping
from urllib.parse import quote

from markupsafe import Markup, escape

from lexbridge.twilio.say import clean

MAX_PASSED_ON_CHARACTERS = 800
"""Longest text of all attributes of a transfer, as it stands in the document.

Twilio takes 1,024 characters of SIP headers (https://www.twilio.com/docs/api/errors/13251), and 4,000 of a document,
which also has the bot's words."""


def sip_headers(attributes: Mapping[str, str]) -> str:
    """Return `attributes` as the query of a SIP URI: `X-customer=4711&X-topic=roses`. Those without room are left out.

    A value is percent-encoded, so that it can neither end its header nor begin another.
    """
    query = ""
    for name, value in attributes.items():
        header = f"X-{re.sub('[^A-Za-z0-9-]', '-', name)}={quote(clean(value), safe='', errors='replace')}"
        longer = f"{query}&{header}" if query else header
        if len(escape(longer)) <= MAX_PASSED_ON_CHARACTERS:
            query = longer
    return query


def client_parameters(attributes: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the names and values of the `<Parameter>`s of a `<Client>`. Those without room are left out."""
    parameters: list[tuple[str, str]] = []
    length = 0
    for name, value in attributes.items():
        parameter = clean(name), clean(value)
        characters = len(escape(parameter[0])) + len(escape(parameter[1])) + len('<Parameter name="" value=""/>')
        if length + characters <= MAX_PASSED_ON_CHARACTERS:
            length += characters
            parameters.append(parameter)
    return parameters


def task_attributes(attributes: Mapping[str, str]) -> Markup:
    """Return the JSON inside of a `<Task>`. Attributes without room are left out."""
    task: dict[str, str] = {}
    text = _json({})
    for name, value in attributes.items():
        longer = _json({**task, clean(name): clean(value)})
        if len(longer) <= MAX_PASSED_ON_CHARACTERS:
            task[clean(name)], text = clean(value), longer
    return text


def _json(task: Mapping[str, str]) -> Markup:
    # In the text of an element a quotation mark stands for itself.
    return Markup(str(escape(json.dumps(task, ensure_ascii=False))).replace("&#34;", '"').replace("&#39;", "'"))  # noqa: S704
