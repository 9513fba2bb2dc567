"""Bridges that the phone in the browser calls: one that runs anywhere, or one that the phone started itself."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lexbridge.audio.pcm import FULL_SCALE
from lexbridge.config.settings import SETTINGS
from lexbridge.offline.caller.happy_path import happy_path
from lexbridge.offline.commands.bridge_process import BridgeProcess, settings_of_local_bot
from lexbridge.offline.lex.bots import Bot
from lexbridge.offline.lex.requests import LexRequest
from lexbridge.offline.lex.runtime import LocalLex

MODES = ("call-update", "stream")
"""The reply modes of a bridge."""


@dataclass(frozen=True, slots=True)
class OfferedBot:
    """A bot that a bridge can be set to, or a number of its table of lines.

    `examples`: what a caller may say to it, one sentence a turn. `number`: what is dialled.
    """

    name: str
    settings: Mapping[str, str]
    examples: tuple[str, ...] = ()
    number: str = "+12065550199"


class Bridge:
    """A bridge that the phone calls. As it stands here, somebody else runs it.

    webhook: the address that Twilio asks when a call comes in. settings: those that the bridge is known to have.
    connect_to: the address to which connections really go, or None for the webhook's.
    """

    why_fixed = "This bridge runs elsewhere: its reply mode and its bot are its own settings."
    """The reason for which mode and bot cannot be chosen here, or ""."""
    mode: str | None = None
    """The reply mode, or None where it is not known."""
    bot: OfferedBot | None = None
    """The bot, or None where it is not known."""
    bots: Sequence[OfferedBot] = ()
    """The bots between which one may choose."""
    starts: int = 0
    """The number of times that the bridge was started here. Its console knows no call from before the last one."""

    def __init__(self, webhook: str, settings: Mapping[str, str], connect_to: str | None = None) -> None:
        self._webhook = webhook
        self._settings = settings
        self.connect_to = connect_to

    @property
    def webhook(self) -> str:
        """The address that Twilio asks when a call comes in."""
        return self._webhook

    @property
    def number(self) -> str:
        """The number that is dialled."""
        return OfferedBot("", {}).number if self.bot is None else self.bot.number

    @property
    def settings(self) -> Mapping[str, str]:
        """The settings that are known."""
        return self._settings

    @property
    def knows_lex(self) -> bool:
        """Whether `lex_requests` has each request of a call."""
        return False

    def lex_requests(self, call_sid: str) -> Sequence[LexRequest]:  # noqa: ARG002
        """Return the requests of a call to the local Lex, in order. There are none if Lex is elsewhere."""
        return []

    def switch(self, mode: str, bot: str) -> None:  # noqa: ARG002
        """Start the bridge again, with this mode and bot. Raises BridgeFailed."""
        raise AssertionError(self.why_fixed)


class OwnBridge(Bridge):
    """A bridge that the phone has started. Use it as a context manager, after `switch` has started it.

    bots: those to choose from. lex: the local Lex, or None if the bot is real. settings: of the bridge, over a bot's
    own. folder: where its log goes, a file for each start.
    """

    why_fixed = ""

    def __init__(
        self, bots: Sequence[OfferedBot], lex: LocalLex | None, settings: Mapping[str, str], folder: Path
    ) -> None:
        super().__init__("", settings)
        self.bots = bots
        self.bot: OfferedBot = bots[0]
        self.mode: str = MODES[0]
        self._lex = lex
        self._folder = folder
        self.starts = 0
        self._process: BridgeProcess | None = None

    @property
    def process(self) -> BridgeProcess:
        """The bridge that runs now."""
        if self._process is None:
            raise AssertionError("it was not started")
        return self._process

    @property
    def webhook(self) -> str:
        return f"{self.process.url}/twiml"

    @property
    def settings(self) -> Mapping[str, str]:
        return {**self.bot.settings, **self._settings, "REPLY_MODE": self.mode}

    @property
    def knows_lex(self) -> bool:
        return self._lex is not None

    def lex_requests(self, call_sid: str) -> Sequence[LexRequest]:
        return [] if self._lex is None else [each for each in self._lex.requests if each.session_id == call_sid]

    def switch(self, mode: str, bot: str) -> None:
        self.bot = next(each for each in self.bots if each.name == bot)
        self.mode = mode
        self.stop()
        self.starts += 1
        starting = BridgeProcess(self.settings, self._folder / f"bridge-{self.starts}.log")
        starting.__enter__()
        self._process = starting

    def stop(self) -> None:
        """Stop the bridge that runs."""
        if self._process is not None:
            self._process.__exit__(None, None, None)


def local_bot(bot: Bot, generation: Literal["v1", "v2"], lex_url: str, more: Mapping[str, str]) -> OfferedBot:
    """Return a bot of the local Lex. `more`: settings that it needs besides."""
    try:
        examples = tuple(turn.say for turn in happy_path(bot).turns if turn.say)
    except ValueError:  # the bot does not say enough about itself
        examples = ()
    return OfferedBot(bot.name, {**settings_of_local_bot(bot, generation, lex_url), **more}, examples)


def voice_threshold_dbfs(settings: Mapping[str, str]) -> float | None:
    """Return the level above which the bridge takes sound for voice, in dBFS, or None if its detector decides."""
    if _value(settings, "VAD") != "amplitude":
        return None
    return 20 * math.log10(int(_value(settings, "VOICE_THRESHOLD")) / FULL_SCALE)


def _value(settings: Mapping[str, str], name: str) -> str:
    default = next(one.default for one in SETTINGS if one.name == name)
    return settings.get(name, "").strip() or default or ""
