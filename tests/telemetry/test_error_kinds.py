"""The kinds of failed requests, told from the texts that the clients of Lex and Twilio really make."""

import re
from pathlib import Path

import pytest

from lexbridge.telemetry.error_kinds import error_kind
from lexbridge.telemetry.metric_table import ERROR_KINDS
from tests.support.packages import ROOT

TEXTS = {
    "Lex answered 429 ThrottlingException: Rate exceeded": "throttled",
    "Lex answered 409 ConflictException": "throttled",
    "Lex answered 408 RequestTimeout": "timeout",
    "Lex answered 424 DependencyFailedException: Lambda": "dependency",
    "Lex answered 502 BadGatewayException: Invalid Lambda Response": "dependency",
    "Lex answered 502 502": "server-error",
    "Lex answered 500 InternalServerException": "server-error",
    "Lex answered 503 ": "server-error",
    "Lex answered 403 AccessDeniedException; check ACCESS_KEY_ID": "forbidden",
    "Lex answered 404 ResourceNotFoundException; check LEX_BOT_ID": "rejected",
    "Lex answered 302 302": "unreadable",
    "no AWS credentials; check ACCESS_KEY_ID": "forbidden",
    "CredentialRetrievalError: Error when retrieving credentials": "forbidden",
    "no answer within 5 s": "timeout",
    'ReadTimeoutError: Read timeout on endpoint URL: "None"': "timeout",
    "its audio does not come": "timeout",
    "its audio breaks off: ProtocolError": "connection",
    'EndpointConnectionError: Could not connect to the endpoint URL: "x"': "connection",
    "ConnectionResetError: [Errno 104] Connection reset by peer": "connection",
    "OSError: [Errno 101] Network is unreachable": "connection",
    "Lex's answer is too long": "unreadable",
    "Lex has answered 200, and its head cannot be read": "unreadable",
    "ResponseParserError: the answer cannot be read: ValueError": "unreadable",
    "nothing of Lex's answer can be used: messages": "unreadable",
    "its audio does not end: cut off": "unreadable",
    "its answer has no audio": "unreadable",
    "not asked: Lex has failed many times in a row": "not-asked",
    "NotSentError": "not-asked",
    "Twilio answered 429, code 20429": "throttled",
    "Twilio answered 401, code 20003; check TWILIO_AUTH_TOKEN": "forbidden",
    "Twilio answered 400, code 12100": "rejected",
    "Twilio answered 503, code 20500": "server-error",
    "Twilio's answer is too long": "unreadable",
    "Twilio's answer cannot be read: ValueError": "unreadable",
    "ConnectionError: MaxRetryError": "connection",
    "ConnectTimeout: ConnectTimeoutError": "timeout",
    "something new": "other",
}


@pytest.mark.parametrize(("text", "kind"), TEXTS.items())
def test_the_kind_of_an_error(text: str, kind: str) -> None:
    assert error_kind(text) == kind
    assert kind in ERROR_KINDS


@pytest.mark.parametrize("file", ["lex/client.py", "lex/faults.py", "lex/speech.py", "twilio/rest.py"])
def test_the_texts_of_the_clients_have_a_kind(file: str) -> None:
    """No text that a client gives an error is of kind `other`. A text with a placeholder begins as a text above."""
    source = Path(ROOT / "lexbridge" / file).read_text(encoding="utf-8")
    texts = re.findall(r'(?:LexUnavailable|LexRejected|LexUnreadable|_unreachable)\((?:why=)?f?"([^"]+)"', source)
    texts += re.findall(r'= f?"((?:Lex|Twilio) answered [^"]+)"', source)
    texts = [text for text in texts if not text.startswith("{said}")]  # a status, as above
    assert texts
    for text in texts:
        made = text.replace("{status}", "503").replace("{type(error).__name__}", "OSError")
        assert error_kind(made) != "other", text
