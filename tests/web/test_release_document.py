"""What docs/release.md shows works: its request is signed as the webhooks are, and lets the call go."""

import re
from typing import Any

import pytest
import requests

from lexbridge.bridge import released_calls
from tests.support.packages import ROOT, block
from tests.support.rig import TOKEN
from tests.support.webhook_client import FORM, WebhookClient


def test_the_request_of_the_document_lets_a_call_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(released_calls, "STREAM_FOUND_S", 0.0)
    text = block((ROOT / "docs" / "release.md").read_text(encoding="utf-8"), "release in Python")
    names: dict[str, Any] = {}
    exec(re.sub("^```.*$", "", text, flags=re.MULTILINE), names)  # noqa: S102 - a document of this repository
    twilio = WebhookClient()

    def post(address: str, data: Any, headers: Any, timeout: float) -> Any:
        assert timeout > 0
        return twilio.client.post(address.removeprefix("https://voice.example.com"), data=data, headers=headers)

    monkeypatch.setattr(requests, "post", post)
    answer = names["release"]("https://voice.example.com", FORM["AccountSid"], TOKEN, FORM["CallSid"])
    assert (answer.status_code, answer.json) == (202, {"released": False, "noted": True})
    assert "Stream" not in twilio.post("/twiml/resume").text
    forged = names["release"]("https://voice.example.com", FORM["AccountSid"], "another token", FORM["CallSid"])
    assert forged.status_code == 403
