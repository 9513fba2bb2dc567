"""The command `server.py --check` on wrong settings: one line each, with its remedy, and exit status 2."""

import os
from pathlib import Path

import pytest

from lexbridge import __main__ as command_line
from tests.support.boto import without_credentials

RIGHT = {
    "AWS_REGION": "us-west-2",
    "ACCESS_KEY_ID": "AKIAEXAMPLE",
    "SECRET_ACCESS_KEY": "secret",
    "LEX_BOT_ID": "ABCDEFGHIJ",
    "LEX_BOT_ALIAS_ID": "KLMNOPQRST",
    "TWILIO_AUTH_TOKEN": "0123456789abcdef0123456789abcdef",
    "URL": "https://voice.example.com",
}
"""Settings with nothing wrong and nothing to warn of: the bot has an alias of its own."""

API_KEY = "SK" + "0" * 32
REGION = "must be the name of an AWS region such as us-west-2"
LOCALE = "must be a locale such as en_US or es_419"
REACHED = "must be an address that Twilio reaches from outside, such as that of a tunnel"
ROOM = "must be at most 2000 characters, as no document for Twilio has room for more"
TOKEN = "must be the auth token of the Twilio console"
TEMPORARY = "begins with ASIA: such temporary credentials have a session token, and AWS refuses them without it."
NOT_TEMPORARY = "Set it, or use keys that are not temporary"

WRONG = {
    # settings besides RIGHT, and the line of output that they cause
    "a slip in a name": ({"HANGOVR_MS": "300"}, "HANGOVR_MS: is no setting; did you mean HANGOVER_MS?"),
    "a letter left out": ({"VOICE_TRESHOLD": "900"}, "VOICE_TRESHOLD: is no setting; did you mean VOICE_THRESHOLD?"),
    "half a name": ({"LEX_BOT": "foo"}, "LEX_BOT: is no setting; did you mean LEX_BOT_ID?"),
    "no unit": ({"LEX_TIMEOUT": "8"}, "LEX_TIMEOUT: is no setting; did you mean LEX_TIMEOUT_S?"),
    "the webhook as URL": (
        {"URL": "https://voice.example.com/twiml"},
        "URL: is 'https://voice.example.com/twiml'; must have no path: set it to https://voice.example.com, and the "
        "webhook of the number to https://voice.example.com/twiml",
    ),
    "localhost": ({"URL": "https://localhost:8080"}, f"URL: is 'https://localhost:8080'; {REACHED}"),
    "a private address": ({"URL": "http://192.168.1.20:8080"}, f"URL: is 'http://192.168.1.20:8080'; {REACHED}"),
    "a name of the local network": ({"URL": "https://pbx.local"}, f"URL: is 'https://pbx.local'; {REACHED}"),
    "a private stream": ({"STREAM_URL": "wss://10.1.2.3/"}, f"STREAM_URL: is 'wss://10.1.2.3/'; {REACHED}"),
    "no scheme": (
        {"URL": "voice.example.com"},
        "URL: is 'voice.example.com'; must be an address such as https://voice.example.com or http://voice.example.com",
    ),
    "a long greeting": ({"GREETING": "a" * 5000}, f"GREETING: is '{'a' * 100}'; {ROOM}: it has 5000"),
    "a long goodbye": ({"GOODBYE_TEXT": "<" * 600}, f"GOODBYE_TEXT: is '{'<' * 100}'; {ROOM}: it has 2400"),
    "letters changed places": (
        {"AWS_REGION": "us-esat-1"},
        f"AWS_REGION: is 'us-esat-1'; {REGION}: did you mean us-east-1?",
    ),
    "a zone for a region": (
        {"AWS_REGION": "us-east-1a"},
        f"AWS_REGION: is 'us-east-1a'; {REGION}: did you mean us-east-1?",
    ),
    "a city for a region": ({"AWS_REGION": "Oregon"}, f"AWS_REGION: is 'Oregon'; {REGION}"),
    "a hyphen in the locale": ({"LEX_LOCALE_ID": "en-US"}, f"LEX_LOCALE_ID: is 'en-US'; {LOCALE}: did you mean en_US?"),
    "no such language": ({"LEX_LOCALE_ID": "xx_YY"}, f"LEX_LOCALE_ID: is 'xx_YY'; {LOCALE}: there is no language xx"),
    "the name of an alias": (
        {"LEX_BOT_ALIAS_ID": "prod"},
        "LEX_BOT_ALIAS_ID: is 'prod'; must be the alias's id: 10 letters and digits, such as TSTALIASID",
    ),
    "an API key as the token": (
        {"TWILIO_AUTH_TOKEN": API_KEY},
        f"TWILIO_AUTH_TOKEN: is not valid; {TOKEN}: this is the SID of an API key, which signs nothing. It goes into "
        "TWILIO_API_KEY_SID, and its secret into TWILIO_API_KEY_SECRET",
    ),
    "an account as the token": (
        {"TWILIO_AUTH_TOKEN": "AC" + "0" * 32},
        f"TWILIO_AUTH_TOKEN: is not valid; {TOKEN}: this is the SID of the account",
    ),
    "half an API key": (
        {"TWILIO_API_KEY_SID": API_KEY},
        "TWILIO_API_KEY_SECRET: is not set; it goes with TWILIO_API_KEY_SID: set both or neither",
    ),
    "temporary keys without their token": (
        {"ACCESS_KEY_ID": "ASIAEXAMPLE"},
        f"AWS_SESSION_TOKEN: is not set; ACCESS_KEY_ID {TEMPORARY} {NOT_TEMPORARY}",
    ),
    "boto3's temporary keys without their token": (
        {"ACCESS_KEY_ID": "", "SECRET_ACCESS_KEY": "", "AWS_ACCESS_KEY_ID": "ASIA1", "AWS_SECRET_ACCESS_KEY": "x"},
        f"AWS_SESSION_TOKEN: is not set; AWS_ACCESS_KEY_ID {TEMPORARY} {NOT_TEMPORARY}",
    ),
    "no number to show": (
        {"TRANSFER_CALLER_ID": "anonymous"},
        "TRANSFER_CALLER_ID: is 'anonymous'; must be a phone number in E.164 form, such as +12065550100",
    ),
    "a folder for a file": ({"URL_CA_FILE": "/"}, "URL_CA_FILE: is '/'; must be a file that can be read"),
}

ODD = {
    "the test alias": (
        {"LEX_BOT_ALIAS_ID": "TSTALIASID"},
        "LEX_BOT_ALIAS_ID: is 'TSTALIASID'; Lex's test alias takes two callers at a time: make an alias of your own "
        "before others call",
    ),
    "a path of the socket": (
        {"STREAM_URL": "wss://voice.example.com/media"},
        "STREAM_URL: is 'wss://voice.example.com/media'; the socket is served at / alone: whatever stands before it "
        "has to take /media away",
    ),
    "a region of some day": (
        {"AWS_REGION": "us-west-9"},
        "AWS_REGION: is 'us-west-9'; it is no region that the installed boto3 knows; it may be newer than that: "
        "upgrade boto3",
    ),
}


class Checking:
    """The command `server.py --check` in a directory of its own, with exactly the environment it is given."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.env_file = folder / ".env"
        self._capsys = capsys
        self._monkeypatch = monkeypatch

    def __call__(self, **environment: str) -> tuple[int, str, str]:
        """Run the check. Return the exit status, standard output and standard error."""
        with self._monkeypatch.context() as patch:
            for name in os.environ.keys() - {"PATH", "HOME"}:
                patch.delenv(name)
            without_credentials(patch)
            for name, value in environment.items():
                patch.setenv(name, value)
            patch.chdir(self.env_file.parent)
            before = set(os.environ)
            status = command_line.main(["--check"])
            for name in set(os.environ) - before:  # variables that the file .env has set
                del os.environ[name]
        out, err = self._capsys.readouterr()
        return status, out, err


@pytest.fixture
def check(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Checking:
    return Checking(tmp_path, capsys, monkeypatch)


def test_right_settings_pass_from_environment_and_file(check: Checking) -> None:
    assert check(**RIGHT) == (0, "The settings are complete and valid.\n", "")
    check.env_file.write_text("".join(f"{name}={value}\n" for name, value in RIGHT.items()))
    assert check() == (0, "The settings are complete and valid.\n", "")


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_setting_is_one_line_with_its_remedy(check: Checking, what: str) -> None:
    variables, line = WRONG[what]
    wrong = 2, "", f"1 problem with the settings:\n  {line}\n"
    assert check(**{**RIGHT, **variables}) == wrong
    check.env_file.write_text("".join(f"{name}={value}\n" for name, value in {**RIGHT, **variables}.items()))
    assert check() == wrong


@pytest.mark.parametrize("what", ODD)
def test_an_odd_setting_is_a_warning(check: Checking, what: str) -> None:
    variables, line = ODD[what]
    assert check(**{**RIGHT, **variables}) == (0, f"Warning: {line}\nThe settings are complete and valid.\n", "")


def test_a_name_in_the_file_that_is_like_no_setting_is_a_warning(check: Checking) -> None:
    check.env_file.write_text("MY_OWN_THING=1\nAWS_DEFAULT_REGION=eu-west-1\n")
    status, out, _ = check(**RIGHT)
    assert (status, out.splitlines()[0]) == (
        0,
        "Warning: MY_OWN_THING: is set; it is no setting",
    )


FILES = {
    "Latin-1": (
        "GREETING=Grüß Gott".encode("latin-1"),
        ".env: is no UTF-8 text: see line 1; must be saved as UTF-8",
    ),
    "a line that is nothing": (
        b"VAD=hybrid\nsee below\n",
        ".env: cannot be read in line 2; must have one NAME=value a line, or a # before a comment",
    ),
}


@pytest.mark.parametrize("what", FILES)
def test_a_file_that_cannot_be_read_is_one_line(check: Checking, what: str) -> None:
    content, line = FILES[what]
    check.env_file.write_bytes(content)
    assert check(**RIGHT) == (2, "", f"1 problem with the settings:\n  {line}\n")


def test_a_folder_in_the_place_of_the_file_is_one_line(check: Checking) -> None:
    check.env_file.mkdir()
    line = ".env: is a folder; must be a text file, or not be there"
    assert check(**RIGHT) == (2, "", f"1 problem with the settings:\n  {line}\n")


def test_a_file_beside_the_program_is_named_where_it_is_not_read(
    check: Checking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = tmp_path / "program" / ".env"
    beside.parent.mkdir()
    beside.write_text("URL=https://voice.example.com\n")
    monkeypatch.setattr(command_line, "__file__", str(beside.parent / "lexbridge" / "__main__.py"))
    status, _, err = check()
    assert status == 2
    assert err.splitlines()[-1] == (
        f"{beside} was not read: .env is read from the working directory, and there is none there."
    )
