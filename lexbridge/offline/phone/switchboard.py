"""The parts that all pages of the phone share: the bridge, the simulated Twilio, the caller's voice."""

from collections.abc import Callable
from typing import Any

import gevent
import requests
from gevent.lock import BoundedSemaphore

from lexbridge.offline.caller.caller import Phrase, voiced_phrase
from lexbridge.offline.commands.bridge_process import BridgeFailed
from lexbridge.offline.lex.side_process import SideProcessError
from lexbridge.offline.lex.voice import Voice
from lexbridge.offline.phone.bridges import MODES, Bridge, OfferedBot, voice_threshold_dbfs
from lexbridge.offline.phone.line_effects import QUALITIES
from lexbridge.offline.twilio.simulator import SimulatedTwilio
from lexbridge.offline.twilio.telephone_audio import TelephoneVoice

KEPT_CALLS = 10
"""Calls that are over and kept with their audio, because a phone may be left open for days."""

CONSOLE_LIMIT_S = 2.0
"""Seconds for the console to answer, and to the next look, because nobody waits for the link."""

CONSOLE_LOOKS = 10
"""Looks for the console at most, because it starts beside the bridge, or not at all."""


class SwitchRefused(Exception):
    """The bridge stays as it is; the message says why."""


class Switchboard:
    """The state that all pages share. `watchers` are called whenever it changes.

    console_url: where the bridge's console is, or "" if there is none.
    """

    def __init__(self, bridge: Bridge, twilio: SimulatedTwilio, voice: Voice, console_url: str = "") -> None:
        self.bridge = bridge
        self.twilio = twilio
        self.watchers: set[Callable[[], None]] = set()
        self._voice = TelephoneVoice(voice)
        self._console_url = console_url
        self._has_console = False
        self._is_ready = False
        self._waits_for = "the voice"
        self._problem = ""
        self._switching = BoundedSemaphore()

    @property
    def live_calls(self) -> int:
        """The number of calls that are on."""
        return sum(call.over is None for call in self.twilio.calls.values())

    @property
    def is_ready(self) -> bool:
        """Whether a call can be placed."""
        return self._is_ready

    def describe(self) -> dict[str, Any]:
        """Return what a page shows when no call is on."""
        bridge = self.bridge
        return {
            "what": "stage",
            "ready": self._is_ready,
            "waits_for": self._waits_for,
            "problem": self._problem,
            "bridge": bridge.webhook if self._is_ready else "",
            "mode": bridge.mode,
            "modes": list(MODES) if bridge.bots else [],
            "bot": bridge.bot.name if bridge.bot else None,
            "bots": [each.name for each in bridge.bots],
            "why_fixed": bridge.why_fixed,
            "examples": list(bridge.bot.examples) if bridge.bot else [],
            "threshold_dbfs": voice_threshold_dbfs(bridge.settings),
            "detector": bridge.settings.get("VAD", "amplitude"),
            "lines": {name: quality.label for name, quality in QUALITIES.items()},
            "starts": bridge.starts,
            "console_url": self._console_url if self._has_console else "",
            "api_url": self.twilio.url,
        }

    def warm_up(self) -> None:
        """Make the voice speak once, then tell the pages that all is ready."""
        self.warm_up_voice()
        self.be_ready()

    def warm_up_voice(self) -> None:
        """Make the voice speak once, so that the first word of a call is not late."""
        try:
            self._voice.speak("Ready.")
        except SideProcessError as error:
            self._problem = f"The voice does not start: {error}"

    def be_ready(self) -> None:
        """Tell the pages that calls can be placed, unless the voice has failed."""
        self._set(not self._problem, problem=self._problem)
        gevent.spawn(self._look_for_console)

    def phrase(self, text: str) -> Phrase:
        """Return a phrase of the simulated caller's. Raises SideProcessError."""
        return voiced_phrase(text, self._voice.speak(text))

    def switch(self, mode: str, bot: str) -> None:
        """Set the bridge to a reply mode and a bot. Raises SwitchRefused."""
        bridge = self.bridge
        if bridge.why_fixed:
            raise SwitchRefused(bridge.why_fixed)
        if mode not in MODES or bot not in {each.name for each in bridge.bots}:
            raise SwitchRefused(f"there is no {bot} in {mode} mode")
        with self._switching:
            if self.live_calls:
                raise SwitchRefused("A call is on: end it first, here or in the other window.")
            before = bridge.mode, bridge.bot
            self._set(False, waits_for=f"the bridge, with {bot} in {mode} mode")
            try:
                bridge.switch(mode, bot)
            except BridgeFailed as error:
                self._go_back(*before)
                raise SwitchRefused(f"The bridge does not start with {bot} in {mode} mode. {error}") from error
            self.be_ready()

    def _go_back(self, mode: str | None, bot: OfferedBot | None) -> None:
        """Start the bridge as it was before."""
        if mode is None or bot is None:
            raise AssertionError("only a bridge of ours is switched")
        try:
            self.bridge.switch(mode, bot.name)
        except BridgeFailed as error:
            self._set(False, problem=f"The bridge does not start. {error}")
        else:
            self.be_ready()

    def forget_old_calls(self) -> None:
        """Drop the oldest of the calls that are over."""
        over = [sid for sid, call in self.twilio.calls.items() if call.over is not None]
        for sid in over[:-KEPT_CALLS]:
            del self.twilio.calls[sid]

    def _set(self, is_ready: bool, waits_for: str = "", problem: str = "") -> None:
        self._is_ready, self._waits_for, self._problem = is_ready, waits_for, problem
        self._tell_watchers()

    def _look_for_console(self) -> None:
        """Find out whether a console answers: the link to it is shown only then."""
        for _ in range(CONSOLE_LOOKS if self._console_url else 0):
            try:
                with requests.Session() as session:
                    session.trust_env = False
                    self._has_console = session.get(f"{self._console_url}/ping", timeout=CONSOLE_LIMIT_S).ok
            except requests.RequestException:
                self._has_console = False
            if self._has_console:
                self._tell_watchers()
                return
            gevent.sleep(CONSOLE_LIMIT_S)

    def _tell_watchers(self) -> None:
        for watcher in list(self.watchers):
            watcher()
