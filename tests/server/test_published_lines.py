"""The table of lines in shared memory: what is prepared is read once it is published, and whole."""

import contextlib
import os
from datetime import time

import pytest
from gevent import monkey

from lexbridge.server import published_lines
from lexbridge.server.published_lines import DepartedAccount, LinesRecord, PublishedLines, through_memory
from tests.support.rig import settings

_fork, _waitpid = monkey.get_original("os", "fork"), monkey.get_original("os", "waitpid")


def record(name: str) -> LinesRecord:
    """Return a table with a line of this name."""
    return LinesRecord({"lines": [{"name": name}]})


def test_a_table_is_read_once_it_is_published() -> None:
    with contextlib.closing(PublishedLines()) as published:
        assert published.generation == 0
        published.prepare(record("a long name of a first line"))
        published.publish()
        published.prepare(record("b"))
        assert published.read() == (1, record("a long name of a first line"))
        published.publish()
        assert published.read() == (2, record("b"))


def test_another_process_prepares_a_table() -> None:
    account = settings(TWILIO_ACCOUNT_SID="AC" + "1" * 32).service.account
    written = LinesRecord({"lines": [{"name": "a"}]}, [DepartedAccount(account, 12.5)])
    with contextlib.closing(PublishedLines()) as published:
        if (pid := _fork()) == 0:
            published.prepare(written)
            os._exit(0)
        assert os.waitstatus_to_exitcode(_waitpid(pid, 0)[1]) == 0
        published.publish()
        assert published.read() == (1, written)


def test_a_table_that_is_replaced_meanwhile_is_read_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    read = published_lines.SharedBytes.read
    with contextlib.closing(PublishedLines()) as published:
        published.prepare(record("first"))
        published.publish()
        tables = iter(["second", "third"])

        def read_slowly(place: published_lines.SharedBytes) -> bytes:
            half = read(place)[:10]
            for name in tables:
                published.prepare(record(name))
                published.publish()
                return half
            return read(place)

        monkeypatch.setattr(published_lines.SharedBytes, "read", read_slowly)
        assert published.read() == (3, record("third"))


def test_plain_data_is_checked_as_it_will_be_read() -> None:
    assert through_memory({"lines": [{"a": 1, "b": [True, "ü"], "c": 0.5}]}) == {
        "lines": [{"a": 1, "b": [True, "ü"], "c": 0.5}]
    }
    assert through_memory({"lines": [{"a": 2**65, "b": time(9, 30)}]}) == {"lines": [{"a": 2**65, "b": "09:30:00"}]}
