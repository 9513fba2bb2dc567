"""Webhooks that the holder of one account's auth token signs, for what belongs to another account."""

from urllib.parse import urlencode

import pytest

from lexbridge.config.lines import LineTable
from lexbridge.config.lines_file import read_lines
from lexbridge.config.settings import Settings
from lexbridge.twilio.route_seal import sealed_route
from lexbridge.twilio.sealed_text import seal
from tests.support.line_tables import TWO_BOTS, WITH_BOT
from tests.support.rig import TOKEN
from tests.support.webhook_client import FORM, WebhookClient, parameters

SHOP, CLINIC = "AC" + "a" * 32, "AC" + "c" * 32
SHOPS_TOKEN = "the-token-of-the-shop"
TABLE = f"""{TWO_BOTS}
[[lines]]
name = "shop"
bot = "flowers"
after = "https://shop.example/next"
account_sid = "{SHOP}"
auth_token = "{SHOPS_TOKEN}"

[[lines]]
name = "clinic"
bot = "clinic"
account_sid = "{CLINIC}"
auth_token = "the-token-of-the-clinic"
"""


def table(of: Settings) -> LineTable:
    return read_lines(TABLE, WITH_BOT, of)


def of_the_shop(**fields: str) -> dict[str, str]:
    return {**FORM, "AccountSid": SHOP, **fields}


@pytest.mark.parametrize("purpose", ["whisper", f"whisper of {CLINIC}"])
def test_words_of_another_account_are_not_read(purpose: str) -> None:
    twilio = WebhookClient(table=table)
    sealed = seal(TOKEN, purpose, "Ann Smith has called about her blood.")
    answer = twilio.post(f"/twiml/whisper?line=shop&words={sealed}", of_the_shop(), SHOPS_TOKEN)
    assert "blood" not in answer.text
    sealed = seal(TOKEN, f"whisper of {SHOP}", "Roses.")
    assert "Roses." in twilio.post(f"/twiml/whisper?line=shop&words={sealed}", of_the_shop(), SHOPS_TOKEN).text


@pytest.mark.parametrize("purpose", ["after", f"after of {CLINIC}"])
def test_results_of_another_account_are_not_read(purpose: str) -> None:
    twilio = WebhookClient(table=table)
    form = of_the_shop(CallStatus="in-progress", DialCallStatus="completed")
    query = urlencode({"line": "shop", "after": seal(TOKEN, purpose, "slot_Illness=flu")})
    assert "flu" not in twilio.post(f"/twiml/transferred?{query}", form, SHOPS_TOKEN).text
    query = urlencode({"line": "shop", "after": seal(TOKEN, f"after of {SHOP}", "slot_Size=big")})
    assert "slot_Size=big" in twilio.post(f"/twiml/transferred?{query}", form, SHOPS_TOKEN).text


@pytest.mark.parametrize("path", ["/twiml/resume?begins=1", "/twiml/resume?lost=1", "/twiml/keys?of=MZ1&asks=1"])
def test_no_address_names_the_bot_that_handed_a_call_over(path: str) -> None:
    twilio = WebhookClient(table=table)
    forged = urlencode({"line": "shop", "switched": "1.1:shop/clinic"})
    assert "lexbridge:switched" not in parameters(twilio.post(f"{path}&{forged}", of_the_shop(), SHOPS_TOKEN))
    sealed = sealed_route(TOKEN, "1.1:shop/clinic")
    ours = urlencode({"line": "shop", "switched": sealed})
    sent = parameters(twilio.post(f"{path}&{ours}", of_the_shop(), SHOPS_TOKEN))
    assert sent["lexbridge:switched"] == sealed
