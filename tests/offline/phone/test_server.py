"""The phone's web server: its files, its rules for browsers, and the rehearsal's faults."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import websocket

from lexbridge.offline.phone.bridges import Bridge, voice_threshold_dbfs
from lexbridge.offline.phone.rehearsal import Rehearsal
from lexbridge.offline.phone.server import STATIC, PhoneServer, is_loopback_host
from lexbridge.offline.twilio.simulator import SimulatedTwilio
from tests.support.phone_page import Page, RigBridge, page_of, phone_at
from tests.support.rig import PATIENCE_S, TOKEN, running

CONSOLE = {"X-Lexbridge": "console"}


@pytest.fixture
def server() -> Iterator[PhoneServer]:
    """A phone whose bridge nobody calls."""
    with SimulatedTwilio(auth_token=TOKEN) as twilio:
        bridge = Bridge("http://127.0.0.1:9/twiml", {})
        with phone_at(bridge, Rehearsal(twilio), twilio) as phone:
            yield phone


def get(url: str, **more: Any) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        return session.get(url, timeout=PATIENCE_S, **more)


def post(url: str, body: object, **more: Any) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        return session.post(url, data=json.dumps(body), timeout=PATIENCE_S, **more)


@pytest.mark.parametrize("name", ["", *(path.name for path in STATIC.iterdir())])
def test_every_file_of_the_page_has_a_strict_policy(name: str, server: PhoneServer) -> None:
    answer = get(f"{server.url}/{name}")
    assert answer.status_code == 200
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "http://" not in answer.text.replace("http://127.0.0.1", "")
    assert "https://" not in answer.text


def test_the_page_has_no_script_or_style_of_its_own() -> None:
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    assert re.findall(r"<script[^>]*>", page) == ['<script type="module" src="/phone.js">']
    assert not re.search(r"<style|\sstyle=|\son\w+=", page)


def test_every_control_of_the_page_has_a_name() -> None:
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    labels = set(re.findall(r'<label[^>]* for="([^"]+)"', page))
    for tag, attributes in re.findall(r"<(input|select)([^>]*)>", page):
        own = re.search(r'id="([^"]+)"', attributes)
        assert own is not None, tag
        is_within = re.search(rf'<label[^>]*><input id="{own[1]}"', page)
        assert own[1] in labels or "aria-label" in attributes or is_within, own[1]


def test_elements_that_the_scripts_ask_for_exist() -> None:
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    ids = set(re.findall(r'\bid="([^"]+)"', page))
    for script in STATIC.glob("*.js"):
        asked = set(re.findall(r'\belement\("([^"]+)"\)', script.read_text(encoding="utf-8")))
        assert asked <= ids, script.name


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example:80", "192.168.1.5:8190", ""])
def test_a_host_that_is_not_this_machine_gets_nothing(host: str, server: PhoneServer) -> None:
    assert not is_loopback_host(host)
    assert get(server.url, headers={"Host": host or "x"}).status_code == 403


def test_names_of_this_machine_are_served() -> None:
    assert all(map(is_loopback_host, ["localhost", "localhost:8190", "127.0.0.1:8190", "[::1]:8190", "[::1]"]))


def test_a_page_of_another_site_cannot_call(server: PhoneServer) -> None:
    with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
        Page(server.url, origin="https://evil.example")
    with page_of(server) as page:
        assert page.waits_for("stage")["ready"]


def test_unknown_pages_are_not_found(server: PhoneServer) -> None:
    assert get(f"{server.url}/../server.py").status_code == 404
    assert get(f"{server.url}/line").status_code == 400
    assert post(server.url, {}).status_code == 405


def test_faults_need_the_consoles_header(server: PhoneServer) -> None:
    assert get(f"{server.url}/rehearsal").status_code == 403
    known = get(f"{server.url}/rehearsal", headers=CONSOLE).json()
    assert known["phone_url"] == f"{server.url}/"
    assert [fault["name"] for fault in known["faults"]] == ["rest-429", "stream-lost"]  # the rest is not ours


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"name": "rest-429", "on": "yes"}, 400),
        ({"on": True}, 400),
        ([], 400),
        ({"name": "flood", "on": True}, 404),
        ({"name": "stream-lost", "on": True}, 409),
    ],
)
def test_a_fault_that_cannot_be_is_refused(body: object, status: int, server: PhoneServer) -> None:
    answer = post(f"{server.url}/rehearsal", body, headers=CONSOLE)
    assert answer.status_code == status
    assert answer.json()["error"]


def test_a_fault_is_on_until_it_is_turned_off() -> None:
    with running(["order flowers", "order flowers"]) as rig:
        rehearsal = Rehearsal(rig.twilio, rig.lex)
        with phone_at(RigBridge(rig), rehearsal, rig.twilio) as server, page_of(server) as page:
            page.tells("call")
            page.waits_for("call", lambda message: message["state"] == "answered")
            where = f"{server.url}/rehearsal"
            for name in ("lex-429", "rest-429"):
                known = post(where, {"name": name, "on": True}, headers=CONSOLE).json()["faults"]
                assert {fault["name"]: fault["is_on"] for fault in known}[name]
            page.tells("say", text="I would like to order flowers")
            page.waits_for("said", lambda message: message.get("status") == 429)
            page.waits_for("moment", lambda moment: "update refused: 429" in moment["text"])
            for name in ("lex-429", "rest-429"):
                known = post(where, {"name": name, "on": False}, headers=CONSOLE).json()["faults"]
            assert not any(fault["is_on"] for fault in known)
            page.tells("say", text="I would like to order flowers")
            page.waits_for("said", lambda message: "type of flowers" in message["text"])
            assert post(where, {"name": "stream-lost", "on": True}, headers=CONSOLE).status_code == 200
            page.waits_for("moment", lambda moment: "media stream lost" in moment["text"])


def test_the_threshold_is_known_where_the_detector_has_one() -> None:
    assert voice_threshold_dbfs({}) == pytest.approx(-36.3, abs=0.1)
    assert voice_threshold_dbfs({"VOICE_THRESHOLD": "3277"}) == pytest.approx(-20, abs=0.1)
    assert voice_threshold_dbfs({"VAD": "hybrid"}) is None
