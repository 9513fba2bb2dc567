"""A `server.py` with two workers, of which the one that serves a call is killed in the middle of it."""

import os
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lexbridge.audio.pcm import RATE_HZ
from lexbridge.call.documents import speaking_ms
from lexbridge.offline.caller.caller import SimulatedCaller
from lexbridge.offline.commands.bridge_process import BridgeProcess
from lexbridge.offline.lex.bots import Bot
from lexbridge.offline.lex.requests import LexRequest
from lexbridge.offline.lex.runtime import LocalLex
from lexbridge.offline.twilio.call import PhoneCall
from lexbridge.offline.twilio.events import StreamOpened, VerbStarted
from lexbridge.offline.twilio.number import Number
from lexbridge.offline.twilio.simulator import SimulatedTwilio
from tests.support.log_lines import events_in
from tests.support.rehearsal import wait_until
from tests.support.rig import ENVIRONMENT, HUM_MS, PATIENCE_S, TOKEN, HummingVoice, says
from tests.support.switching_rig import turns_heard


@dataclass
class Ears:
    """A recogniser of a Lex with one caller at a time. It hears `words`, however often it is asked."""

    words: str = ""

    def recognise(self, pcm: bytes, grammar: str) -> str:
        """Return what the caller has said last."""
        return self.words


@dataclass
class KilledServer:
    """A server whose workers are killed, one after the other. `killed`: their process ids."""

    lex: LocalLex
    twilio: SimulatedTwilio
    bridge: BridgeProcess
    ears: Ears
    killed: list[int] = field(default_factory=list)

    def log(self, event: str) -> list[dict[str, Any]]:
        """Return the lines of the server's log for `event`."""
        return events_in(self.bridge.log, event)

    def both_serve(self) -> None:
        """Wait until two workers serve."""
        wait_until(lambda: len(self.log("worker-started")) == 1 + len(self.killed))

    def place_call(self, number: str, mode: str) -> "KilledCall":
        """Place a call to `number`, whose line replies by `mode`, as soon as both workers serve."""
        self.both_serve()
        caller = says()
        call = self.twilio.place_call(Number(f"{self.bridge.url}/twiml", called=number), caller)
        call.wait_for(StreamOpened, PATIENCE_S)
        return KilledCall(self, caller, call, mode)


@dataclass
class KilledCall:
    """A call whose workers are killed. `mode`: its reply mode."""

    server: KilledServer
    caller: SimulatedCaller
    call: PhoneCall
    mode: str

    def log(self, event: str) -> list[dict[str, Any]]:
        """Return the lines of the server's log for `event` of this call."""
        return [line for line in self.server.log(event) if line.get("call_sid") == self.call.sid]

    @property
    def served(self) -> dict[str, Any]:
        """The server's log line for the newest stream of this call."""
        return (self.log("stream-started") or [{}])[-1]

    def turns(self) -> list[LexRequest]:
        """Return the turns of this call that were answered."""
        return [one for one in turns_heard(self.server.lex) if one.session_id == self.call.sid]

    def says(self, words: str) -> None:
        """Let the caller say something, after all that they say now."""
        wait_until(lambda: not self.caller.is_speaking)
        self.server.ears.words = words
        self.caller.say(words)

    def is_answered(self, words: str) -> None:
        """Let the caller say something until the bot answers: nobody hears them while the call is being resumed."""
        before = len(self.turns())
        while len(self.turns()) == before:
            ignored = len(self.log("speech-ignored"))
            self.says(words)
            wait_until(lambda: len(self.turns()) > before or len(self.log("speech-ignored")) > ignored)  # noqa: B023

    def begins_to_hear(self, words: str) -> None:
        """Wait until the caller hears the beginning of `words`, said since the newest stream began."""
        newest = self.newest_stream
        if self.mode == "stream":
            wait_until(lambda: self.ms_heard_of_lex()[newest.stream_sid])
        else:
            self.call.wait_for(
                VerbStarted, PATIENCE_S, where=lambda verb: verb.at_s >= newest.at_s and words in verb.text
            )

    def hears(self, words: str) -> None:
        """Wait until the caller has heard `words` to their end, said since the newest stream began."""
        self.begins_to_hear(words)
        if self.mode == "stream":
            newest = self.newest_stream.stream_sid
            wait_until(lambda: self.ms_heard_of_lex()[newest] >= HUM_MS * len(words))
        else:
            # As long as the service thinks that Twilio speaks. It learns late of what it has sent if it is busy.
            self.call.line.wait_ms(speaking_ms(words) + 3000)
        self.call.line.wait_ms(1000)

    def is_said(self, words: str) -> bool:
        """Return whether Twilio has said `words` to the caller."""
        return any(isinstance(event, VerbStarted) and words in event.text for event in self.call.events)

    def ms_heard_of_lex(self) -> Counter[str]:
        """Return how much of Lex's audio the caller has heard over each stream, in milliseconds, by its SID."""
        heard: Counter[str] = Counter()
        for sent in self.call.sent_audio:
            heard[sent.stream_sid] += sent.heard_bytes * 1000 // RATE_HZ
        return heard

    @property
    def newest_stream(self) -> StreamOpened:
        """The newest stream of the call."""
        return [event for event in self.call.events if isinstance(event, StreamOpened)][-1]

    def kill_its_worker(self) -> int:
        """Kill the worker that serves the newest stream of the call. Return its process id."""
        pid: int = self.served["pid"]
        os.kill(pid, signal.SIGKILL)
        self.server.killed.append(pid)
        return pid


@contextmanager
def killed_server(folder: Path, table: str, bots: Sequence[Bot]) -> Iterator[KilledServer]:
    """Run a server with two workers and the lines of `table`, beside a Lex with `bots`."""
    (folder / "lines.toml").write_text(table, encoding="utf-8")
    ears = Ears()
    with (
        LocalLex(bots=bots, recogniser=ears, voice=HummingVoice()) as lex,
        # As fast as Media Streams may come to a process that is not told otherwise.
        SimulatedTwilio(auth_token=TOKEN, pace=0.2) as twilio,
    ):
        settings = {name: value for name, value in ENVIRONMENT.items() if name != "URL"}  # its own address
        settings |= dict.fromkeys(("AWS_ENDPOINT_URL_LEX_RUNTIME_V2", "AWS_ENDPOINT_URL_LEX_RUNTIME_SERVICE"), lex.url)
        settings |= {"LINES_FILE": "lines.toml", "WEB_CONCURRENCY": "2", "TWILIO_API_URL": twilio.url}
        # Callers take their time here, and Lex may.
        settings |= {"BARGE_IN": "off", "NO_INPUT_S": "120", "FILLER_S": "60", "LEX_TIMEOUT_S": "30"}
        with BridgeProcess(settings, folder / "bridge.log") as bridge:
            yield KilledServer(lex, twilio, bridge, ears)
