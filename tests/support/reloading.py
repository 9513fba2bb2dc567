"""A server whose LINES_FILE changes while callers talk, each with the bot of their own line."""

import json
import signal
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from lexbridge.offline.caller.caller import SimulatedCaller
from lexbridge.offline.caller.script import Script, Turn
from lexbridge.offline.commands.bridge_process import ROOT, BridgeProcess
from lexbridge.offline.lex.bots import Bot, Intent, Message, Prompt
from lexbridge.offline.lex.recognition import ScriptedRecogniser
from lexbridge.offline.lex.runtime import LocalLex
from lexbridge.offline.lex.voice import SilentVoice
from lexbridge.offline.twilio.call import PhoneCall
from lexbridge.offline.twilio.events import StreamClosed, StreamOpened
from lexbridge.offline.twilio.number import Number
from lexbridge.offline.twilio.simulator import SimulatedTwilio
from tests.support.log_lines import events_in, whole_lines
from tests.support.rehearsal import wait_until
from tests.support.rig import PATIENCE_S, TOKEN, HummingVoice
from tests.support.server_process import COMPLETE

PROGRAM = ROOT / "tests" / "support" / "reloading_server.py"
WORKERS = 2
IS_HERE = " is here."
NUMBERS = {"Sales": "+12065550101", "Clinic": "+12065550102", "Hotline": "+12065550103", "OrderFlowers": "+12065550199"}


def answering_bot(name: str) -> Bot:
    """Return a bot that answers whatever it hears with a sentence that has its name, and asks again."""
    asks = Prompt((Message(name + IS_HERE),), attempts=1000)
    return Bot(name, (Intent(f"{name}Order", ("order",)),), clarification=asks)


def lines_file(*lines: Mapping[str, str]) -> str:
    """Return the text of a table. Each line has a `name`, its `bot`, and other settings."""
    bots = "".join(
        f'[bots.{name}]\nname = "{name}"\nalias = "prod"\n' for name in sorted({one["bot"] for one in lines})
    )
    return bots + "".join(
        f'[[lines]]\nmatch.to = "{NUMBERS[one["name"]]}"\n'
        + "".join(f'{key} = "{text}"\n' for key, text in one.items())
        for one in lines
    )


@dataclass
class Talk:
    """A call that talks on and on. `bot`: whose answers its caller expects."""

    call: PhoneCall
    caller: SimulatedCaller
    bot: str

    @property
    def heard(self) -> set[str]:
        """The bots whose words the caller has heard. Only Twilio's voice has words here, and not that of Lex."""
        return {text.removesuffix(IS_HERE) for text in self.caller.heard if text.endswith(IS_HERE)}

    @property
    def streams(self) -> int:
        """The number of streams that it has had so far."""
        return sum(isinstance(event, StreamOpened) for event in self.call.events)

    @property
    def lost(self) -> list[StreamClosed]:
        """The streams that have ended so far."""
        return [event for event in self.call.events if isinstance(event, StreamClosed)]


@dataclass
class Reloading:
    """A server, and the table that it reads."""

    bridge: BridgeProcess
    lex: LocalLex
    twilio: SimulatedTwilio
    file: Path
    talks: list[Talk] = field(default_factory=list)

    def talk(self, number_of: str, bot: str) -> Talk:
        """Place a call to a line, whose caller goes on to speak. `bot`: who should answer."""
        script = Script(turns=tuple(Turn(say="Hello") for _ in range(500)), patience_s=10 * PATIENCE_S)
        caller = SimulatedCaller(HummingVoice(), script, seed=len(self.talks))
        number = Number(f"{COMPLETE['URL']}/twiml", called=NUMBERS[number_of])
        call = self.twilio.place_call(number, caller, connect_to=self.bridge.url)
        self.talks.append(Talk(call, caller, bot))
        return self.talks[-1]

    def lines(self, event: str) -> list[dict[str, Any]]:
        """Return the log lines of `event`."""
        return events_in(self.bridge.log, event)

    def counts(self) -> Counter[str]:
        """Return how often each event was logged."""
        return Counter(json.loads(line)["event"] for line in whole_lines(self.bridge.log.read_text(encoding="utf-8")))

    def write(self, text: str) -> None:
        """Replace the file, as editors and deployments do."""
        new = self.file.with_suffix(".new")
        new.write_text(text, encoding="utf-8")
        new.replace(self.file)

    def reload(self, text: str, *, by_signal: bool = True, wanted: str = "lines-reloaded") -> dict[str, Any]:
        """Replace the file, and wait until the log has `wanted`, and all workers what follows. Return that line."""
        before = len(self.lines(wanted))
        self.write(text)
        if by_signal:
            self.bridge.send_signal(signal.SIGHUP)
        wait_until(lambda: len(self.lines(wanted)) > before)
        line = self.lines(wanted)[before]
        if wanted == "lines-reloaded":
            taken = [line["generation"]] * WORKERS
            wait_until(lambda: [one["generation"] for one in self.lines("lines-taken")][-WORKERS:] == taken)
        return line

    def live_calls(self) -> int:
        """Return the number of live calls of all workers."""
        return int(requests.get(f"{self.bridge.url}/ping", timeout=PATIENCE_S).json()["live_calls"])

    def asked(self, talk: Talk) -> Counter[str]:
        """Return how often each bot was asked for a call."""
        return Counter(
            one.bot for one in self.lex.requests if one.session_id == talk.call.sid and one.operation == "PostContent"
        )

    def await_turns(self, talks: list[Talk], more: int = 2) -> None:
        """Wait until each of the callers has spoken so many more times, and so has heard an answer in between."""
        before = {talk.call.sid: self.asked(talk).total() for talk in talks}

        def have_spoken() -> bool:
            now = Counter(one.session_id for one in self.lex.requests if one.operation == "PostContent")
            return all(now[call_sid] >= turns + more for call_sid, turns in before.items())

        wait_until(have_spoken)

    def workers(self) -> list[int]:
        """Return the process ids of the workers that have calls, those with more calls first."""
        started = Counter(line["pid"] for line in self.lines("stream-started"))
        return [pid for pid, _ in started.most_common()]

    def worker_of(self, talk: Talk) -> int:
        """Return the process id of the worker that served the call first."""
        started = (line for line in self.lines("stream-started") if line["call_sid"] == talk.call.sid)
        return int(next(started)["pid"])

    def hang_up(self) -> None:
        """Have all callers hang up, and wait until the server knows."""
        for talk in self.talks:
            talk.call.hang_up()
        wait_until(lambda: self.live_calls() == 0)


@contextmanager
def reloading(folder: Path, first: str, **changes: str) -> Iterator[Reloading]:
    """Run a server with two workers and the table `first`. Its default line's bot answers as "OrderFlowers"."""
    file = folder / "lines.toml"
    file.write_text(first, encoding="utf-8")
    bots = [answering_bot(name) for name in ("Sales", "Clinic", "Hotline", "OrderFlowers")]
    with (
        LocalLex(bots=bots, recogniser=ScriptedRecogniser([]), voice=SilentVoice()) as lex,
        SimulatedTwilio(auth_token=TOKEN) as twilio,
    ):
        neighbours = {"TWILIO_API_URL": twilio.url, "AWS_ENDPOINT_URL_LEX_RUNTIME_SERVICE": lex.url}
        own = {"LINES_FILE": str(file), "WEB_CONCURRENCY": str(WORKERS), "PYTHONPATH": str(ROOT), "NO_INPUT_S": "120"}
        settings = {**COMPLETE, **neighbours, **own, "FILLER_S": "60", **changes}
        with BridgeProcess(settings, folder / "bridge.log", PROGRAM) as bridge:
            served = Reloading(bridge, lex, twilio, file)
            wait_until(lambda: len(served.lines("worker-started")) == WORKERS - 1)
            yield served
