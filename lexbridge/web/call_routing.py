"""Routing of a call: which line serves it, by the table of lines and by the routing hook."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from lexbridge.bridge.lines import LineRuntime, LineRuntimes
from lexbridge.config.lines import IncomingCall
from lexbridge.config.route import CallRoute
from lexbridge.logs import Log
from lexbridge.web.hook_answer import NOTHING, CallRefusal
from lexbridge.web.route_hook import Question, RouteHook


@dataclass(frozen=True, slots=True)
class RoutedCall:
    """A new call, and what was decided about it.

    `line`: serves it, or None if no line does. `attributes`: for the bot, beside the facts of the call. `greeting`:
    said instead of the line's, or None. `refusal`: the hook refuses the call, or None.
    """

    line: LineRuntime | None
    attributes: Mapping[str, str] = field(default_factory=dict, repr=False)
    greeting: str | None = field(default=None, repr=False)
    refusal: CallRefusal | None = None


class CallRouting:
    """The routing of one process."""

    def __init__(self, lines: LineRuntimes, hook: RouteHook | None) -> None:
        """`hook`: None if there is none, so that the table alone decides."""
        self._lines = lines
        self._hook = hook

    def route(self, call: IncomingCall, log: Log, *, asks_hook: bool) -> RoutedCall:
        """Return what is decided about a new call. With `asks_hook`, wait for the hook, if there is one."""
        self._lines.catch_up()
        line = self._lines.choose(call)
        if self._hook is None or not asks_hook:
            return RoutedCall(line)
        answer = self._hook.ask(Question(call.form, call.query, None if line is None else line.route.text), log)
        if answer is None:
            return RoutedCall(line)
        if answer.line is not None:
            named = self._lines.find(CallRoute(answer.line), call.form.get("AccountSid", ""))
            if named is None:
                self._hook.refuse("unknown line", "line: one of the table, of the Twilio account of the call")
                return RoutedCall(line)
            line = named
        return RoutedCall(line, answer.attributes, answer.greeting, answer.refusal)

    def attributes_of(self, call: IncomingCall, line: LineRuntime, log: Log) -> Mapping[str, str]:
        """Return the attributes of a call that goes on, which the hook gave before. Wait for the hook."""
        if self._hook is None:
            return NOTHING
        answer = self._hook.ask(Question(call.form, call.query, line.route.text, is_new=False), log)
        return NOTHING if answer is None else answer.attributes
