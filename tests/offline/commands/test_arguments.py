"""Commands that cannot work are refused before they do anything: one clear sentence, exit status 2."""

import argparse
import os
import struct
import subprocess
import wave
from pathlib import Path

import pytest

from lexbridge.offline.__main__ import main
from lexbridge.offline.commands.arguments import day, http_address, new_file, new_folder, port, seconds, setting
from lexbridge.offline.commands.bridge_process import ROOT
from tests.support.commands import offline
from tests.support.rig import PATIENCE_S


def sound(path: Path, rate_hz: int = 8000, samples: int = 8000) -> Path:
    """A wav file of silence."""
    with path.open("wb") as opened, wave.open(opened, "wb") as made:
        made.setnchannels(1)
        made.setsampwidth(2)
        made.setframerate(rate_hz)
        made.writeframes(struct.pack("<h", 0) * samples)
    return path


def refusal(parse: object, text: str) -> str:
    assert callable(parse)
    with pytest.raises(argparse.ArgumentTypeError) as raised:
        parse(text)
    return str(raised.value)


def test_a_file_to_be_written_has_a_folder_and_the_right_ending(tmp_path: Path) -> None:
    png = new_file(".png")
    assert png(f"{tmp_path}/p.png") == tmp_path / "p.png"
    assert png(f"{tmp_path}/P.PNG") == tmp_path / "P.PNG"
    assert refusal(png, f"{tmp_path}/no/p.png") == f"there is no folder {tmp_path}/no"
    assert refusal(png, f"{tmp_path}/p.gif") == f"{tmp_path}/p.gif has to end in .png"
    (tmp_path / "folder.png").mkdir()
    assert refusal(png, f"{tmp_path}/folder.png") == f"{tmp_path}/folder.png is a folder"


def test_what_may_not_be_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "p.png").touch()
    monkeypatch.setattr(os, "access", lambda path, _: Path(path).is_dir())  # root may write all, and tests run as root
    assert refusal(new_file(".png"), f"{tmp_path}/p.png") == f"{tmp_path}/p.png is there and cannot be written"
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert refusal(new_file(".png"), f"{tmp_path}/q.png") == f"the folder {tmp_path} cannot be written into"
    assert refusal(new_folder, str(tmp_path)) == f"the folder {tmp_path} cannot be written into"


def test_a_folder_is_made_where_it_can_be(tmp_path: Path) -> None:
    assert new_folder(f"{tmp_path}/a/b") == tmp_path / "a" / "b"
    assert not (tmp_path / "a").exists()
    (tmp_path / "file").touch()
    assert refusal(new_folder, f"{tmp_path}/file") == f"{tmp_path}/file is no folder"
    assert refusal(new_folder, f"{tmp_path}/file/b") == f"{tmp_path}/file is no folder"


@pytest.mark.parametrize(
    ("parse", "right", "value", "wrong"),
    [
        (port, "8082", 8082, ("65536", "-1", "http", "", "\u0668")),
        (
            http_address,
            "https://h:1/twiml",
            "https://h:1/twiml",
            ("nonsense", "ftp://h", "http://", "http://h:0", "http://[x"),
        ),
        (seconds, "0.5", 0.5, ("-1", "nan", "inf", "soon", "1e9")),
        (setting, "A=b=c", ("A", "b=c"), ("A", "=b", "")),
    ],
)
def test_each_other_argument_takes_what_it_can_work_with(
    parse: object, right: str, value: object, wrong: tuple[str, ...]
) -> None:
    assert callable(parse)
    assert parse(right) == value
    for text in wrong:
        assert refusal(parse, text)


def test_a_day_is_a_day() -> None:
    assert day("2026-11-28").isoformat() == "2026-11-28"
    assert refusal(day, "today") == "'today' is no date, such as 2026-11-28"


REFUSED = {
    "hear: no folder": (["hear", "ok.wav", "--picture", "no/p.png"], "there is no folder no"),
    "hear: no picture": (["hear", "ok.wav", "--picture", "p.txt"], "p.txt has to end in .png"),
    "hear: nothing in it": (["hear", "empty.wav"], "empty.wav has no sound in it: less than 20 ms"),
    "hear: too fast": (["hear", "fast.wav"], "fast.wav has 384000 samples a second; at most 192000 are taken"),
    "hear: a folder": (["hear", "."], ". cannot be read: Is a directory"),
    "hear: no file": (["hear", "none.wav"], "none.wav cannot be read: No such file or directory"),
    "call: no folder": (["call", "http://127.0.0.1:1/twiml", "--wav", "no/c.wav"], "there is no folder no"),
    "call: a folder": (["call", "http://127.0.0.1:1/twiml", "--picture", "folder.png"], "folder.png is a folder"),
    "call: no address": (["call", "nonsense"], "'nonsense' is no address, such as http://127.0.0.1:8080/twiml"),
    "call: no port": (["call", "http://127.0.0.1:1/twiml", "--api-port", "99999"], "'99999' is no port: 0 to 65535"),
    "call: no script": (["call", "http://127.0.0.1:1/twiml", "--script", "."], "it cannot be read"),
    "lex: no port": (["lex", "--port", "99999"], "'99999' is no port: 0 to 65535"),
    "lex: no bot": (["lex", "--bot", "none"], "none: cannot be read"),
    "talk: no day": (["talk", "--today", "x"], "'x' is no date, such as 2026-11-28"),
    "demo: a file": (["demo", "--out", "ok.wav"], "ok.wav is no folder"),
    "demo: no setting": (["demo", "--setting", "JOIN"], "'JOIN' is no NAME=value"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_command_refuses_it_before_it_works(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "any")
    sound(tmp_path / "ok.wav")
    sound(tmp_path / "empty.wav", samples=0)
    sound(tmp_path / "fast.wav", rate_hz=384_000)
    (tmp_path / "folder.png").mkdir()
    arguments, told = REFUSED[what]
    try:
        status = main(arguments)
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 1
    shown = capsys.readouterr()
    assert status == 2
    assert told in shown.err.splitlines()[-1]
    assert shown.out == ""


def test_a_file_of_settings_that_cannot_be_read_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_bytes("GREETING=Grüß Gott".encode("latin-1"))
    assert main(["hear", str(sound(tmp_path / "ok.wav"))]) == 2
    assert capsys.readouterr().err.splitlines()[1:] == ["  .env: is no UTF-8 text: see line 1; must be saved as UTF-8"]


def test_a_recording_without_speech_has_no_level_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hear", str(sound(tmp_path / "ok.wav")), "--vad", "amplitude"]) == 0
    assert "speech none, noise -96 dBov" in capsys.readouterr().out


@pytest.mark.parametrize("closed", ["<&-", ">&-"])
def test_a_closed_stream_is_no_traceback(closed: str) -> None:
    command = " ".join(offline("talk"))
    ended = subprocess.run(
        ["sh", "-c", f"exec {command} {closed}"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (
        (0, "") if closed == "<&-" else (2, "standard output is closed: point it somewhere, such as 1>/dev/null\n")
    )
