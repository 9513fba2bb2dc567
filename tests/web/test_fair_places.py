"""Places that owners share: none takes all, and each gets back what it has given back."""

from lexbridge.web.fair_places import FairPlaces


def take_all(places: FairPlaces, owner: str) -> int:
    """Take as many places as `owner` gets. Return their number."""
    taken = 0
    while places.take(owner):
        taken += 1
    return taken


def test_one_owner_has_the_most_of_one() -> None:
    assert take_all(FairPlaces(most=256, most_of_one=64), "a") == 64


def test_each_of_many_owners_leaves_places_for_the_next() -> None:
    places = FairPlaces(most=256, most_of_one=64)
    assert [take_all(places, owner) for owner in "abcdefghijk"] == [64, 64, 64, 32, 16, 8, 4, 2, 1, 1, 0]


def test_a_place_that_was_given_back_is_free() -> None:
    places = FairPlaces(most=3, most_of_one=2)
    assert [places.take("a"), places.take("a"), places.take("a")] == [True, True, False]
    places.give_back("a")
    assert [places.take("a"), places.take("a")] == [True, False]
    for _ in range(2):
        places.give_back("a")
    assert places.take("b")


def test_owners_without_a_place_are_forgotten() -> None:
    places = FairPlaces(most=3, most_of_one=2)
    for number in range(100):
        assert places.take(f"{number}")
        places.give_back(f"{number}")
    assert not places._taken
    assert take_all(FairPlaces(most=0, most_of_one=2), "a") == 0
