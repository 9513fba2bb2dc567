"""The page about transfers: its tables are those of the code, and its example is what the service takes."""

import json
import re

from lexbridge.call.dialog import DialogContext
from lexbridge.call.replies import Transfer, decide
from lexbridge.call.transfers import TRANSFER_STATUSES, TransferEnd, transfer_end
from lexbridge.config.transfer_targets import QueueTarget, SipTarget
from lexbridge.lex.v2 import reply_from_session
from tests.support.packages import ROOT
from tests.support.settings import make_settings

PAGE = (ROOT / "docs" / "transfers.md").read_text(encoding="utf-8")
EXAMPLE = PAGE[PAGE.index("## An example") :]


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", EXAMPLE, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_example_transfers_the_call() -> None:
    settings = make_settings(**dict(line.split("=", 1) for line in block("").splitlines())).line
    answer = reply_from_session(json.loads(block("json")))
    decision = decide(answer, DialogContext().after(answer, {}), settings.call_rules, None)
    assert decision == Transfer(answer.messages, QueueTarget("Support"))
    assert settings.transfer_numbers.find("sip:anyone@pbx.example.com") == SipTarget("anyone", "pbx.example.com")
    assert {*settings.transfer_attributes} >= {*answer.session_attributes} - {
        "lexbridge:action",
        "lexbridge:transfer-to",
    }


def test_the_table_of_results_is_that_of_the_code() -> None:
    rows = re.findall(r"^\| (`[a-z].*?) \| (?:`([a-z-]+)`)? ?\| (hears|is back|is gone)", PAGE, re.MULTILINE)
    told: dict[str, str] = {}
    for results, status, becomes in rows:
        for result in re.findall(r"`([a-z-]+)`", results):
            end, known = transfer_end(result, "in-progress")
            assert (
                end
                is {
                    "hears": TransferEnd.COMPLETED,
                    "is back": TransferEnd.RETURNED,
                    "is gone": TransferEnd.GONE,
                }[becomes]
            )
            if becomes == "is back":
                assert known == status
                told[result] = status
    assert told == TRANSFER_STATUSES
