"""The agent that Amazon ECS runs beside a container: its endpoint for task protection."""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import gevent
from gevent.pywsgi import WSGIServer

ON = {"ProtectionEnabled": True, "ExpiresInMinutes": 5}
OFF = {"ProtectionEnabled": False}
OK = (
    "200 OK",
    json.dumps({"protection": {"ProtectionEnabled": True, "TaskArn": "arn:aws:ecs:eu-west-1:1:task/cluster/task"}}),
)


class Agent:
    """An ECS agent that notes each request, and answers as the test wants."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        """The body of each PUT."""
        self.told_at_s: list[float] = []
        """Time of each PUT, by time.monotonic()."""
        self.answer: tuple[str, str] = OK
        self.hangs_s = 0.0

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request."""
        assert (environ["REQUEST_METHOD"], environ["PATH_INFO"]) == ("PUT", "/api/x/task-protection/v1/state")
        assert environ["CONTENT_TYPE"] == "application/json"
        self.told_at_s.append(time.monotonic())
        self.told.append(json.loads(environ["wsgi.input"].read()))
        status, body = self.answer
        gevent.sleep(self.hangs_s)
        start_response(status, [("Content-Type", "application/json")])
        return [body.encode()]

    @contextmanager
    def running(self) -> Iterator[str]:
        """Run the agent. Yield the value that ECS_AGENT_URI has in a container."""
        server = WSGIServer(("127.0.0.1", 0), self, log=None, error_log=None)
        server.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/api/x"
        finally:
            server.stop(timeout=0)
