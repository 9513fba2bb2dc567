"""lexbridge's own phrases in the bot's voice: Lex speaks each of them once, and the audio is kept.

Only bidirectional streams need them. Twilio speaks a phrase that Lex has not spoken yet.
"""

import math
import time
from collections.abc import Mapping

import gevent

from lexbridge.errors import LexError
from lexbridge.lex.runtime import LexRuntime
from lexbridge.logs import Log
from lexbridge.phrases.model import Phrases

AGAIN_AFTER_S = 60.0
"""The time before Lex is asked again for a phrase that it did not speak, in seconds.

The cause may be a setting that an operator is about to correct.
"""

_SILENCE = b"\xff\x7f"
"""Both zeros of mu-law."""


class PhraseCache:
    """The audio of lexbridge's phrases, shared by all calls of a process."""

    def __init__(
        self,
        lex: LexRuntime,
        phrases: Phrases,
        again_after_s: float = AGAIN_AFTER_S,
        *,
        has_limit: bool = False,
        has_transfers: bool = False,
        log: Log | None = None,
    ) -> None:
        """`again_after_s`: the time before Lex is asked again after a failure. `has_limit`: whether the length of calls
        is limited, which has a phrase of its own; `has_transfers`: whether calls may come back from a transfer.
        `log`: that of the line."""
        self._log = log or Log()
        self._lex = lex
        self._again_after_s = again_after_s
        self._audio: dict[str, bytes] = {}
        limit = [f"{phrases.call_limit} {phrases.goodbye}"] if has_limit else []
        self._wanted = [
            phrases.one_moment,
            phrases.say_it_again,
            phrases.not_heard,
            phrases.not_available,
            phrases.goodbye,
            phrases.done,
            f"{phrases.not_heard} {phrases.goodbye}",
            *limit,
            *([phrases.transfer_failed] if has_transfers else []),
        ]
        self._is_learning = False
        self._again_at_s = -math.inf

    @property
    def audio(self) -> Mapping[str, bytes]:
        """The audio of each phrase that Lex has spoken so far: mu-law, whole frames."""
        return self._audio

    def learn(self) -> None:
        """Request the phrases that are missing, in the background. Call this when a call begins."""
        if not self._is_learning and len(self._audio) < len(self._wanted) and time.monotonic() >= self._again_at_s:
            self._is_learning = True
            gevent.spawn(self._learn)

    def _learn(self) -> None:
        log = self._log
        why, check = "", "the voice of the bot's locale"
        try:
            for text in self._wanted:
                if text in self._audio:
                    continue
                audio = self._lex.synthesize(text)
                if audio.strip(_SILENCE):
                    self._audio[text] = audio
                else:
                    # Silence is not kept: it would be played instead of the phrase.
                    why = why or ("Lex answered with silence" if audio else "Lex answered without audio")
        except LexError as error:
            why, check = str(error), "lex:PutSession"
        except Exception:
            log.exception("own-voice-broken")
            why, self._again_at_s = "", math.inf
        finally:
            self._is_learning = False
        if why:
            log.warning("sentences-not-voiced", error=why, check=check)
            self._again_at_s = time.monotonic() + self._again_after_s
