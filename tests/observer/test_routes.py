"""The console's API over real sockets: calls, levels, audio, files, what-if, latency, settings, health, rehearsal."""

import io
import json
import time
import wave
from collections.abc import Iterator
from typing import Any

import gevent
import gevent.event
import pytest
from gevent.pywsgi import WSGIServer

from lexbridge.observer.admin import call_routes
from lexbridge.telemetry import metrics
from tests.support.admin_server import Admin, admin
from tests.support.fixtures import Logged
from tests.support.told_facts import BEGAN_S, ToldCall, told_call_with_voice


@pytest.fixture
def server() -> Iterator[Admin]:
    call = told_call_with_voice()
    with admin(call.book, HANGOVER_MS="700") as running:
        yield running


def test_the_calls_are_listed_with_the_workers(server: Admin) -> None:
    ToldCall(server.book, "CA2", "MZ2").begin()
    found = server.ask("/calls").json()
    assert [one["call_sid"] for one in found["recent"]] == ["CA2", "CA1"]  # told long ago, so both are over
    assert set(found) == {"now_s", "live", "recent", "workers", "counts", "dropped_facts"}
    assert found["workers"][0]["pid"] == 4711
    assert abs(found["now_s"] - time.time()) < 3600


def test_one_call_is_told_whole(server: Admin) -> None:
    answer = server.ask("/calls/CA1")
    assert answer.headers["Content-Type"] == "application/json"
    found = answer.json()
    assert set(found) == {"summary", "streams", "events", "turns", "audio"}
    assert found["summary"]["call_sid"] == "CA1"
    assert found["turns"][0]["transcript"] == "red roses"
    assert found["events"][0][4] == "stream-started"
    assert found["audio"]["caller"] == [[BEGAN_S, 5.0, BEGAN_S]]


@pytest.mark.parametrize("path", ["", "/levels", "/wav", "/export"])
def test_a_call_that_is_not_known_is_not_found(server: Admin, path: str) -> None:
    answer = server.ask(f"/calls/CA9{path}")
    assert (answer.status_code, answer.json()) == (404, {"error": "there is no such call, or it was forgotten"})


def test_levels_are_told_from_a_place_on(server: Admin) -> None:
    (whole,) = server.ask("/calls/CA1/levels").json()["streams"]
    assert (whole["from_ms"], len(whole["level_dbfs"]), whole["voiced"][45:55]) == (0, 250, [0] * 5 + [1] * 5)
    (rest,) = server.ask("/calls/CA1/levels?after_ms=4900").json()["streams"]
    assert (rest["from_ms"], len(rest["voiced"])) == (4900, 5)
    assert server.ask("/calls/CA1/levels?after_ms=x").status_code == 200


def test_the_audio_is_a_wav_that_a_player_can_jump_in(server: Admin) -> None:
    answer = server.ask("/calls/CA1/wav")
    with wave.open(io.BytesIO(answer.content)) as wav:
        assert (wav.getnchannels(), wav.getframerate(), wav.getnframes()) == (2, 8000, 40_000)
    assert (answer.headers["Content-Type"], answer.headers["Accept-Ranges"]) == ("audio/wav", "bytes")
    part = server.ask("/calls/CA1/wav", headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, answer.content[100:200])
    head = server.ask("/calls/CA1/wav", "HEAD")
    assert head.headers["Content-Length"] == str(len(answer.content))


def test_a_very_long_wav_is_sent_as_it_is_made(server: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = server.ask("/calls/CA1/wav").content
    monkeypatch.setattr(call_routes, "MAX_SEEKABLE_BYTES", 1000)
    answer = server.ask("/calls/CA1/wav")
    assert answer.content == whole
    assert "Accept-Ranges" not in answer.headers


def test_a_call_without_audio_has_no_wav(server: Admin) -> None:
    ToldCall(server.book, "CA2", "MZ2").begin()
    assert server.ask("/calls/CA2/wav").status_code == 404


def test_an_exported_call_is_opened_again(server: Admin) -> None:
    answer = server.ask("/calls/CA1/export?words=on")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="lexbridge-CA1.json"'
    opened = server.post("/console/api/open", data=answer.content).json()["call_sid"]
    assert opened.startswith("opened-")
    before, after = (server.ask(f"/calls/{sid}").json() for sid in ("CA1", opened))
    assert after["turns"] == before["turns"]
    assert server.ask(f"/calls/{opened}/levels").json() == server.ask("/calls/CA1/levels").json()
    assert [one["opened"] for one in server.ask("/calls").json()["recent"]] == [True, False]


def test_an_export_has_no_words_unless_they_are_asked_for(server: Admin) -> None:
    for query in ("", "?words=off", "?words=maybe"):
        answer = server.ask(f"/calls/CA1/export{query}")
        assert b"red roses" not in answer.content
        assert answer.json()["wav_base64"] is None


def test_a_file_that_is_no_call_is_refused(server: Admin) -> None:
    answer = server.post("/console/api/open", data=b"{}")
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("this is no call of lexbridge's")


def test_other_settings_are_tried_on_a_call(server: Admin) -> None:
    answer = server.post("/calls/CA1/what-if", json={"hangover_ms": 400})
    found = answer.json()
    assert [one["ended_ms"] for one in found["now"]] == [3700]
    assert [one["ended_ms"] for one in found["then"]] == [3400]
    assert found["then_levels"]["streams"][0]["frame_ms"] == 20


@pytest.mark.parametrize("body", [b"", b"[]", b'{"hangover_ms": null}', b'{"hangover_ms": 3}', b'{"x": 1}', b"\xff"])
def test_settings_that_cannot_be_tried_are_refused(server: Admin, body: bytes) -> None:
    answer = server.post("/calls/CA1/what-if", data=body)
    assert (answer.status_code, list(answer.json())) == (400, ["error"])


def test_what_takes_much_cpu_waits_for_its_turn(server: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_routes, "WORK_WAIT_S", 0.01)
    works, blocked = gevent.event.Event(), gevent.event.Event()
    monkeypatch.setattr(call_routes, "_give_way", lambda: (works.set(), blocked.wait()))
    first = gevent.spawn(server.ask, "/calls/CA1/export?words=on")
    assert works.wait(timeout=60)
    assert server.ask("/calls/CA1/export?words=on").status_code == 503
    assert server.ask("/calls").status_code == 200  # all else goes on
    blocked.set()
    assert first.get(timeout=60).status_code == 200


def test_latencies_are_told(server: Admin) -> None:
    found = server.ask("/console/api/latency").json()
    assert set(found) == {"last_hour", "since_start", "slowest", "history"}
    assert found["since_start"]["reply_ms"]["turns"] == 1


def test_faults_are_told_without_words(server: Admin) -> None:
    now = ToldCall(server.book, "CA3", "MZ3")
    now.at = time.time() - BEGAN_S
    now.tell("lex-request-failed", "warning", {"raw": "a secret"}, error="429")
    found = server.ask("/console/api/health").json()
    assert found["errors"] == {"lex-request-failed": 1}
    assert [(one["name"], one["fields"]) for one in found["lines"]] == [("lex-request-failed", {"error": "429"})]
    assert "a secret" not in json.dumps(found)
    assert (found["browsers"], found["dropped_for_browsers"], found["workers"][0]["lag_ms"]) == (0, 0, 2)


def test_settings_are_told_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANGOVER_MS", "400")
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:7")
    given = {"HANGOVER_MS": "400", "TRANSFER_NUMBERS": "+15550001111", "JOIN": "on", "SLOT_KINDS": "Size=closed"}
    with admin(GREETING="Hello there", CONSOLE_PASSWORD="a password of ours", **given) as server:
        found = {one["name"]: one for one in server.ask("/console/api/settings").json()}
        text = json.dumps(found)
    assert found["HANGOVER_MS"] == {
        "name": "HANGOVER_MS",
        "value": "400",
        "is_set": True,
        "is_hidden": False,
        "default": "700",
        "group": "Where an utterance starts and ends",
        "help": "Milliseconds of silence that end an utterance",
    }
    shown = {
        name: found[name]["value"] for name in ("JOIN", "SLOT_KINDS", "LEX_BOT_ID", "NO_INPUT_S", "VAD", "GREETING")
    }
    assert shown == {
        "JOIN": "on",
        "SLOT_KINDS": "Size=closed",
        "LEX_BOT_ID": "FLOWERS123",
        "NO_INPUT_S": "10",
        "VAD": "amplitude",
        "GREETING": "Hello there",
    }
    assert found["AWS_ENDPOINT_URL_STS"]["value"] == "http://127.0.0.1:7"
    assert (found["LEX_BOT_NAME"]["value"], found["HANGOVER_MIN_MS"]["value"]) == (None, "400")
    for private in ("a password of ours", "a-token-of-ours", "+15550001111"):
        assert private not in text
    assert [found[name]["is_hidden"] for name in ("CONSOLE_PASSWORD", "TWILIO_AUTH_TOKEN")] == [True, True]


def test_the_settings_of_a_v1_bot_are_told() -> None:
    with admin(LEX_BOT_ID="", LEX_BOT_ALIAS_ID="", LEX_BOT_NAME="Flowers", LEX_BOT_ALIAS="Prod") as server:
        found = {one["name"]: one["value"] for one in server.ask("/console/api/settings").json()}
    assert (found["LEX_BOT_NAME"], found["LEX_BOT_ALIAS"], found["LEX_BOT_ID"]) == ("Flowers", "Prod", None)


def test_the_page_and_its_files_are_there(server: Admin) -> None:
    page = server.ask("/")
    assert (page.url, page.status_code) == (f"{server.url}/console/", 200)
    assert page.headers["Content-Type"].startswith("text/html")
    assert server.ask("/console/static/js/app.js").headers["Content-Type"].startswith("text/javascript")
    assert server.ask("/ping").text == "pong"


def test_metrics_are_told_where_they_are_counted(server: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    assert server.ask("/metrics").status_code == 503
    monkeypatch.setattr(metrics, "exposition", lambda: (b"a 1\n", "text/plain; version=1.0.0"))
    answer = server.ask("/metrics")
    assert (answer.text, answer.headers["Content-Type"]) == ("a 1\n", "text/plain; version=1.0.0")


def test_a_bug_is_logged_and_tells_nothing(server: Admin, monkeypatch: pytest.MonkeyPatch, logged: Logged) -> None:
    monkeypatch.setattr(server.book, "overview", lambda _: 1 / 0)
    answer = server.ask("/calls")
    assert (answer.status_code, answer.json()) == (500, {"error": "a bug in the console: the log has it"})
    (line,) = [one for one in logged() if one["event"] == "console-broken"]
    assert "ZeroDivisionError" in str(line["exception"])


# -- the rehearsal


class Phone:
    """The phone of a rehearsal, which answers what the test says and notes what it is asked."""

    def __init__(self, status: str, body: bytes) -> None:
        self.asked: list[tuple[str, str, str | None, bytes]] = []
        self._status, self._body = status, body
        self.server = WSGIServer(("127.0.0.1", 0), self._answer, log=None)
        self.server.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def _answer(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        body = environ["wsgi.input"].read()
        asked = environ["REQUEST_METHOD"], environ["PATH_INFO"], environ.get("HTTP_X_LEXBRIDGE"), body
        self.asked.append(asked)
        start_response(self._status, [("Content-Type", "application/json")])
        return [self._body]


def test_faults_are_switched_at_the_phone() -> None:
    phone = Phone("409 Conflict", b'{"error": "it is a real bot"}')
    with admin(REHEARSAL_URL=phone.url) as server:
        assert server.ask("/console/api/rehearsal").json() == {"error": "it is a real bot"}
        answer = server.post("/console/api/rehearsal", json={"name": "lex-slow", "on": True})
    phone.server.stop()
    assert answer.status_code == 409
    wanted = b'{"name": "lex-slow", "on": true}'
    assert phone.asked == [("GET", "/rehearsal", "console", b""), ("POST", "/rehearsal", "console", wanted)]


@pytest.mark.parametrize("body", [b"no JSON", b""])
def test_a_phone_that_answers_nonsense_is_told(body: bytes) -> None:
    phone = Phone("200 OK", body)
    with admin(REHEARSAL_URL=phone.url) as server:
        assert server.ask("/console/api/rehearsal").status_code == 502
    phone.server.stop()


def test_a_rehearsal_without_a_phone_is_told() -> None:
    with admin(REHEARSAL_URL="http://127.0.0.1:1") as server:
        assert server.ask("/console/api/rehearsal").status_code == 502
    with admin() as server:
        assert server.ask("/console/api/rehearsal").status_code == 404


REFUSED = {
    "another": b"{}",
    "deep": b"[" * 200_000,
    "a deep answer": b'{"raw": ' * 100_000,
    "no UTF-8": b"\xff\xfe",
    "a great number": b'{"lexbridge_call": 1e999}',
    "many values": b"[" + b"[]," * 2_000_000,
    "half a file of the greatest length": b'{"lexbridge_call": 1, "x": "' + b"y" * 48_000_000,
}


@pytest.mark.parametrize("content", REFUSED.values(), ids=REFUSED.keys())
def test_a_file_that_is_no_call_is_a_400_with_a_sentence(server: Admin, content: bytes) -> None:
    answer = server.post("/console/api/open", data=content)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(("this is no call of lexbridge's: ", "the file has more than "))
    assert server.ask("/ping").text == "pong"
