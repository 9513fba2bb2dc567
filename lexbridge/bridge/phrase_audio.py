"""lexbridge's own phrases in the bot's voice: Lex speaks each of them once, and the audio is kept.

Only bidirectional streams need it. A sentence that Lex has not spoken yet is spoken by Twilio.
"""

import math
import time
from collections.abc import Mapping

import gevent

from lexbridge.errors import LexError
from lexbridge.lex.runtime import LexRuntime
from lexbridge.logs import Log
from lexbridge.phrases import Phrases

AGAIN_AFTER_S = 60.0
_SILENCE = b"\xff\x7f"
"""Both zeros of mu-law."""


class PhraseCache:
    """The phrases that a process knows how to speak."""

    def __init__(
        self, lex: LexRuntime, phrases: Phrases, again_after_s: float = AGAIN_AFTER_S, *, has_limit: bool = False
    ) -> None:
        """`again_after_s`: how long after Lex did not speak it is asked again. `has_limit`: a call may have
        lasted long enough, and the caller is told so."""
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
        ]
        self._learns = False
        self._again_at_s = -math.inf

    @property
    def audio(self) -> Mapping[str, bytes]:
        """Sentence to audio: mu-law, whole frames. It grows as Lex speaks."""
        return self._audio

    def learn(self) -> None:
        """Has Lex speak what is not known yet; to be called when a call begins. Never waits."""
        if not self._learns and len(self._audio) < len(self._wanted) and time.monotonic() >= self._again_at_s:
            self._learns = True
            gevent.spawn(self._learn)

    def _learn(self) -> None:
        """A greenlet."""
        log = Log()
        why, check = "", "the voice of the bot's locale"
        try:
            for text in self._wanted:
                if text in self._audio:
                    continue
                audio = self._lex.synthesize(text)
                if audio.strip(_SILENCE):
                    self._audio[text] = audio
                else:
                    # Kept, it would be played, and nobody would say the sentence.
                    why = why or ("Lex answered with silence" if audio else "Lex answered without audio")
        except LexError as error:
            why, check = str(error), "lex:PutSession"
        except Exception:
            log.exception("own-voice-broken")
            why, self._again_at_s = "", math.inf
        finally:
            self._learns = False
        if why:
            log.warning("sentences-not-voiced", error=why, check=check)
            self._again_at_s = time.monotonic() + self._again_after_s
