"""The place of the table of lines: a file, or an object that an S3 answers."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lexbridge.errors import ConfigError
from lexbridge.server.lines_source import MAX_BYTES, LinesSource
from tests.support.answering_peers import Answer, Peer, answering, endless, whole
from tests.support.settings import make_settings

S3_PLACE = "s3://our-bucket/lexbridge/lines.toml"
OK = 'HTTP/1.1 200 OK\nETag: "abc"\n'
KEYS = {"ACCESS_KEY_ID": "AKIAEXAMPLE", "SECRET_ACCESS_KEY": "secret"}
FILE_RULE = "must be a TOML file that can be read, or s3://bucket/key"


def source(place: str) -> LinesSource:
    return LinesSource(place, make_settings(**KEYS).service, "us-west-2")


def problem_of(place: str) -> str:
    """Return the one problem of reading `place`."""
    with pytest.raises(ConfigError) as raised:
        source(place).read()
    (problem,) = raised.value.problems
    return str(problem)


def test_a_file_is_read_again_only_once_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "lines.toml"
    path.write_text("# Grüße", encoding="utf-8-sig")
    lines = source(str(path))
    first = lines.read()
    assert first is not None
    assert first.text == "# Grüße"
    assert lines.read(unless=first.version) is None
    path.write_text("# more")
    os.utime(path, (1, 1))
    second = lines.read(unless=first.version)
    assert second is not None
    assert (second.text, second.version != first.version) == ("# more", True)


def test_a_file_that_is_being_written_is_left_for_later(tmp_path: Path) -> None:
    """A copy in place writes line after line, and the first half of a table is a table, too."""
    path = tmp_path / "lines.toml"
    path.write_text("# half")
    lines = source(str(path))
    assert lines.read(unless="another version") is None
    assert lines.read() is not None  # at the start, and at SIGHUP
    os.utime(path, (1, 1))
    assert lines.read(unless="another version") is not None


def test_a_file_that_takes_the_place_of_another_is_read(tmp_path: Path) -> None:
    """An editor writes another file and renames it; Kubernetes changes a symbolic link."""
    path, other = tmp_path / "lines.toml", tmp_path / "other.toml"
    for one, text in ((path, "# a"), (other, "# b")):
        one.write_text(text)
        os.utime(one, (1, 1))
    lines = source(str(path))
    first = lines.read()
    assert first is not None
    other.replace(path)
    second = lines.read(unless=first.version)
    assert second is not None
    assert second.text == "# b"


def test_a_file_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "lines.toml"
    assert problem_of(str(path)) == f"LINES_FILE: cannot be read (No such file or directory: {path}); {FILE_RULE}"
    assert f"directory: {Path.cwd()}/nowhere.toml)" in problem_of("nowhere.toml")
    assert problem_of(str(tmp_path)) == f"LINES_FILE: cannot be read (is a folder); {FILE_RULE}"
    assert problem_of("a\0b") == f"LINES_FILE: cannot be read (is no path); {FILE_RULE}"
    path.write_bytes(b"# a\n# \xff")
    assert problem_of(str(path)) == "LINES_FILE: is no UTF-8 text: see line 2; must be saved as UTF-8"
    path.write_bytes(b"#" * (MAX_BYTES + 1))
    assert problem_of(str(path)) == f"LINES_FILE: is too long; must have at most {MAX_BYTES} bytes"


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Answer], Peer]]:
    """Return a function that begins an S3 with one answer."""
    opened = []

    def begin(answer: Answer) -> Peer:
        context = answering(answer)
        opened.append(context)
        peer = context.__enter__()
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{peer.port}")
        return peer

    yield begin
    for context in opened:
        context.__exit__(None, None, None)


def test_an_object_of_s3_is_read_with_its_etag(s3: Callable[[Answer], Peer]) -> None:
    peer = s3(whole(OK, b"# lines"))
    found = source(S3_PLACE).read(unless='"old"')
    assert found is not None
    assert (found.text, found.version) == ("# lines", '"abc"')
    (request,) = peer.requests
    assert request.startswith(b"GET /our-bucket/lexbridge/lines.toml HTTP/1.1\r\n")
    assert b'If-None-Match: "old"' in request
    assert b"Credential=AKIAEXAMPLE" in request


def test_an_object_that_is_unchanged_is_not_read(s3: Callable[[Answer], Peer]) -> None:
    s3(whole('HTTP/1.1 304 Not Modified\nETag: "abc"\n'))
    assert source(S3_PLACE).read(unless='"abc"') is None


def test_an_object_that_s3_refuses_is_a_problem(s3: Callable[[Answer], Peer]) -> None:
    s3(whole("HTTP/1.1 403 Forbidden\n", b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>"))
    said = problem_of(S3_PLACE)
    assert said == "LINES_FILE: cannot be read (S3 answered AccessDenied); the credentials need s3:GetObject on it"


def test_an_object_that_is_too_long_is_not_read_to_its_end(s3: Callable[[Answer], Peer]) -> None:
    peer = s3(endless(f"{OK}Content-Length: 200000000\n\n", b"#" * 65536))
    assert problem_of(S3_PLACE) == f"LINES_FILE: is too long; must have at most {MAX_BYTES} bytes"
    assert peer.sent_bytes < 100_000_000


def test_an_s3_that_is_not_there_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    said = problem_of(S3_PLACE)
    assert said == "LINES_FILE: cannot be read (S3 cannot be reached, EndpointConnectionError); check the network"


def test_an_s3_that_takes_too_long_is_a_problem(s3: Callable[[Answer], Peer], monkeypatch: pytest.MonkeyPatch) -> None:
    s3(whole(OK, b"# lines"))
    monkeypatch.setattr("lexbridge.server.lines_source.DEADLINE_S", -1)
    assert problem_of(S3_PLACE) == "LINES_FILE: cannot be read (S3 cannot be reached, TimeoutError); check the network"
