"""Addresses of the service in documents: where Twilio asks next, and what it repeats there of the call."""

from urllib.parse import urlencode

from lexbridge.call.documents import Query
from lexbridge.config.connection_overrides import DEFAULT_OVERRIDES, fragment
from lexbridge.twilio.route_seal import sealed_route
from lexbridge.twilio.routes import RESUME_PATH


class Addresses:
    """Addresses of one service, as Twilio is given them. Each names the route that serves the call."""

    def __init__(self, url: str, route: str = "", secret: str = "", overrides: str = DEFAULT_OVERRIDES) -> None:
        """Prepare for the service at `url`, a public base address without a "/" at its end.

        `route`: text of the route that serves the calls; "" is the default line, which no address names. `secret`:
        seals routes in addresses. `overrides`: connection overrides, or "".
        """
        self._url = url
        self._route = _route_query(route, secret)
        self._secret = secret
        self._fragment = fragment(overrides)

    def at(self, path: str, **query: str | int) -> str:
        """Return the address of one of this service's paths, for the calls of its route."""
        return self._join(path, {**query, **self._route})

    def resume(self, **query: str | int) -> str:
        """Return the address that opens another stream to the bot of this route."""
        return self.at(RESUME_PATH, **query)

    def resume_by(self, route: str, query: Query) -> str:
        """Return the address that opens a stream to the bot of another route, given by its text."""
        return self._join(RESUME_PATH, {**query, **_route_query(route, self._secret)})

    def _join(self, path: str, query: Query) -> str:
        if "switched" in query:
            query = {**query, "switched": sealed_route(self._secret, str(query["switched"]))}
        query_text = urlencode(query, errors="replace")
        query_text = f"?{query_text}" if query_text else ""
        return f"{self._url}{path}{query_text}{self._fragment}"


def _route_query(route: str, secret: str) -> Query:
    """Return how an address names a route; "" is the default line, which it does not name."""
    return {"line": sealed_route(secret, route)} if route else {}
