"""Targets of a transfer: what a bot may write into `lexbridge:transfer-to`, and what TRANSFER_NUMBERS allows of it.

    +12065550100    +12065550100;ext=12    sip:sales@example.com    client:alice
    queue:Support   workflow:WW0123...     conference:Sales

Each form is a frozen dataclass, which only `parse_target` makes of a bot's text. So whatever is dialled has passed the
rule of its form, and none of it can add a header or a verb.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from lexbridge.config.parsers import is_phone_number

MAX_SIP_CHARACTERS = 254
"""Longest SIP URI without its headers: https://www.twilio.com/docs/voice/twiml/sip ."""

MAX_CLIENT_CHARACTERS = 256
"""Longest identity of a client: https://www.twilio.com/docs/voice/twiml/client ."""

MAX_QUEUE_CHARACTERS = 64
"""Longest name of a queue: https://www.twilio.com/docs/voice/twiml/enqueue ."""

MAX_CONFERENCE_CHARACTERS = 128
"""Longest name of a conference: https://www.twilio.com/docs/voice/twiml/conference ."""

EXTENSION_PAUSE = "wwww"
"""Pause before an extension that begins with none: `w` is half a second, and a switchboard speaks first."""

ANY_EXTENSION = ";ext=*"
"""End of an entry of TRANSFER_NUMBERS that allows every extension of its number."""

ANY_CLIENT = "client:*"
"""Entry of TRANSFER_NUMBERS that allows every client."""

MAX_EXTENSION_KEYS = 28
"""Longest extension. Twilio takes 32 keys, and EXTENSION_PAUSE may come before it."""

_EXTENSION = re.compile(f"(?=.*[0-9])[0-9*#wW]{{1,{MAX_EXTENSION_KEYS}}}")
_SIP_HOST = re.compile(
    r"(?=.{1,253}(?:[:;]|$))[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*"
    r"(?::[1-9][0-9]{0,4})?(?:;(?:transport|region|secure|edge)=[A-Za-z0-9-]{1,20})*"
)
_SIP_USER = re.compile(r"[A-Za-z0-9_.+~!-]{1,128}")
_CLIENT = re.compile(f"[A-Za-z0-9_.@+-]{{1,{MAX_CLIENT_CHARACTERS}}}")
_NAME = re.compile(r"[\w.@+:#/()'-](?:[\w .@+:#/()'-]*[\w.@+:#/()'-])?")
_WORKFLOW = re.compile("WW[0-9a-fA-F]{32}")


@dataclass(frozen=True, slots=True)
class NumberTarget:
    """Phone number, with the keys of an extension that are pressed once it answers, or none."""

    number: str = field(repr=False)
    extension: str = field(default="", repr=False)
    kind: ClassVar[str] = "number"

    @property
    def digits(self) -> str:
        """Keys that Twilio presses once the number answers: https://www.twilio.com/docs/voice/twiml/number ."""
        if not self.extension or self.extension[0] in "wW":
            return self.extension
        return EXTENSION_PAUSE + self.extension


@dataclass(frozen=True, slots=True)
class SipTarget:
    """SIP endpoint: `user@host`, where the host may have a port and Twilio's own parameters."""

    user: str = field(repr=False)
    host: str = field(repr=False)
    kind: ClassVar[str] = "sip"

    @property
    def uri(self) -> str:
        """URI of the endpoint, without headers."""
        return f"sip:{self.user}@{self.host}"


@dataclass(frozen=True, slots=True)
class ClientTarget:
    """Client of Twilio's Voice SDKs, by its identity."""

    name: str = field(repr=False)
    kind: ClassVar[str] = "client"


@dataclass(frozen=True, slots=True)
class QueueTarget:
    """Queue of calls, by its name. Twilio makes it if there is none."""

    name: str = field(repr=False)
    kind: ClassVar[str] = "queue"


@dataclass(frozen=True, slots=True)
class WorkflowTarget:
    """Workflow of TaskRouter, such as one of Flex, by its SID."""

    sid: str
    kind: ClassVar[str] = "workflow"


@dataclass(frozen=True, slots=True)
class ConferenceTarget:
    """Conference, by its name."""

    name: str = field(repr=False)
    kind: ClassVar[str] = "conference"


TransferTarget = NumberTarget | SipTarget | ClientTarget | QueueTarget | WorkflowTarget | ConferenceTarget


def parse_target(text: str) -> TransferTarget | None:
    """Return the target that `text` names, or None if it has none of the forms."""
    if text.startswith("+"):
        return _number(text)
    kind, _, name = text.partition(":")
    make = _FORMS.get(kind)
    return make(name) if make else None


@dataclass(frozen=True, slots=True)
class TransferTargets:
    """Targets that TRANSFER_NUMBERS allows. Nothing is allowed that it does not have.

    `with_any_extension`: numbers whose extensions are all allowed. `sip_hosts`: hosts whose users are all allowed.
    """

    targets: frozenset[TransferTarget] = frozenset()
    with_any_extension: frozenset[str] = frozenset()
    sip_hosts: frozenset[str] = frozenset()
    allows_any_client: bool = False

    def find(self, text: str | None) -> TransferTarget | None:
        """Return the target that `text` names if it is allowed, or None."""
        target = None if text is None else parse_target(text)
        return target if target is not None and self._allows(target) else None

    def _allows(self, target: TransferTarget) -> bool:
        match target:
            case NumberTarget() if target.number in self.with_any_extension:
                return True
            case SipTarget() if target.host in self.sip_hosts:
                return True
            case ClientTarget() if self.allows_any_client:
                return True
        return target in self.targets


_TARGETS_RULE = (
    "must be targets with commas between them: numbers in E.164 form (+12065550100, +12065550100;ext=12, "
    "+12065550100;ext=*), sip:user@host, sip:*@host, client:NAME, client:*, queue:NAME, workflow:WW... or "
    "conference:NAME"
)

NO_TARGETS = TransferTargets()
"""Targets of a service that transfers no call."""


def transfer_targets(value: str) -> TransferTargets:
    """Return the targets that stand between commas."""
    targets: set[TransferTarget] = set()
    numbers, hosts = set(), set()
    entries = [entry.strip() for entry in value.split(",") if entry.strip()]
    for entry in entries:
        number, host = entry.removesuffix(ANY_EXTENSION), entry.removeprefix("sip:*@")
        if entry == ANY_CLIENT:
            continue
        if number != entry and is_phone_number(number):
            numbers.add(number)
        elif host != entry and _SIP_HOST.fullmatch(host):
            hosts.add(_lower_host(host))
        elif target := parse_target(entry):
            targets.add(target)
        else:
            raise ValueError(_TARGETS_RULE if len(entries) == 1 else f"{_TARGETS_RULE}; {entry[:60]!r} is none")
    return TransferTargets(frozenset(targets), frozenset(numbers), frozenset(hosts), ANY_CLIENT in entries)


def _number(text: str) -> NumberTarget | None:
    number, separator, extension = text.partition(";ext=")
    if not is_phone_number(number) or (separator and not _EXTENSION.fullmatch(extension)):
        return None
    return NumberTarget(number, extension)


def _sip(name: str) -> SipTarget | None:
    user, _, host = name.partition("@")
    if not (_SIP_USER.fullmatch(user) and _SIP_HOST.fullmatch(host)):
        return None
    target = SipTarget(user, _lower_host(host))
    return target if len(target.uri) <= MAX_SIP_CHARACTERS else None


def _lower_host(host: str) -> str:
    """Return a host in lower case, as names of hosts have no case."""
    return host.lower()


def _client(name: str) -> ClientTarget | None:
    return ClientTarget(name) if _CLIENT.fullmatch(name) else None


def _queue(name: str) -> QueueTarget | None:
    return QueueTarget(name) if _NAME.fullmatch(name) and len(name) <= MAX_QUEUE_CHARACTERS else None


def _workflow(name: str) -> WorkflowTarget | None:
    return WorkflowTarget(name) if _WORKFLOW.fullmatch(name) else None


def _conference(name: str) -> ConferenceTarget | None:
    return ConferenceTarget(name) if _NAME.fullmatch(name) and len(name) <= MAX_CONFERENCE_CHARACTERS else None


_FORMS: dict[str, Callable[[str], TransferTarget | None]] = {
    "sip": _sip,
    "client": _client,
    "queue": _queue,
    "workflow": _workflow,
    "conference": _conference,
}
"""Makers of the targets that begin with a word and a colon."""
