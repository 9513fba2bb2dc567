"""Two tasks behind a load balancer: calls over https and wss, while tasks start and end."""

import os
import re
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

import gevent
import pytest
import requests
import websocket
from gevent.pywsgi import WSGIServer
from twilio.request_validator import RequestValidator

from lexbridge.offline.commands.bridge_process import ROOT
from lexbridge.offline.twilio.events import EndReason, StreamClosed, StreamOpened, WebhookAnswered
from lexbridge.offline.twilio.simulator import SimulatedTwilio
from tests.support.deploy.load_balancer import COOKIE, LoadBalancer
from tests.support.deploy.machine import need_programs
from tests.support.deploy.order import Order, together
from tests.support.deploy.pair import MODES, NAMES, Pair, pair
from tests.support.rehearsal import wait_until
from tests.support.rig import PATIENCE_S, TOKEN, says

pytestmark = pytest.mark.timeout(300)  # HAProxy may have to be installed


@pytest.fixture(autouse=True, scope="module")
def haproxy() -> None:
    """Return the program of the load balancer."""
    need_programs([("haproxy", "haproxy")])


@pytest.fixture(scope="module")
def both(haproxy: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Yield a pair of tasks that no test ends."""
    with pair(tmp_path_factory.mktemp("pair"), "call-update") as found:
        yield found


# --- admission


def test_only_https_and_the_services_addresses_get_through(both: Pair) -> None:
    """HTTP is redirected to HTTPS, and only the service's own addresses get through."""
    balancer = both.balancer
    found = requests.get(f"{balancer.http_url}/twiml?a=b", timeout=PATIENCE_S, allow_redirects=False)
    assert (found.status_code, found.headers["Location"]) == (301, f"{balancer.url}/twiml?a=b")
    with trusting(balancer) as session:
        assert session.get(f"{balancer.url}/ready").json()["status"] == "ready"
        assert session.get(f"{balancer.url}/").status_code == 426
        for path in ("/ping", "/metrics", "/stream-status/", "/ready/", "/x/twiml"):
            answer = session.get(balancer.url + path)
            assert (answer.status_code, answer.text) == (404, "Not found"), path
        elsewhere = session.get(f"{balancer.url}/ready", headers={"Host": "elsewhere.example.com"})
        assert elsewhere.status_code == 404


@contextmanager
def trusting(balancer: LoadBalancer) -> Iterator[requests.Session]:
    """Return a session that trusts the certificate's issuer."""
    with requests.Session() as session:
        session.trust_env = False
        session.verify = str(balancer.ca_file)
        yield session


def signed(pair: Pair, path: str, form: Mapping[str, str], cookie: str = "", **headers: str) -> requests.Response:
    """Send a POST signed as Twilio signs. `cookie`: the task that has to get it."""
    url = pair.balancer.url + path
    headers |= {"X-Twilio-Signature": RequestValidator(TOKEN).compute_signature(url, form)}
    with trusting(pair.balancer) as session:
        cookies = {COOKIE: cookie} if cookie else {}
        return session.post(url, data=form, headers=headers, cookies=cookies, timeout=PATIENCE_S)


def test_who_is_not_twilio_gets_nowhere(both: Pair) -> None:
    url = both.balancer.url
    with trusting(both.balancer) as session:
        for path in ("/twiml", "/twiml/resume", "/stream-status"):
            assert session.post(url + path, data={"CallSid": "CA1"}).status_code == 403
    trust = {"ca_certs": str(both.balancer.ca_file)}
    with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
        websocket.create_connection(url.replace("https", "wss") + "/", sslopt=trust, timeout=PATIENCE_S)
    impostor = both.twilio.place_call(f"{url}/twiml", says(), signing_token="another")
    assert impostor.wait(PATIENCE_S).reason is EndReason.APPLICATION_ERROR


def test_forwarding_headers_of_a_request_change_nothing(both: Pair) -> None:
    lies = {"X-Forwarded-Proto": "http", "X-Forwarded-Host": "elsewhere.example.com", "X-Forwarded-Port": "80"}
    assert signed(both, "/twiml", {"CallSid": f"CA{1:032x}", "AccountSid": f"AC{1:032x}"}, **lies).status_code == 200
    with trusting(both.balancer) as session:
        elsewhere = RequestValidator(TOKEN).compute_signature("http://elsewhere.example.com/twiml", {"CallSid": "CA1"})
        headers = {**lies, "X-Twilio-Signature": elsewhere}
        answer = session.post(f"{both.balancer.url}/twiml", data={"CallSid": "CA1"}, headers=headers)
        assert answer.status_code == 403


def test_an_untrusted_certificate_is_not_taken(both: Pair) -> None:
    with SimulatedTwilio(auth_token=TOKEN) as twilio:
        call = twilio.place_call(f"{both.balancer.url}/twiml", says())
        ended = call.wait(PATIENCE_S)
    assert ended.reason is EndReason.APPLICATION_ERROR
    assert "CERTIFICATE_VERIFY_FAILED" in call.wait_for(WebhookAnswered, PATIENCE_S).body


# --- calls


def test_calls_are_shared_out_and_each_is_complete(both: Pair) -> None:
    orders = [both.order() for _ in range(4)]
    together(orders)
    for order in orders:
        order.assert_complete()
        assert order.call.wait_for(StreamOpened, PATIENCE_S).url.startswith("wss://")
    streams = [both.where("stream-started", order) for order in orders]
    assert {len(tasks) for tasks in streams} == {1}
    assert {name for tasks in streams for name in tasks} == {*NAMES}


@pytest.mark.parametrize("mode", MODES)
def test_a_webhook_and_its_socket_may_get_to_different_tasks(tmp_path: Path, mode: str) -> None:
    with pair(tmp_path, mode, balance="roundrobin") as both:
        order = both.order()
        order.turns()
        order.assert_complete()
        [webhook], [stream] = both.where("call-answered", order), both.where("stream-started", order)
        assert webhook != stream


# --- draining tasks and killed tasks


def early_orders(both: Pair, fallback_url: str = "") -> tuple[list[Order], list[Order]]:
    """Return four calls after their first turn: those of the first task, and those of the second."""
    orders = [both.order(fallback_url) for _ in range(4)]
    together(orders, 1)
    firsts, seconds = ([order for order in orders if both.where("stream-started", order) == [name]] for name in NAMES)
    assert firsts
    assert seconds
    return firsts, seconds


@pytest.mark.parametrize("mode", MODES)
def test_a_task_that_leaves_loses_no_call(tmp_path: Path, mode: str) -> None:
    with pair(tmp_path, mode) as both:
        leaving, staying = early_orders(both)
        both.balancer.deregister("one")
        late = [both.order() for _ in range(2)]
        everybody = [*leaving, *staying, *late]
        together(everybody, 1)
        for order in late:
            assert both.where("call-answered", order) == both.where("stream-started", order) == ["two"]
        for order in leaving:
            assert both.where("stream-started", order) == ["one"]
        both.tasks["one"].send_signal(signal.SIGTERM)
        if mode == "stream":  # a call moves while neither side speaks
            for order in leaving:
                order.call.wait_for(StreamOpened, PATIENCE_S, count=2)
        together(everybody)
        for order in everybody:
            order.assert_complete()
        for order in leaving:
            assert both.where("stream-started", order) == ["one", "two"]
        assert both.tasks["one"].wait(PATIENCE_S) == 0
        assert [line["live_calls"] for line in both.said("one", "stopped")] == [0]


@pytest.mark.parametrize("mode", MODES)
def test_calls_of_a_killed_task_go_on_at_the_other(tmp_path: Path, mode: str) -> None:
    """Calls that a leaving task still has when it is killed go on at the other task."""
    with pair(tmp_path, mode) as both:
        lost, others = early_orders(both)
        both.balancer.deregister("one")
        killed_s = time.monotonic()
        os.killpg(both.tasks["one"].pid, signal.SIGKILL)
        for order in lost:
            order.hears_the_bot(killed_s)
        together([*lost, *others])
        for order in others:
            order.assert_complete()
        for order in lost:
            order.assert_complete(["31903"])
            assert both.where("call-resumed", order) == ["two"]


@contextmanager
def twiml_bin() -> Iterator[str]:
    """Return the document that docs/deploy.md recommends as the fallback, filled in as Twilio does."""
    documented = re.search("```xml\n(.*?)```", (ROOT / "docs/deploy.md").read_text(encoding="utf-8"), re.DOTALL)
    assert documented is not None

    def answer(environ: Mapping[str, Any], start_response: Callable[..., object]) -> list[bytes]:
        form = dict(parse_qsl(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])).decode()))
        start_response("200 OK", [("Content-Type", "text/xml")])
        return [documented[1].replace("{{ErrorUrl}}", escape(form["ErrorUrl"])).encode()]

    server = WSGIServer(("127.0.0.1", 0), answer, log=None)
    server.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.stop(timeout=0)


@pytest.mark.parametrize("mode", MODES)
def test_a_task_that_dies_unnoticed_loses_no_call(tmp_path: Path, mode: str) -> None:
    with twiml_bin() as fallback_url, pair(tmp_path, mode, no_input_s=10) as both:
        lost, others = early_orders(both, fallback_url)
        killed_s = time.monotonic()
        os.killpg(both.tasks["one"].pid, signal.SIGKILL)
        for order in lost:
            order.call.wait_for(StreamClosed, PATIENCE_S)
        # The load balancer sends each request to the dead task, which has the fewest requests.
        late = [both.order(fallback_url) for _ in range(2)]

        def goes_on(order: Order) -> None:
            if order in lost:
                order.hears_the_bot(killed_s)
            order.turns()

        everybody = [*lost, *others, *late]
        gevent.joinall([gevent.spawn(goes_on, order) for order in everybody], raise_error=True)
        for order in everybody:
            order.assert_complete(order.complaints)
        assert all({"31903", "15003"} <= {*order.complaints} for order in lost)
        assert all("11200" in order.complaints for order in late)


# --- webhooks of a call at a task that does not have it


def test_a_lost_stream_may_be_told_to_either_task(both: Pair) -> None:
    order = both.order()
    order.turns(1)
    for other in NAMES[::-1]:
        both.balancer.deregister(other)
        cut_s = time.monotonic()
        order.call.streams[0].cut()
        order.hears_the_bot(cut_s)
        order.turns(1)
        both.balancer.register(other)
    order.turns()
    order.assert_complete(["31903", "31903"])
    assert both.where("call-resumed", order) == ["one", "two"]
    # The second stream was lost at the task that learned of the loss of the first one.
    assert both.where("stream-started", order)[-1] == "two"


@pytest.mark.parametrize("task", NAMES)
def test_a_cookie_leads_to_a_task_and_either_answers(both: Pair, task: str) -> None:
    sids = {"AccountSid": f"AC{1:032x}", "StreamSid": f"MZ{1:032x}"}
    assert signed(both, "/twiml", {**sids, "CallSid": f"CA{1:032x}"}).cookies[COOKIE] in NAMES
    calls = [f"CA{NAMES.index(task) + 2:016x}{number:016x}" for number in range(3)]
    for call_sid in calls:
        form = {**sids, "CallSid": call_sid}
        resumed = signed(both, "/twiml/resume?lost=1", form, cookie=task)
        assert (resumed.status_code, "<Stream " in resumed.text) == (200, True)
        stopped = signed(both, "/stream-status", {**form, "StreamEvent": "stream-stopped"}, cookie=task)
        assert stopped.status_code == 204
    for event in ("call-resumed", "stream-status"):
        wait_until(lambda event=event: [line["call_sid"] for line in both.said(task, event)][-3:] == calls)
