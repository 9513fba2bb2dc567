"""The keys of the caller's telephone, and what a `<Gather>` makes of them."""

from collections.abc import Callable

import gevent
from gevent.event import Event as Signal

from lexbridge.offline.twilio.line import Line
from lexbridge.offline.twilio.verbs import Gather, Verb


class Keypad:
    """The keys of one call."""

    def __init__(self, line: Line, tones: bool) -> None:
        """`tones`: whether a key is heard on the line too."""
        self._line = line
        self._tones = tones
        self.listeners: list[Callable[[str], None]] = []
        """Called with each key."""
        self._keys = ""
        self._pressed = Signal()

    def press(self, digit: str) -> None:
        """The caller presses a key."""
        if self._tones:
            self._line.press(digit)
        self._keys += digit
        self._pressed.set()
        for listener in list(self.listeners):
            listener(digit)

    def gather(self, verb: Gather, prompt: Callable[[Verb], None]) -> str:
        """The keys the caller presses while the prompts play and after; a first key cuts the prompts."""
        self._keys = ""

        def prompts() -> None:
            for each in verb.prompts:
                prompt(each)

        self._key_or_end_of(prompts)
        while not self._gathered(verb):
            keys = self._keys
            self._key_or_end_of(lambda: self._line.wait_ms(verb.timeout_s * 1000))
            if self._keys == keys:
                break
        keys = self._keys.partition(verb.finish_on_key)[0] if verb.finish_on_key else self._keys
        return keys[: verb.num_digits] if verb.num_digits else keys

    def _key_or_end_of(self, activity: Callable[[], None]) -> None:
        """Run `activity` until it is done or the caller presses a key."""
        self._pressed.clear()
        doing = gevent.spawn(activity)

        def tell(_: object) -> None:
            self._pressed.set()

        doing.link(tell)
        try:
            self._pressed.wait()
            if doing.ready():
                doing.get()
        finally:
            doing.unlink(tell)  # else its end would cut the next Gather's prompts
            doing.kill()

    def _gathered(self, verb: Gather) -> bool:
        finished = bool(verb.finish_on_key) and verb.finish_on_key in self._keys
        return finished or 0 < verb.num_digits <= len(self._keys)
