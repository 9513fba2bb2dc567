"""The command `server.py --check=live` with a table of lines: each bot and each Twilio account is asked once."""

import re
from pathlib import Path

from lexbridge.offline.lex.recognition import ScriptedRecogniser
from lexbridge.offline.lex.runtime import LocalLex
from lexbridge.offline.lex.voice import SilentVoice
from lexbridge.offline.ports import free_port
from lexbridge.offline.twilio.simulator import SimulatedTwilio
from tests.support.rig import ENVIRONMENT, TOKEN, flowers
from tests.support.server_process import start

OWN, SUB = "AC" + "c" * 32, "AC" + "d" * 32
SUB_TOKEN = "token-of-the-subaccount"
LINES = f"""
[bots.flowers]
id = "{flowers().v2_id}"
alias = "PRODALIAS1"
[bots.clinic]
id = "NOBOTATALL"
alias = "PRODALIAS1"
[bots.elsewhere]
id = "{flowers().v2_id}"
alias = "PRODALIAS1"
endpoint = "http://127.0.0.1:9"
[[lines]]
bot = "flowers"
match.to = "+12065550111"
[[lines]]
bot = "flowers"
match.to = "+12065550112"
[[lines]]
bot = "clinic"
match.to = "+12065550113"
[[lines]]
bot = "elsewhere"
match.to = "+12065550114"
account_sid = "{SUB}"
auth_token = "{SUB_TOKEN}"
"""


def test_each_bot_and_each_account_has_its_rows(tmp_path: Path) -> None:
    (tmp_path / "lines.toml").write_text(LINES)
    served = LocalLex(bots=[flowers()], recogniser=ScriptedRecogniser([]), voice=SilentVoice())
    with served, SimulatedTwilio(auth_token=TOKEN, account_sid=OWN) as simulated:
        environment = {
            **ENVIRONMENT,
            "LINES_FILE": "lines.toml",
            "AWS_ENDPOINT_URL_LEX_RUNTIME_V2": served.url,
            "AWS_ENDPOINT_URL_STS": served.url,
            "TWILIO_API_URL": simulated.url,
            "TWILIO_ACCOUNT_SID": OWN,
            "URL": f"http://127.0.0.1:{free_port()}",
        }
        ended = start(tmp_path, "--check=live", **environment)
    assert (ended.returncode, ended.stderr) == (1, "")
    assert SUB_TOKEN not in ended.stdout
    told = re.findall(r"^(\S.*?)  +(ok|warning|NOT OK|not asked)  ", ended.stdout, re.MULTILINE)
    assert told[1:-3] == [
        ("AWS identity", "ok"),
        ("Lex bot flowers", "ok"),
        ("Lex permissions flowers", "ok"),
        ("Lex bot clinic", "NOT OK"),
        ("Lex permissions clinic", "not asked"),
        ("Lex bot elsewhere", "NOT OK"),
        ("Lex permissions elsewhere", "not asked"),
        (f"Twilio account {OWN}", "ok"),
        (f"Twilio number {OWN}", "NOT OK"),
        (f"Twilio account {SUB}", "NOT OK"),
        (f"Twilio number {SUB}", "not asked"),
    ]
