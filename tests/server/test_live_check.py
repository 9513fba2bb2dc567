"""The command `server.py --check=live`: its findings about AWS, Twilio and the service, over real sockets."""

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from lexbridge.config.reading import read_settings
from lexbridge.config.settings import Settings
from lexbridge.offline.commands.bridge_process import ROOT, BridgeProcess
from lexbridge.offline.lex.faults import LexFault
from lexbridge.offline.lex.recognition import ScriptedRecogniser
from lexbridge.offline.lex.runtime import LocalLex
from lexbridge.offline.lex.voice import SilentVoice
from lexbridge.offline.ports import free_port
from lexbridge.offline.twilio.rest_api import RestFault
from lexbridge.offline.twilio.rest_resources import OwnedNumber
from lexbridge.offline.twilio.simulator import SimulatedTwilio
from lexbridge.server.checks.address import check_address
from lexbridge.server.checks.aws import check_bot, check_identity
from lexbridge.server.checks.findings import Finding, Verdict, failed, ok, table, warning
from lexbridge.server.checks.twilio import check_twilio
from tests.support.answering_peers import answering, whole
from tests.support.commands import offline
from tests.support.rig import ENVIRONMENT, PATIENCE_S, TOKEN, V1_BOT, flowers, v2_bot
from tests.support.server_process import start

ACCOUNT_SID = "AC" + "c" * 32
SECRET_KEY = "the-secret-of-the-access-key"
ALIAS = {"LEX_BOT_ALIAS_ID": "PRODALIAS1"}
NOBODY = "http://127.0.0.1:9"
URL = "https://voice.example.com"


@contextmanager
def lex() -> Iterator[LocalLex]:
    with LocalLex(bots=[flowers()], recogniser=ScriptedRecogniser([]), voice=SilentVoice()) as served:
        yield served


@contextmanager
def twilio() -> Iterator[SimulatedTwilio]:
    with SimulatedTwilio(auth_token=TOKEN, account_sid=ACCOUNT_SID) as simulated:
        yield simulated


def settings_at(twilio_url: str = NOBODY, **changes: str) -> Settings:
    bot = {} if "LEX_BOT_NAME" in changes else {**v2_bot(flowers()), **ALIAS}
    known = {"TWILIO_ACCOUNT_SID": ACCOUNT_SID, "TWILIO_API_URL": twilio_url}
    return read_settings({**ENVIRONMENT, **bot, **known, **changes})


def rows(printed: str) -> dict[str, str]:
    """Return the verdict of each row of the table."""
    found = re.findall(r"^(\S.*?)  +(ok|warning|NOT OK|not asked)  ", printed, re.MULTILINE)
    return dict(found)


def environment_of(served: LocalLex, simulated: SimulatedTwilio, **changes: str) -> dict[str, str]:
    """Return the settings of a bridge and of a check of it."""
    return {
        **ENVIRONMENT,
        **v2_bot(flowers()),
        **ALIAS,
        "SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_ENDPOINT_URL_LEX_RUNTIME_V2": served.url,
        "AWS_ENDPOINT_URL_STS": served.url,
        "TWILIO_API_URL": simulated.url,
        "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
        **changes,
    }


def check(folder: Path, environment: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    ended = start(folder, "--check=live", **environment)
    for secret in (TOKEN, ENVIRONMENT["ACCESS_KEY_ID"], SECRET_KEY):
        assert secret not in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
    return ended


def test_when_all_is_well_it_says_so_and_ends_with_0(tmp_path: Path) -> None:
    with lex() as served, twilio() as simulated:
        environment = environment_of(served, simulated)
        del environment["URL"]  # the process has a URL of its own
        with BridgeProcess(environment, tmp_path / "bridge.log") as bridge:
            simulated.account.numbers.append(OwnedNumber("+12065550111", f"{bridge.url}/twiml#rc=2&rp=all"))
            ended = check(tmp_path, {**environment, "URL": bridge.url})
            log = bridge.log.read_text(encoding="utf-8")
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout
    told = rows(ended.stdout)
    # No address of this machine is public.
    assert told.pop("/ready at URL") == "warning"
    assert told == dict.fromkeys(
        [
            "settings",
            "AWS identity",
            "Lex bot",
            "Lex permissions",
            "Twilio account",
            "Twilio number",
            "signed webhook",
            "WebSocket",
        ],
        "ok",
    )
    assert "+12065550111: calls go to" in ended.stdout
    assert '"level": "warning"' not in log
    assert '"level": "error"' not in log


def test_every_check_runs_and_a_failed_one_exits_with_1(tmp_path: Path) -> None:
    """Every check runs, whatever the others find; the command ends with 1 if one fails."""
    with lex() as served, twilio() as simulated:
        wrong = {"LEX_LOCALE_ID": "de_DE", "TWILIO_AUTH_TOKEN": "another", "URL": f"http://127.0.0.1:{free_port()}"}
        ended = check(tmp_path, environment_of(served, simulated, **wrong))
    assert (ended.returncode, ended.stderr) == (1, "")
    assert rows(ended.stdout) == {
        "settings": "ok",
        "AWS identity": "ok",
        "Lex bot": "NOT OK",
        "Lex permissions": "not asked",
        "Twilio account": "NOT OK",
        "Twilio number": "not asked",
        "/ready at URL": "NOT OK",
        "signed webhook": "not asked",
        "WebSocket": "NOT OK",
    }
    assert "has no locale de_DE" in ended.stdout
    assert "check TWILIO_AUTH_TOKEN" in ended.stdout
    assert "connection refused" in ended.stdout
    assert "9 checks: 2 ok, 4 not ok, 3 not asked." in ended.stdout


def test_a_service_with_other_settings_refuses_the_check(tmp_path: Path) -> None:
    with lex() as served, twilio() as simulated:
        environment = environment_of(served, simulated)
        del environment["URL"]
        with BridgeProcess(environment, tmp_path / "bridge.log") as bridge:
            ended = check(tmp_path, {**environment, "URL": bridge.url, "TWILIO_AUTH_TOKEN": "not-the-services-own"})
    told = rows(ended.stdout)
    assert (told["/ready at URL"], told["signed webhook"], told["WebSocket"]) == ("warning", "NOT OK", "NOT OK")
    assert ended.stdout.count("403, the service does not take our signature") == 2


def test_what_is_odd_about_the_settings_is_a_row(tmp_path: Path) -> None:
    odd = {"STREAM_URL": "wss://127.0.0.1:9/path", "URL": "http://127.0.0.1:9", "TWILIO_API_URL": NOBODY}
    with lex() as served, twilio() as simulated:
        ended = check(tmp_path, environment_of(served, simulated, **odd))
    assert rows(ended.stdout)["settings"] == "warning"
    assert "STREAM_URL: is" in ended.stdout


def test_settings_that_are_wrong_are_said_as_ever(tmp_path: Path) -> None:
    ended = start(tmp_path, "--check=live", **{**ENVIRONMENT, **V1_BOT, "VAD": "nonsense"})
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "VAD: is 'nonsense'" in ended.stderr


# AWS


def bot_rows(monkeypatch: pytest.MonkeyPatch, url: str, **changes: str) -> tuple[Finding, ...]:
    for name in ("AWS_ENDPOINT_URL_LEX_RUNTIME_V2", "AWS_ENDPOINT_URL_LEX_RUNTIME_SERVICE"):
        monkeypatch.setenv(name, url)
    return tuple(check_bot(settings_at(**changes)))


def test_a_bot_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with lex() as served:
        bot, permissions = bot_rows(monkeypatch, served.url, REPLY_MODE="stream")
        asked = [request.operation for request in served.requests]
    assert bot.verdict is Verdict.OK
    assert permissions == ok("Lex permissions", "lex:GetSession, lex:RecognizeUtterance, lex:PutSession")
    assert asked == ["GetSession", "RecognizeUtterance", "PutSession"]


def test_the_check_leaves_no_session_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    with lex() as served:
        bot_rows(monkeypatch, served.url, REPLY_MODE="stream")
        assert [request.status for request in served.requests] == [404, 400, 400]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"LEX_BOT_ID": "NOSUCHBOT0"}, "no bot NOSUCHBOT0 here"),
        ({"LEX_LOCALE_ID": "de_DE"}, "has no locale de_DE"),
        ({"LEX_BOT_NAME": "NoSuchBot", "LEX_BOT_ALIAS": "prod"}, "no bot NoSuchBot here"),
    ],
)
def test_a_bot_that_is_not_there(monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], says: str) -> None:
    with lex() as served:
        bot, permissions = bot_rows(monkeypatch, served.url, **changes)
    assert (bot.verdict, permissions.verdict) == (Verdict.FAILED, Verdict.NOT_ASKED)
    assert says in bot.why
    assert "LEX_BOT_" in bot.remedy


def test_a_test_alias_is_warned_of_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with lex() as served:
        bot, _ = bot_rows(monkeypatch, served.url, LEX_BOT_ALIAS_ID="TSTALIASID")
    assert bot.verdict is Verdict.OK


def test_a_permission_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with lex() as served:
        served.faults += [LexFault(status=403, operation=name) for name in ("GetSession", "PutSession")]
        bot, permissions = bot_rows(monkeypatch, served.url, JOIN="on")
    assert bot.verdict is Verdict.FAILED
    assert "allow lex:GetSession on bot-alias/" in bot.remedy
    assert (permissions.verdict, permissions.why) == (Verdict.FAILED, "not allowed: lex:GetSession, lex:PutSession")


def aws_error(status: int, code: str, message: str) -> str:
    body = json.dumps({"message": message})
    head = f"HTTP/1.1 {status} Said\nContent-Type: application/json\nx-amzn-ErrorType: {code}\n"
    return f"{head}Content-Length: {len(body)}\n\n".replace("\n", "\r\n") + body


@pytest.mark.parametrize(
    ("status", "code", "message", "verdict", "says"),
    [
        (404, "ResourceNotFoundException", "Session not found", Verdict.OK, "alias PRODALIAS1"),
        (404, "ResourceNotFoundException", "XY is not a valid BotId/BotAliasId combination.", Verdict.FAILED, "XY is"),
        # Lex says the same for another locale, so it is not the session that is missing.
        (404, "ResourceNotFoundException", "The resource was not found.", Verdict.FAILED, "not found"),
        (403, "UnrecognizedClientException", "The token is invalid.", Verdict.FAILED, "does not know the access key"),
        (403, "InvalidSignatureException", "The signature", Verdict.FAILED, "secret does not belong"),
        (403, "ExpiredTokenException", "The token", Verdict.FAILED, "expired"),
        (403, "AccessDeniedException", "not authorized to perform: lex:GetSession", Verdict.FAILED, "access denied"),
        (400, "ValidationException", "The locale is not enabled", Verdict.FAILED, "not enabled"),
        (500, "InternalServerException", "Sorry", Verdict.FAILED, "Lex answered 500"),
        (429, "ThrottlingException", "Slow down", Verdict.FAILED, "Lex answered 429"),
    ],
)
def test_aws_errors_are_told_apart(
    monkeypatch: pytest.MonkeyPatch, status: int, code: str, message: str, verdict: Verdict, says: str
) -> None:
    with answering(lambda send: send(aws_error(status, code, message).encode())) as peer:
        bot, *_ = bot_rows(monkeypatch, f"http://127.0.0.1:{peer.port}")
    assert bot.verdict is verdict
    assert says in bot.why
    assert bool(bot.remedy) is (verdict is not Verdict.OK)


def test_an_unknown_error_is_compared_with_a_wrong_locales(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown error text of Lex is compared with the answer for a locale that does not exist."""
    answers = iter(["It is not here.", "The language xx_XX is not spoken."])
    error = "ResourceNotFoundException"
    with answering(lambda send: send(aws_error(404, error, next(answers, "Again")).encode())) as peer:
        bot, *_ = bot_rows(monkeypatch, f"http://127.0.0.1:{peer.port}")
        assert b"/botLocales/xx_XX/" in peer.requests[1]
    assert bot.verdict is Verdict.OK


def test_lex_that_is_not_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    bot, permissions = bot_rows(monkeypatch, NOBODY)
    assert (bot.verdict, permissions.verdict) == (Verdict.FAILED, Verdict.NOT_ASKED)
    assert f"not reached at {NOBODY}" in bot.why


@pytest.mark.parametrize(
    ("status", "code", "verdict"),
    [
        (403, "InvalidClientTokenId", Verdict.FAILED),
        (403, "SignatureDoesNotMatch", Verdict.FAILED),
        (403, "AccessDenied", Verdict.WARNING),
        (503, "ServiceUnavailable", Verdict.WARNING),
    ],
)
def test_sts_that_refuses(monkeypatch: pytest.MonkeyPatch, status: int, code: str, verdict: Verdict) -> None:
    error = f"<ErrorResponse><Error><Code>{code}</Code><Message>words</Message></Error></ErrorResponse>"
    with answering(whole(f"HTTP/1.1 {status} Said\nContent-Type: text/xml\n", error.encode())) as peer:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", f"http://127.0.0.1:{peer.port}")
        (identity,) = check_identity(settings_at())
    assert identity.verdict is verdict
    assert '"words"' in identity.why


def test_sts_that_is_not_reached_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", NOBODY)
    (identity,) = check_identity(settings_at())
    assert identity.verdict is Verdict.WARNING
    assert "cannot be reached" in identity.why


def test_credentials_of_a_local_lex_are_not_shown_to_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL_STS", raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL_LEX_RUNTIME_V2", NOBODY)
    (identity,) = check_identity(settings_at())
    assert (identity.verdict, identity.remedy[:23]) == (Verdict.WARNING, "set AWS_ENDPOINT_URL_ST")


# Twilio


def test_without_an_account_twilio_is_not_asked() -> None:
    account, number = check_twilio(settings_at(TWILIO_ACCOUNT_SID=""))
    assert (account.verdict, number.verdict) == (Verdict.NOT_ASKED, Verdict.NOT_ASKED)
    assert "set TWILIO_ACCOUNT_SID" in account.remedy


@pytest.mark.parametrize(
    ("kind", "status", "verdict"),
    [("Full", "active", Verdict.OK), ("Trial", "active", Verdict.WARNING), ("Full", "suspended", Verdict.FAILED)],
)
def test_the_account(kind: str, status: str, verdict: Verdict) -> None:
    with twilio() as simulated:
        simulated.account.account_type, simulated.account.account_status = kind, status
        account, _ = check_twilio(settings_at(simulated.url))
    assert account.verdict is verdict


@pytest.mark.parametrize(
    ("secret", "fault", "verdict"),
    [
        ("right", None, Verdict.OK),
        ("wrong", None, Verdict.FAILED),
        ("right", RestFault(status=403, code=20403), Verdict.WARNING),
    ],
)
def test_an_api_key_is_tried_beside_the_token(secret: str, fault: RestFault | None, verdict: Verdict) -> None:
    key_sid = "SK" + "d" * 32
    with twilio() as simulated:
        simulated.api_keys[key_sid] = "right"
        simulated.rest_faults.extend([fault] if fault else [])
        key = {"TWILIO_API_KEY_SID": key_sid, "TWILIO_API_KEY_SECRET": secret}
        told, account, _ = check_twilio(settings_at(simulated.url, **key))
    assert (told.subject, told.verdict) == ("Twilio API key", verdict)
    assert key_sid in told.why
    assert account.verdict is Verdict.OK


NEARLY = f"no number's calls go to {URL}/twiml, but nearly: +1"


@pytest.mark.parametrize(
    ("number", "verdict", "says"),
    [
        (OwnedNumber("+1", f"{URL}/twiml"), Verdict.OK, "+1: calls go to"),
        (OwnedNumber("+1", f"{URL}:443/twiml?a=b#rc=2"), Verdict.OK, "+1: calls go to"),
        (OwnedNumber("+1", f"{URL}/twiml", "GET"), Verdict.OK, "+1 (by GET): calls go to"),
        (OwnedNumber("+1", f"{URL}/twiml/"), Verdict.OK, "+1: calls go to"),
        (OwnedNumber("+1", "http://voice.example.com/twiml"), Verdict.FAILED, f"{NEARLY} (http://, not https://)"),
        (OwnedNumber("+1", f"{URL}/twilm"), Verdict.FAILED, f"{NEARLY} (path /twilm, not /twiml)"),
        (OwnedNumber("+1", f"{URL}/"), Verdict.FAILED, f"{NEARLY} (path /, not /twiml)"),
        (OwnedNumber("+1", URL), Verdict.FAILED, f"{NEARLY} (path /, not /twiml)"),
        (OwnedNumber("+1", f"{URL}:8443/twiml"), Verdict.FAILED, f"{NEARLY} (port 8443, not 443)"),
        (OwnedNumber("+1", "https://old.ngrok.app/twiml"), Verdict.FAILED, f"{NEARLY} (host old.ngrok.app)"),
        (OwnedNumber("+1", f"{URL}/twiml", application_sid="AP1"), Verdict.FAILED, f"{NEARLY} (the TwiML app AP1"),
        (OwnedNumber("+1", "https://demo.twilio.com/welcome"), Verdict.FAILED, "+1 does not send its calls to"),
        (OwnedNumber("+1", "http://[/twiml"), Verdict.FAILED, "+1 does not send its calls to"),
        (OwnedNumber("+1"), Verdict.FAILED, "+1 does not send its calls to"),
        (OwnedNumber("+1", f"{URL}/twiml", trunk_sid="TK1"), Verdict.FAILED, "+1 does not send its calls to"),
    ],
)
def test_a_numbers_webhook_against_url(number: OwnedNumber, verdict: Verdict, says: str) -> None:
    with twilio() as simulated:
        simulated.account.numbers.append(number)
        _, told = check_twilio(settings_at(simulated.url))
    assert told.verdict is verdict
    assert says in told.why


def test_of_many_numbers_the_right_ones_are_found() -> None:
    with twilio() as simulated:
        others = [OwnedNumber(f"+1206555{number:04}", "https://demo.twilio.com/welcome") for number in range(120)]
        simulated.account.numbers += [*others, *(OwnedNumber(f"+{number}", f"{URL}/twiml") for number in range(5))]
        _, told = check_twilio(settings_at(simulated.url))
        assert told == ok("Twilio number", f"+0, +1, +2 and 2 more: calls go to {URL}/twiml")
        simulated.account.numbers[:] = others
        _, told = check_twilio(settings_at(simulated.url))
    assert told.why == f"none of the account's 120 numbers sends its calls to {URL}/twiml"


def test_an_account_without_a_number_is_said() -> None:
    with twilio() as simulated:
        _, told = check_twilio(settings_at(simulated.url))
    assert (told.verdict, told.why) == (Verdict.FAILED, "the account has no number")


@pytest.mark.parametrize(
    "fault", [RestFault(status=503), RestFault("close"), RestFault("odd", status=200, body=b"[]"), RestFault("bomb")]
)
def test_a_twilio_that_answers_oddly_is_a_row(fault: RestFault) -> None:
    with twilio() as simulated:
        simulated.rest_faults.append(fault)
        account, number = check_twilio(settings_at(simulated.url))
    assert (account.verdict, number.verdict) == (Verdict.FAILED, Verdict.NOT_ASKED)


# The service's address


@pytest.mark.parametrize(
    ("head", "body", "says"),
    [
        ("HTTP/1.1 200 OK\nServer: other\n", b"<html>", 'answered 200 by "other", and not as lexbridge does'),
        ("HTTP/1.1 301 Moved\nLocation: https://voice.example.com/ready\n", b"", "a redirect to"),
        ("HTTP/1.1 404 Not Found\nngrok-error-code: ERR_NGROK_3200\n", b"", "ngrok answered 404, ERR_NGROK_3200"),
        ("HTTP/1.1 503 No\n", b'{"status": "draining", "live_calls": 1}', "takes no calls, it is draining"),
        ("HTTP/1.1 200 OK\n", b"[1]", "not as lexbridge does"),
    ],
)
def test_what_answers_at_url(head: str, body: bytes, says: str) -> None:
    with answering(whole(head, body)) as peer:
        ready, webhook, _ = check_address(settings_at(URL=f"http://127.0.0.1:{peer.port}"))
    assert ready.verdict is Verdict.FAILED
    assert says in ready.why
    assert webhook.verdict is Verdict.NOT_ASKED


@pytest.mark.parametrize(
    ("head", "says"),
    [
        ("HTTP/1.1 404 Not Found\n", "404, no socket is served there"),
        ("HTTP/1.1 503 Full\n", "503, the service takes no more sockets"),
        ("HTTP/1.1 200 OK\n", "answered 200, not 101"),
        ("HTTP/1.1 101 Switching\nSec-WebSocket-Accept: nonsense\n", "not for our key"),
        ("nonsense\n", "not reached (BadStatusLine)"),
    ],
)
def test_what_answers_an_upgrade(head: str, says: str) -> None:
    with answering(whole(head)) as peer:
        *_, told = check_address(settings_at(URL=f"http://127.0.0.1:{peer.port}"))
    assert told.verdict is Verdict.FAILED
    assert says in told.why


def test_a_port_without_tls_is_said() -> None:
    with twilio() as simulated:
        ready, _, told = check_address(settings_at(URL=simulated.url.replace("http:", "https:")))
    assert "no TLS connection" in ready.why
    assert "a port without TLS" in ready.remedy
    assert "no TLS connection" in told.why


# The table


def test_the_table_is_aligned_and_says_what_to_do() -> None:
    printed = table(
        [
            ok("settings", "complete"),
            warning("Lex bot", "a word " * 12 + "end", "do it"),
            failed("WebSocket", "nobody"),
        ],
        width=60,
    )
    assert printed.splitlines() == [
        "settings   ok         complete",
        "Lex bot    warning    a word a word a word a word a word a",
        "                      word a word a word a word a word a word",
        "                      a word end",
        "                      -> do it",
        "WebSocket  NOT OK     nobody",
        "",
        "3 checks: 1 ok, 1 not ok, 1 with a warning.",
    ]
    assert table([ok("a", "b")]).endswith("\n\nAll 1 checks are ok.")


# The simulated Twilio, as a command


def test_the_simulated_account_is_served_until_it_is_told_to_end() -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    arguments = ["twilio", "--port", str(port), "--account-sid", ACCOUNT_SID, "--webhook", f"{URL}/twiml"]
    process = subprocess.Popen(
        offline(*arguments), cwd=ROOT, env={**os.environ, "TWILIO_AUTH_TOKEN": TOKEN}, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == f"Twilio's REST API listens on {url}. Ctrl-C stops it.\n"
        assert process.stdout.readline() == "\n"
        assert process.stdout.readline() == f"    export TWILIO_API_URL={url} TWILIO_ACCOUNT_SID={ACCOUNT_SID}\n"
        account, number = check_twilio(settings_at(url))
        assert (account.verdict, number.verdict) == (Verdict.OK, Verdict.OK)
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
