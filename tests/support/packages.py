"""The packages of lexbridge: what each is for, which others it may import, and which code is pure.

tests/test_architecture.py holds the code to these tables. docs/architecture.md has the drawing that `drawing` makes.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PACKAGES = {
    "phrases": "what lexbridge says itself, by language",
    "logs": "one event a line",
    "audio": "sound: detectors, endpointing, resampling",
    "errors": "every error raised on purpose",
    "net": "sockets, HTTP, name resolution",
    "config": "the settings",
    "lex": "a Lex bot, V1 or V2",
    "call": "the rules of one call",
    "twilio": "all that is Twilio's",
    "telemetry": "what a worker tells about its calls",
    "bridge": "one live call on gevent",
    "web": "Flask: the webhooks",
    "observer": "the process that watches the calls: console, metrics, events, recordings",
    "server": "processes, and the wiring",
    "offline": "Lex, Twilio and a caller, simulated",
}
"""Each package (or module at the top of lexbridge) and its job, from the lowest layer to the highest."""

IMPORTS: dict[str, set[str]] = {
    "phrases": set(),
    "logs": set(),
    "audio": set(),
    "errors": {"phrases"},
    "net": {"logs"},
    "config": {"audio", "errors", "phrases"},
    "lex": {"audio", "config", "errors", "logs", "net"},
    "call": {"audio", "config", "errors", "lex"},
    "twilio": {"call", "config", "errors", "lex", "logs", "net"},
    "telemetry": set(),
    "bridge": {"audio", "call", "config", "errors", "lex", "logs", "net", "phrases", "telemetry", "twilio"},
    "web": {"bridge", "call", "config", "errors", "lex", "logs", "net", "telemetry", "twilio"},
    "observer": {"audio", "call", "config", "logs", "net", "telemetry"},
    "server": {"bridge", "config", "errors", "lex", "logs", "net", "observer", "telemetry", "twilio", "web"},
    "offline": {"audio", "config", "errors", "observer", "phrases"},
}
"""The packages that each package may import."""

NARROW = {
    ("call", "lex"): {"lexbridge.lex.model"},
    ("call", "config"): {
        "lexbridge.config.call_rules",
        "lexbridge.config.parsers",
        "lexbridge.config.route",
        "lexbridge.config.transfer_targets",
    },
}
"""Modules of the second package that the first may import, where it may not import the whole."""

OBSERVER_IMPORTS: dict[str, set[str]] = {
    "watched": set(),
    "calls": {"watched"},
    "events": {"watched"},
    "recording": {"calls", "watched"},
    "tracing": {"watched"},
}
"""The packages of the observer that each of these may import. All stand on `watched`, which makes calls of facts."""

PURE = [
    "phrases",
    "errors.py",
    "audio",
    "call",
    "lex/model.py",
    "lex/decoding.py",
    "lex/answer_parts.py",
    "lex/spoken_payload.py",
    "lex/voice.py",
    "lex/api.py",
    "lex/content_types.py",
    "lex/circuit_breaker.py",
    "lex/v1.py",
    "lex/v2.py",
    "twilio/addresses.py",
    "twilio/answered_by.py",
    "twilio/call_facts.py",
    "twilio/media_messages.py",
    "twilio/rendered_reprompts.py",
    "twilio/rendering.py",
    "twilio/route_seal.py",
    "twilio/say.py",
    "twilio/stream_names.py",
    "twilio/twiml.py",
    "observer/calls/call_axis.py",
    "observer/calls/call_book.py",
    "observer/calls/call_file.py",
    "observer/calls/call_record.py",
    "observer/calls/call_state.py",
    "observer/calls/call_summary.py",
    "observer/calls/shown_turns.py",
    "observer/calls/call_wav.py",
    "observer/admin/followed_calls.py",
    "observer/admin/open_connections.py",
    "observer/calls/health.py",
    "observer/calls/heard.py",
    "observer/calls/kept_audio.py",
    "observer/calls/latency.py",
    "observer/admin/stream_levels.py",
    "observer/calls/turn_record.py",
    "observer/watched/values.py",
    "observer/admin/what_if.py",
    "observer/calls/workers.py",
    "observer/watched/call_facts.py",
    "observer/watched/call_parts.py",
    "observer/events/event_bodies.py",
    "observer/events/event_fields.py",
    "observer/watched/begun_replies.py",
    "observer/watched/turn_facts.py",
    "observer/events/outbox.py",
    "observer/tracing/spans.py",
    "observer/watched/spoken_spans.py",
    "observer/watched/kept_words.py",
    "observer/watched/call_turns.py",
    "observer/watched/told_turns.py",
    "observer/watched/watched_calls.py",
    "net/close_codes.py",
    "net/masking.py",
    "net/message_parser.py",
    "net/rfc6455.py",
    "net/http_answers.py",
    "net/http_request.py",
    "net/read_order.py",
    "net/read_schedule.py",
    "net/standard_webhooks.py",
    "net/token_bucket.py",
    "web/fair_places.py",
    "web/hook_answer.py",
    "telemetry/error_kinds.py",
    "telemetry/line_counts.py",
    "telemetry/metric_labels.py",
    "telemetry/metric_table.py",
    "telemetry/plain_values.py",
]
"""Files and folders of lexbridge that do no I/O and read no clock. Their own tests reach every branch of them."""

COVERED = [
    *PURE,
    "config",
    "twilio/refusals.py",
    "twilio/signature_diagnosis.py",
    "twilio/signatures.py",
    "twilio/stream_token.py",
    "twilio/webhook_form.py",
]
"""Files and folders of lexbridge of which the tests that need no gevent reach every branch."""

IMPURE_MODULES = {"boto3", "gevent", "os", "random", "select", "signal", "socket", "subprocess", "threading", "time"}
"""Modules that no pure code imports."""

READS_FILES = {
    "audio/vad/silero.py": {"os"},
}
"""Imports of IMPURE_MODULES that a pure file may have, each for a reason that stands in the file."""


def python_files(*roots: str) -> Iterator[Path]:
    """Yield the Python files of files and folders that are named from lexbridge/."""
    for root in roots:
        path = ROOT / "lexbridge" / root
        yield from [path] if path.suffix else sorted(path.rglob("*.py"))


def files_of(package: str) -> list[Path]:
    """Return the files of a package, or the one file of a module at the top of lexbridge."""
    single = ROOT / "lexbridge" / f"{package}.py"
    return [single] if single.exists() else list(python_files(package))


@cache
def imported_names(path: Path) -> list[str]:
    """Return the dotted name of each thing that a file imports, wherever in it."""
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} has a relative import"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    return names


def module_name(path: Path) -> str:
    """Return the dotted name of a file of this repository."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imported_packages(path: Path) -> set[str]:
    """Return the packages of lexbridge that a file imports, `__version__` left out."""
    names = (name.split(".") for name in imported_names(path))
    return {name[1] for name in names if name[0] == "lexbridge" and len(name) > 1} - {"__version__"}


def drawing() -> str:
    """Return the packages as a Mermaid graph: an arrow for each import that no longer way through others implies."""
    lines = ["```mermaid", "graph TD"]
    for package, job in reversed(PACKAGES.items()):
        lines.append(f'    {package}["<b>{package}</b><br>{job}"]')
    for package in reversed(PACKAGES):
        direct = IMPORTS[package]
        implied = {further for one in direct for further in _reached(one)}
        lines += [f"    {package} --> {other}" for other in PACKAGES if other in direct - implied]
    return "\n".join([*lines, "```", ""])


def table() -> str:
    """Return the packages as a Markdown table: the job of each, and what it may import."""
    rows = ["| Package | Job | May import |", "|---|---|---|"]
    for package, job in reversed(PACKAGES.items()):
        imports = ", ".join(f"`{one}`" for one in PACKAGES if one in IMPORTS[package])
        rows.append(f"| `{package}` | {job} | {imports or 'nothing of lexbridge'} |")
    return "\n".join([*rows, ""])


def _reached(package: str) -> set[str]:
    return {further for one in IMPORTS[package] for further in {one} | _reached(one)}


def block(text: str, name: str) -> str:
    """Return what stands between `<!-- name -->` and `<!-- end -->` in a document."""
    found = re.search(rf"<!-- {name} -->\n(.*?)<!-- end -->", text, re.DOTALL)
    assert found is not None, name
    return found[1]
