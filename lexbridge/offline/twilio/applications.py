"""Other programs that answer Twilio's webhooks, each at a public address of its own: a Studio flow, Flex, a TwiML Bin.

    studio = Application(lambda request: "<Response><Say>Back in the flow.</Say></Response>")
    twilio.applications["https://webhooks.twilio.com"] = studio
    ...
    studio.requests[0].parameters          # with the query of its address; and the signature, which covers that address

A call goes there by `<Redirect>`, by an action, or by a REST update with that address, and comes back in the same way.
Such an address may also lead to a server: `twilio.applications["https://flows.example.com"] = "http://127.0.0.1:8090"`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True, slots=True)
class ApplicationRequest:
    """A request to an application. `parameters`: those of the query, and of the form of a POST."""

    url: str
    method: str
    parameters: Mapping[str, str]
    form: Mapping[str, str]
    signature: str


@dataclass(frozen=True, slots=True)
class ApplicationAnswer:
    """An answer that is no TwiML document with the status 200."""

    status: int = 200
    text: str = ""
    content_type: str = "text/xml"


class Application:
    """A program that answers each request with `answer`: TwiML, or an ApplicationAnswer."""

    def __init__(self, answer: Callable[[ApplicationRequest], str | ApplicationAnswer] | str) -> None:
        self.requests: list[ApplicationRequest] = []
        """Requests so far, in order."""
        self._answer = (lambda _: answer) if isinstance(answer, str) else answer

    def ask(self, url: str, method: str, form: Mapping[str, str], signature: str) -> ApplicationAnswer:
        """Return the answer to a signed request of Twilio's."""
        query = dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
        request = ApplicationRequest(url, method, {**query, **form}, dict(form), signature)
        self.requests.append(request)
        answer = self._answer(request)
        return ApplicationAnswer(text=answer) if isinstance(answer, str) else answer


Applications = dict[str, Application | str]
"""Other programs by their public address, such as https://flex.example.com or https://flex.example.com/path."""


def application_at(url: str, applications: Mapping[str, Application | str]) -> Application | str | None:
    """Return what answers at `url`, or None for the bridge. Of several addresses the longest that fits counts."""
    fitting = [base for base in applications if _begins_with(url, base)]
    return applications[max(fitting, key=len)] if fitting else None


def _begins_with(url: str, base: str) -> bool:
    base = base.rstrip("/")
    return url == base or url.startswith((f"{base}/", f"{base}?", f"{base}#"))
