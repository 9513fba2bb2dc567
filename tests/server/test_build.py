"""The wiring of a service: what the settings ask for reaches the parts."""

import pytest

from lexbridge.errors import LexUnavailable
from lexbridge.logs import Log
from lexbridge.offline.lex.faults import LexFault
from lexbridge.server.build import build_service
from tests.support.lexes import asked, local_lex
from tests.support.rig import settings


@pytest.mark.parametrize("seconds", ["1", "2"])
def test_lex_has_as_long_as_the_setting_says(monkeypatch: pytest.MonkeyPatch, seconds: str) -> None:
    """LEX_TIMEOUT_S is for slow bots: a service that ignored it would fail on each of their turns."""
    with local_lex(monkeypatch) as lex:
        lex.faults.append(LexFault(kind="hang", times=None))
        service = build_service(settings(LEX_TIMEOUT_S=seconds))
        with pytest.raises(LexUnavailable, match=f"within {seconds} s"):
            next(service.bridge.lines.all()).lex.ask(asked(), Log())
