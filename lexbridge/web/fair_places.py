"""Places for what several owners do at a time, such as Twilio accounts, of which none takes all."""

from collections import Counter


class FairPlaces:
    """A limited number of places.

    An owner gets another place only while it has fewer than are free. So one that takes what it can leaves half of the
    places, the next one half of these, and so on.
    """

    def __init__(self, most: int, most_of_one: int) -> None:
        """`most`: the number of places. `most_of_one`: limits those of one owner."""
        self._most = most
        self._most_of_one = most_of_one
        self._taken: Counter[str] = Counter()

    def take(self, owner: str) -> bool:
        """Take a place for `owner`, who gives it back. Return False if it may have none now."""
        taken = self._taken[owner]
        free = self._most - self._taken.total()
        if taken >= min(self._most_of_one, free):
            return False
        self._taken[owner] = taken + 1
        return True

    def give_back(self, owner: str) -> None:
        """Give a place back."""
        self._taken[owner] -= 1
        if not self._taken[owner]:
            del self._taken[owner]
