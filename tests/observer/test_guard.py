"""Who may ask on ADMIN_PORT: the password over every route and file, other sites, names that point here."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from lexbridge.observer.admin.console_routes import STATIC
from lexbridge.observer.admin.guard import FAILURES_S, HEADERS, KNOWN_COOKIE, MAX_NETWORKS, MOST_FAILURES, Failures
from tests.support.admin_server import CONSOLE, PASSWORD, Admin, admin
from tests.support.told_facts import ToldCall


@pytest.fixture(scope="module")
def locked() -> Iterator[Admin]:
    call = ToldCall().begin()
    call.turn(1)
    with admin(call.book, CONSOLE_PASSWORD=PASSWORD) as running:
        yield running


@pytest.fixture
def free() -> Iterator[Admin]:
    with admin() as running:
        yield running


def paths(server: Admin) -> list[tuple[str, str]]:
    """Return each method and path that the app knows, every file of the console, and some that do not exist."""
    rules = [
        (method, re.sub(r"<.*?>", "CA1", rule.rule))
        for rule in server.app.url_map.iter_rules()
        for method in sorted(rule.methods or ())
    ]
    files = [("GET", f"/console/static/{path.relative_to(STATIC)}") for path in STATIC.rglob("*") if path.is_file()]
    others = [("GET", "/nothing"), ("PUT", "/calls"), ("GET", "//calls"), ("GET", "/console")]
    return rules + files + others


@pytest.mark.parametrize("authorization", [None, "Basic YW55Ond", "Basic !", "Bearer x", "Basic YW55Ondyb25nIG9uZQ=="])
def test_nothing_is_told_without_the_password(locked: Admin, authorization: str | None) -> None:
    headers = {**CONSOLE, **({"Authorization": authorization} if authorization else {})}
    found = paths(locked)
    assert len(found) > 30
    for method, path in found[:1] if authorization else found:
        answer = locked.ask(path, method, headers=headers, auth=lambda request: request)
        assert answer.status_code == 401, (method, path)
        assert answer.headers["WWW-Authenticate"].startswith("Basic ")
        assert answer.headers["Connection"] == "close"
        assert answer.content in (b"", b'{"error":"a password is needed, with any user name"}\n')
        assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS


def test_no_target_of_a_request_goes_round_the_password(locked: Admin) -> None:
    for target in ("*", "http://localhost/calls", "/calls?password=x", "//calls", "/ping/../calls", "/%63alls"):
        for method in ("GET", "OPTIONS", "POST", "BREW"):
            answer = locked.raw(f"{method} {target} HTTP/1.1", "Host: localhost", "Content-Length: 0")
            assert answer.startswith((b"HTTP/1.1 401", b"HTTP/1.1 400")), (method, target, answer)


def test_everything_is_told_with_it_and_any_user(locked: Admin) -> None:
    for user in ("", "any", "ä"):
        answer = locked.ask("/calls", auth=(user.encode(), PASSWORD.encode()))
        assert answer.status_code == 200
    assert locked.ask("/calls", auth=("any", PASSWORD + "x")).status_code == 401


def test_a_proxy_may_have_another_name_for_it(locked: Admin) -> None:
    assert locked.ask("/ping", headers={"Host": "console.example.com"}).status_code == 200


def guess(server: Admin, **options: Any) -> None:
    """Try as many passwords as an address may."""
    for number in range(MOST_FAILURES):
        assert server.ask("/ping", auth=None, **options).status_code == 401  # without a password it is no attempt
        assert server.ask("/ping", auth=("any", f"wrong {number}"), **options).status_code == 401


def test_an_address_with_too_many_wrong_passwords_waits() -> None:
    with admin(CONSOLE_PASSWORD=PASSWORD) as running:
        guess(running)
        answer = running.ask("/ping")
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "60")


def test_the_same_wrong_password_again_is_no_guess(locked: Admin) -> None:
    for _ in range(3 * MOST_FAILURES):
        assert locked.ask("/ping", auth=("any", "the password of last year")).status_code == 401
    assert locked.ask("/ping").status_code == 200


def test_a_browser_that_was_let_in_is_not_locked_out_by_others() -> None:
    with admin(CONSOLE_PASSWORD=PASSWORD) as running:
        known = running.ask("/ping").cookies
        assert running.ask("/ping", cookies=known).headers.get("Set-Cookie") is None
        guess(running)
        assert running.ask("/ping").status_code == 429
        assert running.ask("/ping", cookies=known).status_code == 200
        assert running.ask("/ping", cookies=known, auth=None).status_code == 401  # it opens nothing by itself
        guess(running, cookies=known)
        assert running.ask("/ping", cookies=known).status_code == 429  # nor does it help to guess


def test_the_cookie_is_for_this_console_alone(locked: Admin) -> None:
    answer = locked.ask("/ping")
    name, _, rest = answer.headers["Set-Cookie"].partition("=")
    value, *flags = rest.split("; ")
    assert name == KNOWN_COOKIE
    assert len(value) >= 32
    assert sorted(flags) == ["HttpOnly", "Path=/", "SameSite=Strict"]
    assert locked.ask("/ping", auth=None).headers.get("Set-Cookie") is None
    assert locked.ask("/ping", auth=("any", "wrong")).headers.get("Set-Cookie") is None
    for wrong in ("", "x", "ä".encode().decode("latin-1"), value[:-1]):
        told = locked.ask("/ping", headers={"Cookie": f"{KNOWN_COOKIE}={wrong}"}).headers
        assert told["Set-Cookie"] == answer.headers["Set-Cookie"]


def test_without_a_password_there_is_no_cookie(free: Admin) -> None:
    assert free.ask("/ping").headers.get("Set-Cookie") is None


def test_wrong_passwords_are_forgotten_after_a_minute() -> None:
    failures = Failures()
    for number in range(MOST_FAILURES):
        assert not failures.is_blocked("1.2.3.4", 100.0)
        failures.add("1.2.3.4", bytes([number]), 100.0)
    assert failures.is_blocked("1.2.3.4", 100.0 + FAILURES_S - 1)
    assert not failures.is_blocked("5.6.7.8", 100.0)
    assert not failures.is_blocked("1.2.3.4", 100.0 + FAILURES_S)


def test_the_networks_that_are_counted_are_bounded() -> None:
    failures = Failures()
    for number in range(MAX_NETWORKS + 5):
        failures.add(str(number), b"wrong", 1.0)
    assert len(failures._failures) == MAX_NETWORKS


@pytest.mark.parametrize(
    ("host", "status"),
    [
        *(("127.0.0.1:9", 200), ("localhost", 200), ("LOCALHOST:80", 200), ("[::1]:9", 200), ("10.1.2.3", 200)),
        *(("evil.example.com", 403), ("127.0.0.1.evil.example", 403), ("localhost.evil.example:9", 403)),
        *(("", 403), ("[", 403), ("127.0.0.1@evil.example", 403)),
    ],
)
def test_a_name_that_somebody_made_to_point_here_is_refused(free: Admin, host: str, status: int) -> None:
    answer = free.raw("GET /ping HTTP/1.1", f"Host: {host}")
    assert answer.startswith(f"HTTP/1.1 {status}".encode())


def test_a_name_that_is_admin_host_is_taken() -> None:
    with admin(ADMIN_HOST="localhost") as running:
        assert running.ask("/ping", headers={"Host": "localhost:1"}).text == "pong"


def test_a_request_without_a_host_is_refused(free: Admin) -> None:
    assert free.raw("GET /ping HTTP/1.0").startswith(b"HTTP/1.1 403")


@pytest.mark.parametrize("path", ["/console/api/open", "/calls/CA1/what-if", "/console/api/rehearsal"])
def test_what_changes_something_needs_the_consoles_header(free: Admin, path: str) -> None:
    for headers in ({}, {"X-Lexbridge": "page"}):
        answer = free.ask(path, "POST", headers=headers, data="{}")
        assert (answer.status_code, answer.json()["error"]) == (403, "the header X-Lexbridge: console is missing")


def test_another_site_may_only_link_to_it(free: Admin) -> None:
    foreign = {"Sec-Fetch-Site": "cross-site"}
    assert free.ask("/console/api/stream", headers={**foreign, "Sec-Fetch-Mode": "cors"}).status_code == 403
    assert free.ask("/calls", headers=foreign).status_code == 403
    assert free.ask("/calls", headers={**foreign, "Sec-Fetch-Mode": "navigate"}).status_code == 200
    for place, status in (("document", 200), ("iframe", 403), ("object", 403)):
        embedded = {**foreign, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": place}
        assert free.ask("/calls", headers=embedded).status_code == status
    assert free.ask("/calls", headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200


@pytest.mark.parametrize("path", ["/calls", "/console/", "/nothing", "/console/static/nothing", "/ping"])
def test_every_answer_tells_the_browser_to_be_careful(free: Admin, path: str) -> None:
    headers = free.ask(path).headers
    assert {name: headers.get(name) for name in HEADERS} == HEADERS
    assert "default-src 'self'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]


def test_a_body_that_is_too_large_is_refused(free: Admin) -> None:
    assert free.post("/calls/CA1/what-if", data=b"x" * 100_000).status_code in (404, 413)
    assert free.post("/console/api/rehearsal", data=b"x" * 100_000).status_code in (404, 413)
    ToldCall(free.book).begin()
    assert free.post("/calls/CA1/what-if", data=b"x" * 100_000).status_code == 413

    def pieces() -> Iterator[bytes]:
        yield from [b"x" * 10_000] * 10

    assert free.post("/calls/CA1/what-if", data=pieces()).status_code == 400  # without a length it is not read
    assert free.post("/console/api/open", data=b"x" * 100_000).status_code == 400


@pytest.mark.parametrize(
    "path",
    [
        *("/console/static/../admin.py", "/console/static/..%2fadmin.py", "/console/static/%2e%2e/admin.py"),
        *("/console/static//etc/passwd", "/console/static/%2fetc%2fpasswd", "/console/static/..\\admin.py"),
        *("/console/static/vendor", "/console/static/vendor/../../admin.py", "/console/static/\0", "/console/static/"),
    ],
)
def test_no_file_beside_the_consoles_is_told(free: Admin, path: str) -> None:
    answer = free.raw(f"GET {path} HTTP/1.1", "Host: localhost")
    assert answer.startswith(b"HTTP/1.1 4")
    assert b"Flask" not in answer
    assert b"root:" not in answer


def test_methods_that_a_route_has_not_are_refused(free: Admin) -> None:
    answer = free.ask("/calls", "DELETE", headers=CONSOLE)
    assert (answer.status_code, set(answer.headers["Allow"].split(", "))) == (405, {"GET", "HEAD", "OPTIONS"})
    answer = free.ask("/calls", "OPTIONS")
    assert (answer.status_code, set(answer.headers["Allow"].split(", "))) == (200, {"GET", "HEAD", "OPTIONS"})
    assert (free.ask("/calls", "HEAD").status_code, free.ask("/calls", "HEAD").content) == (200, b"")
