"""The table of used tokens: a token opens one stream, whichever process gets it."""

import subprocess
import sys

import pytest

from lexbridge.offline.commands.bridge_process import ROOT
from lexbridge.twilio.shared_digests import IN_BUCKET
from lexbridge.twilio.used_tokens import UsedTokens

NOW_S = 1_800_000_000.0

PROCESSES = f"""
import fcntl, os
from lexbridge.twilio import shared_digests
from lexbridge.twilio.used_tokens import UsedTokens

NOW_S = {NOW_S}

def fork(work):
    pid = os.fork()
    if pid == 0:
        status = 99
        try:
            status = work()
        finally:
            os._exit(status)
    return pid

def status_of(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def take(token):
    return tokens.take(token, NOW_S + 60, NOW_S)

"""
"""Beginning of a program that forks before it has a hub, as the server does."""


def run(program: str) -> str:
    """Return the output of `program`, run in a process of its own."""
    command = [sys.executable, "-c", PROCESSES + program]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True).stdout.strip()


def test_a_token_is_used_once_until_it_expires() -> None:
    tokens = UsedTokens()
    assert tokens.take("a", NOW_S + 60, NOW_S)
    assert not tokens.take("a", NOW_S + 60, NOW_S)
    assert not tokens.take("a", NOW_S + 60, NOW_S + 60)
    assert tokens.take("b", NOW_S + 60, NOW_S)
    assert tokens.take("a", NOW_S + 120, NOW_S + 61)  # the token has expired, so the stream would be refused for that


def test_none_of_ten_thousand_replayed_tokens_is_used_again() -> None:
    tokens = UsedTokens()
    names = [f"{number}" for number in range(10_000)]
    assert all(tokens.take(name, NOW_S + 60, NOW_S) for name in names)
    assert not any(tokens.take(name, NOW_S + 60, NOW_S + 1) for name in names)


def test_what_one_process_has_used_is_used_for_all() -> None:
    program = """
tokens = UsedTokens()
first = status_of(fork(lambda: int(take("a"))))
print(first, take("a"), take("b"), status_of(fork(lambda: int(take("b")))))
"""
    assert run(program) == "1 False True 0"


def test_of_processes_that_use_a_token_at_once_one_does() -> None:
    program = """
shared_digests._TRIES = 10**9  # a process that holds a lock may stand still on a busy machine
tokens = UsedTokens(buckets=2)  # so few that the processes use the same ones
reading, writing = os.pipe()

def work():
    os.read(reading, 1)  # all processes begin together
    return sum(take(str(number)) for number in range(12))

pids = [fork(work) for _ in range(4)]
os.write(writing, b"xxxx")
print(sum(status_of(pid) for pid in pids))
"""
    assert run(program) == "12"


def test_a_full_bucket_forgets_what_expires_next() -> None:
    tokens = UsedTokens(buckets=1)
    for number in range(IN_BUCKET):
        assert tokens.take(f"{number}", NOW_S + 10 + number, NOW_S)
    assert tokens.take("one more", NOW_S + 60, NOW_S)
    assert not tokens.take("1", NOW_S + 11, NOW_S)
    assert tokens.take("0", NOW_S + 10, NOW_S)


def test_a_bucket_held_for_ever_is_done_without() -> None:
    """Hold a bucket's lock for ever, as a process that was stopped would."""
    program = """
tokens = UsedTokens(buckets=1)
(held, holding), (reading, writing) = os.pipe(), os.pipe()

def hold():
    fcntl.lockf(tokens._tokens._locks, fcntl.LOCK_EX, 1, 0)
    os.write(holding, b"x")
    os.read(reading, 1)
    return 0

pid = fork(hold)
os.read(held, 1)
print(take("a"), take("a"))
os.write(writing, b"x")
print(status_of(pid))
"""
    assert run(program) == "True False\n0"


@pytest.mark.parametrize("token", ["", "\udcff", "x" * 10_000])
def test_any_text_can_be_used(token: str) -> None:
    tokens = UsedTokens()
    assert tokens.take(token, NOW_S + 60, NOW_S)
    assert not tokens.take(token, NOW_S + 60, NOW_S)
