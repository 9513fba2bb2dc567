"""Whole calls through `server.py` as a process of its own, with real speech: spoken, recognised, answered."""

import json
from pathlib import Path

import pytest

from lexbridge.offline.commands.bridge_process import BridgeProcess
from lexbridge.offline.ports import free_port
from tests.support.commands import DEADLINE_S, coffee_order, coffee_settings, local_lex, start_call
from tests.support.log_lines import whole_lines

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(2 * DEADLINE_S)]


def test_the_readmes_commands_make_a_call_in_three_processes(tmp_path: Path) -> None:
    api_port = free_port()
    with local_lex() as lex, BridgeProcess(coffee_settings(lex, api_port), tmp_path / "bridge.log") as bridge:
        caller = start_call(*coffee_order(bridge.url, api_port))
        printed, _ = caller.communicate(timeout=DEADLINE_S)
    assert caller.returncode == 0, printed
    assert "Enjoy your coffee. Goodbye." in printed
    lines = [json.loads(line) for line in whole_lines((tmp_path / "bridge.log").read_text(encoding="utf-8"))]
    answered = [line for line in lines if line["event"] == "turn-answered"]
    assert [line["dialog_state"] for line in answered] == ["ConfirmIntent", "Fulfilled", "Fulfilled"]
    assert answered[-1]["intent"] == "GoodbyeIntent"
