"""`python -m lexbridge.offline talk`: a conversation with a bot in the terminal, in text.

Reads lines from standard input, typed or piped. `--details`, or the line `/details`, shows what the bot made of each.
"""

import argparse
import contextlib
import sys
from collections.abc import Iterable, Iterator
from datetime import date, datetime

from lexbridge.offline.commands.arguments import day
from lexbridge.offline.commands.lex import add_bot_argument, bots_of
from lexbridge.offline.lex.bots import Bot, BotFileError, Message
from lexbridge.offline.lex.dialogue import Conversation, DialogState, Turn, take_turn

_COMMANDS = "/details shows what the bot understood, /new starts again, /quit (or Ctrl-D) ends."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command `talk` to `parser`."""
    parser.description = "Talks with a bot in text, without telephone or network."
    add_bot_argument(parser)
    parser.add_argument("--details", action="store_true", help="show intent, slots and dialog state after each turn")
    parser.add_argument(
        "--today",
        type=day,
        metavar="YYYY-MM-DD",
        help='the day from which "tomorrow" is counted (default: today)',
    )


def run(args: argparse.Namespace) -> int:
    """Talk until the input ends or the bot says goodbye, and return the exit status."""
    try:
        bot = bots_of(args)[0]
    except BotFileError as error:
        print(error, file=sys.stderr)
        return 2
    today = args.today or datetime.now().astimezone().date()
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
        for line in conversation(bot, _lines(), today, details=args.details):
            print(line, flush=True)
    return 0


def _lines() -> Iterator[str]:
    """Standard input's lines; a person gets a prompt for each, a pipe sees its lines come back."""
    if sys.stdin is None:  # it is closed: nobody says anything
        return
    typed = sys.stdin.isatty()
    while True:
        if typed:
            print("you> ", end="", flush=True)
        line = sys.stdin.readline()
        if not line:
            return
        if not typed:
            print(f"you> {line.rstrip()}", flush=True)
        yield line


def conversation(bot: Bot, lines: Iterable[str], today: date, details: bool = False) -> Iterator[str]:
    """Yield the lines to print while the caller's lines come in."""
    yield f"{bot.name} listens. {_COMMANDS}"
    if examples := _examples(bot):
        yield "Try: " + "; ".join(examples) + "."
    state = Conversation()
    turn = Turn(state, ())
    for line in lines:
        text = line.strip()
        match text:
            case "":
                continue
            case "/quit":
                return
            case "/new":
                state = Conversation()
                yield "(a new conversation)"
                continue
            case "/details":
                yield from describe(turn)
                continue
        turn = take_turn(bot, state, text, today)
        state = turn.conversation
        yield from (f"bot> {_shown(message)}" for message in turn.messages)
        if details or not turn.messages:
            yield from describe(turn)
        hangs_up = state.intent == "GoodbyeIntent" or state.attributes.get("lexbridge:action") == "hangup"
        if hangs_up and state.state is DialogState.FULFILLED:
            yield "(on the phone the bridge would hang up now)"
            return


def _shown(message: Message) -> str:
    """A response card as its text and, in brackets, its buttons."""
    if message.card is None:
        return message.text
    words = ", ".join(filter(None, (message.card.title, message.card.subtitle)))
    return " ".join([words, *(f"[{text}]" for text, _ in message.card.buttons)])


def describe(turn: Turn) -> Iterator[str]:
    """Yield lines that say how the bot understood the caller's last line."""
    state = turn.conversation
    sure = "" if turn.confidence is None else f" (sure: {turn.confidence:.2f})"
    yield f"     dialog state: {state.state}; intent: {state.intent or 'none'}{sure}"
    for name, filling in state.fillings.items():
        said = "" if filling.original == filling.value else f' from "{filling.original}"'
        yield f"     {name} = {filling.value}{said}"
    if state.slot_to_elicit:
        yield f"     asking for {state.slot_to_elicit}"


def _examples(bot: Bot) -> list[str]:
    """A sample utterance of each intent, the first ones without slots."""
    plain = (next((u for u in intent.utterances if "{" not in u), None) for intent in bot.intents)
    return [f'"{utterance}"' for utterance in plain if utterance]
