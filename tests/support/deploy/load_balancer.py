"""A load balancer in front of two tasks: HAProxy, configured to behave like AWS's Application Load Balancer (ALB).

The ALB is the one of cloudformation/core.yml and service.yml. HAProxy does the same in these points:

- It ends TLS, and redirects http. - It admits the paths of the listener's rule for one host, and answers everything
else with 404. - It sends each request to the task with the fewest requests, or to each task in turn. A WebSocket counts
as long as it is open. - Its first answer sets a cookie that leads later requests to the same task. - It adds
X-Forwarded-For, -Proto and -Port, and closes connections that are idle for 120 s. - It probes /ping of each task. If it
cannot connect to a task it tries no other, and answers with an error. - A deregistered task gets nothing new and keeps
its connections.

It differs in these points: Health checks come every second, not every ten. A deregistered task still gets the requests
that have its cookie, which the ALB would send to another task. The cookie's value is readable and does not expire. If a
task cannot be reached the answer is 503 at once; the ALB's is 502, or 504 after 10 s. The ALB also speaks HTTP/2, adds
X-Amzn-Trace-Id, and consists of several machines, each of which counts for itself.
"""

import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import trustme

from lexbridge.offline.ports import free_port
from tests.support.rehearsal import wait_until

HOST = "localhost"
COOKIE = "AWSALB"
STOP_LIMIT_S = 10
_SETUP = """\
global
    maxconn 200
    nbthread 1
    ssl-default-bind-options ssl-min-ver TLSv1.2
    stats socket {folder}/control level admin
defaults
    mode http
    timeout connect 10s
    timeout client 120s
    timeout server 120s
    timeout tunnel 120s
    option forwardfor
    retries 0
frontend http
    bind 127.0.0.1:{http_port}
    http-request redirect location https://{host}:{port}%[pathq] code 301
frontend https
    bind 127.0.0.1:{port} ssl crt {folder}/certificate.pem
    acl is_host hdr(host),field(1,:) -i {host}
    acl is_path path_reg ^/(twiml.*|stream-status|ready|calls/.*/release)?$
    http-request return status 404 content-type text/plain string "Not found" unless is_host is_path
    http-request set-header X-Forwarded-Proto https
    http-request set-header X-Forwarded-Port {port}
    default_backend tasks
backend tasks
    balance {balance}
    cookie {cookie} insert
    option httpchk GET /ping
    http-check expect status 200
    default-server check inter 1s fall 3 rise 2
"""


class LoadBalancer:
    """A load balancer; make it with `running`.

    `url`: its public address by https. `http_url`: the same by http. `ca_file`: the certificate to trust.
    """

    def __init__(self, folder: Path) -> None:
        self.url = f"https://{HOST}:{free_port()}"
        self.http_url = f"http://{HOST}:{free_port()}"
        self.ca_file = folder / "ca.pem"
        self._folder = folder
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.ca_file)
        authority.issue_cert(HOST).private_key_and_cert_chain_pem.write_to_path(folder / "certificate.pem")

    @contextmanager
    def running(self, tasks: Mapping[str, int], balance: str) -> Iterator[None]:
        """Run HAProxy in front of `tasks`, and yield the load balancer.

        `tasks`: each task's name, which is also the value of its cookie, and its port. `balance`: leastconn or
        roundrobin.
        """
        port, http_port = (url.rpartition(":")[2] for url in (self.url, self.http_url))
        setup = _SETUP.format(
            folder=self._folder, host=HOST, port=port, http_port=http_port, balance=balance, cookie=COOKIE
        )
        setup += "".join(f"    server {name} 127.0.0.1:{task} cookie {name}\n" for name, task in tasks.items())
        (self._folder / "haproxy.cfg").write_text(setup, encoding="ascii")
        with (self._folder / "haproxy.log").open("wb") as log:
            command = ["haproxy", "-db", "-f", str(self._folder / "haproxy.cfg")]
            process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
            try:
                wait_until(lambda: process.poll() is not None or self._listens(int(port)))
                assert process.poll() is None, (self._folder / "haproxy.log").read_text(encoding="utf-8")
                yield
            finally:
                process.kill()  # with all its connections
                process.wait(timeout=STOP_LIMIT_S)

    def deregister(self, task: str) -> None:
        """Deregister a task: it gets nothing new, and keeps its connections."""
        self._tell(f"set server tasks/{task} state drain")

    def register(self, task: str) -> None:
        """Register a task again: it gets its share of new requests."""
        self._tell(f"set server tasks/{task} state ready")

    def _tell(self, command: str) -> None:
        """Send a command to HAProxy's runtime socket, which answers with an empty line, or with an error."""
        with socket.socket(socket.AF_UNIX) as control:
            control.connect(str(self._folder / "control"))
            control.sendall(f"{command}\n".encode())
            answer = b"".join(iter(lambda: control.recv(65536), b"")).decode()
        assert not answer.strip(), answer

    @staticmethod
    def _listens(port: int) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0
