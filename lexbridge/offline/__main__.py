"""python -m lexbridge.offline: everything lexbridge needs from outside, on this machine."""
# ruff: noqa: E402 - gevent patches before anything else is imported

import sys

try:
    from gevent import monkey
except ModuleNotFoundError as error:
    print(f"{error}: pip install -r requirements-offline.txt, and run it with that Python", file=sys.stderr)
    sys.exit(2)

monkey.patch_all()  # first of all: whatever is imported after it waits without stopping the calls

import argparse
import importlib
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Command:
    """A command: the module with its `add_arguments` and `run`, its help, and the packages it cannot do without."""

    module: str
    help: str
    packages: tuple[str, ...]


_SPEECH = ("hibari", "soundswallower")
COMMANDS = {
    "demo": Command("demo", "whole calls through the real bridge", (*_SPEECH, "matplotlib", "yaml", "websocket")),
    "lex": Command("lex", "the local Lex runtime, for a bridge of your own", _SPEECH),
    "call": Command("call", "one simulated call at a bridge of your own", ("hibari", "yaml", "websocket")),
    "phone": Command("phone", "a phone in the browser, for a bridge of your own", ("hibari", "websocket")),
    "run": Command("run", "a bridge with a local bot and a phone in the browser", (*_SPEECH, "websocket")),
    "twilio": Command("twilio", "Twilio's REST API of one account, for server.py --check=live", ()),
    "hear": Command("hear", "what each detector makes of a recording of your own", ()),
    "replay": Command("replay", "what today's endpointing makes of a recorded call", ()),
    "top": Command("top", "the live calls of a service in the terminal", ("rich",)),
    "talk": Command("talk", "a conversation with a bot in the terminal", ()),
}


def main(arguments: Sequence[str]) -> int:
    """The program; returns its exit status. Only the chosen command's module is imported."""
    if sys.stdout is None:  # closed: what is opened next would get its number
        print("standard output is closed: point it somewhere, such as 1>/dev/null", file=sys.stderr)
        return 2
    parser = argparse.ArgumentParser(prog="python -m lexbridge.offline", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="|".join(COMMANDS))
    chosen = next((argument for argument in arguments if argument in COMMANDS), None)
    module = None
    for name, command in COMMANDS.items():
        of_command = commands.add_parser(name, help=command.help)
        if name == chosen:
            missing = [package for package in command.packages if importlib.util.find_spec(package) is None]
            if missing:
                print(f"{name} needs {', '.join(missing)}: pip install -r requirements-offline.txt", file=sys.stderr)
                return 2
            module = importlib.import_module(f"lexbridge.offline.commands.{command.module}")
            module.add_arguments(of_command)
    args = parser.parse_args(arguments)
    if module is None:  # argparse has left with the usage by now
        return 2
    try:
        status: int = module.run(args)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # whoever read along has seen enough
        sys.stdout = None  # Python would try once more as it ends
        return 1
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
