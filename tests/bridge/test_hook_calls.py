"""Whole calls of a bridge with a routing hook."""

from lexbridge.offline.twilio.events import StreamOpened
from tests.support import hook_server
from tests.support.flower_order import FLOWERS
from tests.support.hook_server import HookServer, says
from tests.support.rehearsal import wait_until
from tests.support.rig import PATIENCE_S, running, spoken
from tests.support.rig import says as caller_says
from tests.support.streaming import turns_of

GIVEN = {"tier": "gold", "note": "Zoë & Co"}


def test_the_bot_gets_what_the_hook_gave_with_the_first_turn() -> None:
    with (
        HookServer(says({"attributes": GIVEN, "greeting": "Hello Zoë."})).running() as hook,
        running([FLOWERS, "roses"], **hook.settings) as rig,
    ):
        call = rig.place_call(caller_says("some flowers", "roses"))
        wait_until(lambda: len([turn for turn in turns_of(rig) if turn.answered]) >= 2)
        first, second = turns_of(rig)[:2]
        assert GIVEN.items() <= first.attributes.items()
        assert not [name for name in first.attributes if name in ("lexbridge:hook", "lexbridge:greeting")]
        assert GIVEN.items() <= second.attributes.items()  # Lex has kept them
        call.hang_up()
        rig.ended(call)


def test_a_live_call_feels_nothing_of_a_hook_that_hangs() -> None:
    with HookServer().running() as hook, running([FLOWERS], **hook.settings) as rig:
        caller = caller_says()
        live = rig.place_call(caller)
        live.wait_for(StreamOpened, PATIENCE_S)
        hook.answer = hook_server.hangs
        others = [rig.place_call(caller_says()) for _ in range(10)]
        wait_until(lambda: hook.at_once == 10)
        caller.say("some flowers")
        update = rig.hears(live, "What type")
        assert spoken(update.twiml)
        for other in others:
            other.wait_for(StreamOpened, PATIENCE_S)  # by the table
        for one in (live, *others):
            one.hang_up()
            one.wait(PATIENCE_S)
