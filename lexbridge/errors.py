"""Every error that lexbridge raises on purpose.

    LexbridgeError
    |-- ConfigError               the settings are wrong; the service does not start
    |-- MediaStreamError          Twilio, or whoever holds the socket, broke the media stream protocol
    |-- CallStateError            we broke our own rules: a bug
    |-- LexError                  a turn that Lex did not answer; names what the caller hears
    |   |-- LexUnavailable        a fault that may pass: another try makes sense
    |   |-- LexRejected           Lex refused the request as such: a setting is wrong
    |   |-- LexUnreadable         Lex has taken the turn, and nothing of its answer can be used
    |   `-- SessionNotRestored            Lex was not asked: its session could not be put back to what it was before
    `-- CallControlError          an update of the live call that Twilio did not carry out
        |-- CallGone              the call is over; there is nobody left to speak to
        |-- CallControlUnavailable  a fault that may pass
        `-- CallControlRejected   Twilio refused the request as such: a setting or a document is wrong

Any other exception that comes out of lexbridge is a bug.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from lexbridge.phrases import PhraseName


class LexbridgeError(Exception):
    """The root of the tree above."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One setting that is wrong: the variable, what is wrong with it, and what is allowed."""

    variable: str
    wrong: str
    rule: str

    def __str__(self) -> str:
        return f"{self.variable}: {self.wrong}; {self.rule}"


class ConfigError(LexbridgeError):
    """The settings do not allow a start. `problems` holds all of them, not just the first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        lines = "".join(f"\n  {problem}" for problem in self.problems)
        super().__init__(f"{count} with the settings:{lines}")


class MediaStreamError(LexbridgeError):
    """A message on the media socket that no Twilio would send. The stream it came on is closed."""


class CallStateError(LexbridgeError):
    """A move that the call's state does not allow, made by our own code."""


class LexError(LexbridgeError):
    """A turn that Lex did not answer.

    `apology` names the sentence that the caller hears, `ends_call` tells whether the call ends with it.
    """

    apology: ClassVar[PhraseName] = "say_it_again"
    ends_call: ClassVar[bool] = False


class LexUnavailable(LexError):
    """Lex failed, throttled, timed out, or broke the connection."""


class LexRejected(LexError):
    """Lex refused the request: no such bot or alias, bad credentials, no permission."""

    apology = "not_available"
    ends_call = True


class LexUnreadable(LexError):
    """Lex has taken the turn, and nothing of its answer can be used. Asked again it would take the turn twice.

    `parts` names what could not be read, if anything was there.
    """

    def __init__(self, parts: Sequence[str] = (), why: str = "nothing of Lex's answer can be used") -> None:
        self.parts = tuple(parts)
        # Not all of a thousand messages.
        super().__init__(f"{why}: {', '.join(self.parts[:10])}" if self.parts else why)


class SessionNotRestored(LexError):
    """The session could not be put back to where it stood, and so the turn was not sent."""


class CallControlError(LexbridgeError):
    """Twilio did not carry out an update of the live call.

    `host`: of the REST API that was asked, None if none was. `check`: the setting that the operator is to look at.
    """

    host: str | None = None
    check: str | None = None


class CallGone(CallControlError):
    """The call is over (Twilio 20404 or 21220): end quietly."""


class CallControlUnavailable(CallControlError):
    """Twilio failed, throttled (20429) or did not answer in time."""


class CallControlRejected(CallControlError):
    """Twilio refused the update itself, for instance its credentials (20003) or its TwiML (12100)."""
