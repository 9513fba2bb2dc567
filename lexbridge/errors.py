"""The tree of errors that lexbridge raises on purpose.

    LexbridgeError
    |-- ConfigError                 the settings are wrong, and the service does not start
    |-- MediaStreamError            the peer of the media socket, Twilio or a stranger, broke the protocol
    |-- CallStateError              lexbridge broke its own rules: a bug
    |-- LexError                    Lex did not answer a turn; the error names what the caller hears
    |   |-- LexUnavailable          a fault that may pass, so another try makes sense
    |   |-- LexRejected             Lex refused the request itself, so a setting is wrong
    |   |-- LexUnreadable           Lex took the turn, and nothing of its answer can be used
    |   `-- SessionNotRestored      Lex's session could not be put back to what it was, so the turn was not sent
    `-- CallControlError            Twilio did not carry out an update of the live call
        |-- CallGone                the call is over, and nobody is left to speak to
        |-- CallLetGo               another program has the call by now, so Twilio was asked for nothing
        |-- CallControlUnavailable  a fault that may pass
        `-- CallControlRejected     Twilio refused the request itself, so a setting or a document is wrong

Any other exception that comes out of lexbridge is a bug.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from lexbridge.phrases.model import PhraseName


class LexbridgeError(Exception):
    """The root of all errors that lexbridge raises on purpose."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A wrong setting: its variable, what is wrong with it, and what is allowed."""

    variable: str
    wrong: str
    rule: str

    def __str__(self) -> str:
        return f"{self.variable}: {self.wrong}; {self.rule}"


class ConfigError(LexbridgeError):
    """Wrong settings, with which the service does not start. `problems` holds every problem, not just the first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        lines = "".join(f"\n  {problem}" for problem in self.problems)
        super().__init__(f"{count} with the settings:{lines}")


class MediaStreamError(LexbridgeError):
    """A message on the media socket that Twilio would never send. The stream is then closed."""


class CallStateError(LexbridgeError):
    """A move that the call's state does not allow. It is a bug of lexbridge."""


class LexError(LexbridgeError):
    """A turn that Lex did not answer.

    `apology`: the phrase that the caller hears. `ends_call`: whether the call ends after it.
    """

    apology: ClassVar[PhraseName] = "say_it_again"
    ends_call: ClassVar[bool] = False


class LexUnavailable(LexError):
    """A fault of Lex that may pass: it failed, throttled, timed out, or broke the connection."""


class LexRejected(LexError):
    """A refusal by Lex: no such bot or alias, bad credentials, or no permission."""

    apology = "not_available"
    ends_call = True


class LexUnreadable(LexError):
    """An answer of which nothing can be used. The turn is not sent again, because Lex would take it twice.

    `parts`: names of the parts of the answer that could not be read.
    """

    def __init__(self, parts: Sequence[str] = (), why: str = "nothing of Lex's answer can be used") -> None:
        self.parts = tuple(parts)
        # The first ten only, because an answer may have a thousand messages.
        super().__init__(f"{why}: {', '.join(self.parts[:10])}" if self.parts else why)


class SessionNotRestored(LexError):
    """A session that could not be put back to its earlier state, so that the turn was not sent."""


class CallControlError(LexbridgeError):
    """An update of the live call that Twilio did not carry out.

    `host`: host of the REST API that was asked, or None if no request was sent. `check`: setting that the operator has
    to look at.
    """

    host: str | None = None
    check: str | None = None


class CallGone(CallControlError):
    """A call that is over (Twilio's codes 20404 and 21220). It ends without an error in the log."""


class CallLetGo(CallControlError):
    """A call that another program has by now, so that nothing is asked of Twilio."""


class CallControlUnavailable(CallControlError):
    """A fault of Twilio that may pass: it failed, throttled (code 20429), or did not answer in time."""


class CallControlRejected(CallControlError):
    """A refusal by Twilio, for instance of the credentials (code 20003) or of the TwiML (code 12100)."""
