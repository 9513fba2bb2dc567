"""An index of many matches, so that a call need not be compared with each of a thousand."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from heapq import merge

from lexbridge.config.matching import Fact, IncomingCall, Match


class MatchIndex:
    """Positions of matches by one text that each of them needs, if it needs one of a few whole texts."""

    def __init__(self, matches: Sequence[Match]) -> None:
        counts = Counter(
            (fact, text) for match in matches for fact, texts in match.texts.items() for text in texts.whole
        )
        self._others: list[int] = []
        self._positions: defaultdict[Fact, defaultdict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        for position, match in enumerate(matches):
            # The condition that the fewest others share: one number may have a hundred lines that differ by a query.
            shared = {
                fact: max(counts[fact, text] for text in texts.whole)
                for fact, texts in match.texts.items()
                if texts.whole and not texts.beginnings
            }
            if not shared:
                self._others.append(position)
                continue
            rarest = min(shared, key=lambda fact: shared[fact])
            for text in match.texts[rarest].whole:
                self._positions[rarest][text].append(position)

    def of_call(self, call: IncomingCall) -> Iterator[int]:
        """Yield the position of each match that may serve the call, in their order."""
        return self._of(lambda fact: fact.of(call))

    def of_match(self, match: Match) -> Iterator[int]:
        """Yield the position of each match that may cover this one, in their order."""
        return self._of(lambda fact: next(iter(match.texts[fact].whole), "") if fact in match.texts else "")

    def _of(self, text_of: Callable[[Fact], str]) -> Iterator[int]:
        found = [by_text[text] for fact, by_text in self._positions.items() if (text := text_of(fact)) in by_text]
        return merge(self._others, *found) if found else iter(self._others)
