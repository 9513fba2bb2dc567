"""A local Lex, and a client of each generation.

The fixture imports what it needs itself: pure tests beside it must not import gevent.
"""

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture
def world() -> Iterator[Any]:
    """A World whose local Lex has the bots of the repository."""
    from tests.support.local_lex import a_world

    with a_world() as made:
        yield made
