"""An index of many matches, so that a call need not be compared with each of a thousand."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from heapq import merge

from lexbridge.config.matching import Fact, IncomingCall, Match, Texts


class _Positions:
    """Positions of matches by the text that they need for one fact: the whole of it, or its beginning."""

    def __init__(self) -> None:
        self._whole: defaultdict[str, list[int]] = defaultdict(list)
        self._beginnings: defaultdict[str, list[int]] = defaultdict(list)
        self._lengths: set[int] = set()

    def add(self, position: int, texts: Texts) -> None:
        """Add a match. Of two of its texts, none includes the other, so a call finds it once."""
        for text in texts.whole:
            self._whole[text].append(position)
        for text in texts.beginnings:
            self._beginnings[text].append(position)
            self._lengths.add(len(text))

    def of(self, text: str, *, is_beginning: bool = False) -> Iterator[list[int]]:
        """Yield the positions whose texts include this one. `is_beginning`: if it stands for all that begin so."""
        if not is_beginning and text in self._whole:
            yield self._whole[text]
        for length in self._lengths:
            if length <= len(text) and text[:length] in self._beginnings:
                yield self._beginnings[text[:length]]


class MatchIndex:
    """Positions of matches by one text that each of them needs."""

    def __init__(self, matches: Sequence[Match]) -> None:
        counts = Counter(
            (fact, text) for match in matches for fact, texts in match.texts.items() for text in _all(texts)
        )
        self._others: list[int] = []
        self._positions: defaultdict[Fact, _Positions] = defaultdict(_Positions)
        for position, match in enumerate(matches):
            # The condition that the fewest others share: one number may have a hundred lines that differ by a query.
            shared = {fact: max(counts[fact, text] for text in _all(texts)) for fact, texts in match.texts.items()}
            if not shared:
                self._others.append(position)
                continue
            rarest = min(shared, key=lambda fact: shared[fact])
            self._positions[rarest].add(position, match.texts[rarest])

    def of_call(self, call: IncomingCall) -> Iterator[int]:
        """Yield the position of each match that may serve the call, in their order."""
        return self._of(lambda fact, positions: positions.of(fact.of(call)))

    def of_match(self, match: Match) -> Iterator[int]:
        """Yield the position of each match that may cover this one, in their order."""
        return self._of(lambda fact, positions: _covering(match.texts.get(fact), positions))

    def _of(self, look: Callable[[Fact, _Positions], Iterator[list[int]]]) -> Iterator[int]:
        found = [places for fact, positions in self._positions.items() for places in look(fact, positions)]
        return merge(self._others, *found) if found else iter(self._others)


def _all(texts: Texts) -> Iterator[tuple[str, bool]]:
    """Yield each of the texts, and whether it is a beginning."""
    yield from ((text, False) for text in texts.whole)
    yield from ((text, True) for text in texts.beginnings)


def _covering(texts: Texts | None, positions: _Positions) -> Iterator[list[int]]:
    """Yield the positions of texts that may include all of these: they have to include any one of them."""
    if texts is not None:
        text, is_beginning = next(_all(texts))
        yield from positions.of(text, is_beginning=is_beginning)
