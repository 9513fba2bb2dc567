"""A local Lex, and a client of each generation.

The fixture imports what it needs itself: pure tests beside it must not import gevent.
"""

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture
def clients() -> Iterator[Any]:
    """A LexClients whose local Lex has the bots of the repository."""
    from tests.support.local_lex import lex_clients

    with lex_clients() as made:
        yield made
