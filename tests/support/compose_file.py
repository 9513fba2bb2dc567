"""Reader of compose.yaml."""

import re
from collections.abc import Mapping
from typing import Any

import yaml

from lexbridge.offline.commands.bridge_process import ROOT


def services(environment: Mapping[str, str]) -> Mapping[str, Any]:
    """Return the services as `docker compose` reads them in that environment: `${A:-default}` and `${A:?complaint}`."""

    def value(found: re.Match[str]) -> str:
        name, how, text = found.groups()
        if how == ":?" and not environment.get(name):
            raise LookupError(f"{name}: {text}")
        return environment.get(name) or text

    text = re.sub(r"\$\{(\w+)(:-|:\?)([^}]*)\}", value, (ROOT / "compose.yaml").read_text(encoding="utf-8"))
    found: Mapping[str, Any] = yaml.safe_load(text)["services"]
    return found
