"""The explanations of log events that the console shows, made from the table of docs/log.md."""

import json
import re

from tests.support.packages import ROOT, block


def log_events_file() -> str:
    """Return the file: for each event of the log, when it comes and what to do about it."""
    table = block((ROOT / "docs/log.md").read_text(encoding="utf-8"), "events")
    rows = re.findall(r"^\| `([\w-]+)` \|[^|]*\|[^|]*\| (.*?) \| (.*?) \|$", table, re.MULTILINE)
    told = {name: {"when": when} if todo == "-" else {"when": when, "todo": todo} for name, when, todo in rows}
    return json.dumps(told, indent=0, ensure_ascii=False) + "\n"
