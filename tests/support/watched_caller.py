"""A caller, with Lex and Twilio, that fails as soon as a session's action breaks a rule."""

from lexbridge.audio.pcm import PCM_FRAME_BYTES
from lexbridge.call.actions import (
    BeginDialog,
    CancelUtterance,
    ClearAudio,
    CloseUtterance,
    FetchSession,
    FlushUtterance,
    Note,
    OpenUtterance,
    SendAudio,
    SendKeys,
    SendMark,
    StreamOutput,
    SynthesizeSpeech,
    UpdateCall,
)
from lexbridge.call.events import LexReplied, SessionFetched, SessionFetchFailed, UpdateFailed
from lexbridge.call.output.prompt import HEARD_WITHIN_MS
from lexbridge.call.states import CallState
from lexbridge.errors import LexUnavailable, SessionNotRestored
from lexbridge.lex.model import DialogState, Message, Reply
from tests.support.caller import Caller, in_short
from tests.support.sounds import tone
from tests.support.twilio_messages import mark_text
from tests.support.twiml import outline

NO_INPUT_S, FILLER_S, LONGEST_SPEECH_MS = 2, 1, 2000


class WatchedCaller(Caller):
    """A caller, with Lex and Twilio's REST API as far as a session knows them.

    It fails as soon as an action breaks a rule. Its Lex and its Twilio do only what the real ones would do.
    """

    def __init__(self, phrase_audio, **variables):
        self.open = None  # the turn whose audio Lex is being sent
        self.in_flight = None  # the turn that Lex is busy with
        self.ends = {}  # turn: how it ended
        self.opened = set()
        self.failed_before_it_was_joined = None
        self.restores_session = False  # the session, before the turn that Lex is busy with
        self.cancelled = set()
        self.speaking = {}  # turn: how much more Lex may say of its answer, ms
        self.synthesized = []  # the numbers of prompts that Lex was asked to say
        self.fetches = 0  # that are not answered
        self.updates = []  # that neither failed nor were carried out
        self.last_document = None  # after which nothing more comes, unless it fails
        self.marks_sent = []
        self.has_ended = False
        super().__init__(phrase_audio, **variables)

    def _carry_out(self, action):
        super()._carry_out(action)
        assert not self.has_ended, f"{action} after the end"
        match action:
            case OpenUtterance() | SendKeys() | BeginDialog():
                assert self.in_flight is None
                assert self.session.state is CallState.LIVE
                assert action.turn > max(self.opened, default=0)
                self.opened.add(action.turn)
                self.restores_session = isinstance(action, OpenUtterance) and action.checkpoint is not None
                self.in_flight = action.turn
                self.open = action.turn if isinstance(action, OpenUtterance) else None
            case FlushUtterance():
                assert action.turn == self.open
                assert len(self.uploads[-1].pcm) % PCM_FRAME_BYTES == 0
            case CloseUtterance():
                assert action.turn == self.open
                self.open = None
            case CancelUtterance():
                self._cancelled(action.turn)
            case FetchSession():
                self.fetches += 1
            case SynthesizeSpeech():
                assert self._is_two_way
                assert action.messages
                assert action.turn < min(self.synthesized, default=0)
                self.synthesized.append(action.turn)
                self.speaking[action.turn] = LONGEST_SPEECH_MS
            case SendAudio() | SendMark() | ClearAudio():
                self._sent(action)
            case UpdateCall():
                self._updated(action)
            case Note():
                self._noted(action)

    def _cancelled(self, turn):
        assert turn in self.opened or turn in self.synthesized
        assert turn not in self.cancelled
        assert turn == self.in_flight or turn in self.speaking, "there is nothing to be cancelled"
        self.cancelled.add(turn)
        self.speaking.pop(turn, None)

    def _sent(self, action):
        assert self.last_document is None, "nobody hears it any more"
        (short,) = in_short([action])
        if isinstance(short, str) and short != "clear":
            assert short not in self.marks_sent
            self.marks_sent.append(short)

    def _updated(self, action):
        assert self.last_document is None, "nothing comes after it"
        assert action.number == 1 + sum(isinstance(earlier, UpdateCall) for earlier in self.actions[:-1])
        self.updates.append(action.number)
        assert len(self.ends) == self.session.turn_count or not action.hands_over, "something is under way"
        if action.hands_over or outline(action.twiml)[-1] == "Hangup":
            self.last_document = action.number

    def _noted(self, note):
        ends = {"turn-answered": "answered", "turn-failed": "failed", "utterance-dropped": "dropped"}
        if note.event in ends:
            turn = note.fields["turn"]
            assert turn not in self.ends, f"it was {self.ends[turn]} before"
            self.ends[turn] = ends[note.event]
            assert (turn in self.opened) == (turn == self.in_flight)
            assert (note.event == "utterance-dropped" and turn in self.opened) == (turn in self.cancelled)
            if turn == self.in_flight:
                self.in_flight = self.open = None
        if note.event == "joined":
            self.failed_before_it_was_joined = None
            if note.fields["with_turn"] not in self.ends:
                assert note.fields["with_turn"] == self.in_flight
                self.failed_before_it_was_joined = self.in_flight
                self.ends[self.in_flight] = "joined"
                self.in_flight = self.open = None
        self.has_ended = note.event == "stream-ended"

    # -- what Lex and Twilio do

    def is_answered(self, reply, speaks):
        """Let Lex answer what it was asked, if it was."""
        turn = self.in_flight
        if turn is None:
            return
        if speaks and self._is_two_way:
            self.speaking[turn] = LONGEST_SPEECH_MS
        self.sends(LexReplied(turn, reply, speaks and self._is_two_way))

    def is_not_restored(self):
        """Let Lex fail to restore the session, so that the joined turn is not sent."""
        turn = self.in_flight
        if turn is None or not self.restores_session:
            return
        self.opened.remove(turn)
        self.in_flight = self.open = None
        if self.ends.get(self.failed_before_it_was_joined) == "joined":
            del self.ends[self.failed_before_it_was_joined]  # now it fails
            self.in_flight = self.failed_before_it_was_joined
        self.lex_fails(SessionNotRestored("no such permission"), turn)

    def hears_more_of_lex(self, ms):
        if self.speaking:
            turn = next(reversed(self.speaking))  # both ways: more of the newest, and the end of the oldest
            ms = min(ms, self.speaking[turn])
            self.speaking[turn] -= ms
            self.lex_speaks(tone(ms), turn)

    def hears_the_last_of_lex(self, fails=False):
        if self.speaking:
            turn = next(iter(self.speaking))
            del self.speaking[turn]
            self.lex_loses_its_voice(turn) if fails else self.lex_has_spoken(turn)

    def gets_what_is_late(self, turn):
        """Bring Lex's answer to a turn that was given up, which was on its way already."""
        if turn in self.cancelled and turn != self.in_flight:
            self.lex_says("Late.", turn=turn, speaks=True)
            self.lex_speaks(tone(40), turn)
            self.lex_has_spoken(turn)
            self.lex_loses_its_voice(turn)
            self.lex_fails(LexUnavailable("late"), turn)

    def gets_session(self, reply):
        if self.fetches:
            self.fetches -= 1
            self.sends(SessionFetchFailed() if reply == "" else SessionFetched(reply))

    def gets_an_update(self):
        """Let Twilio carry out the oldest document that waits."""
        del self.updates[:1]

    def misses_an_update(self):
        """Let Twilio fail to carry out the oldest document that waits."""
        if self.updates:
            number = self.updates.pop(0)
            if number == self.last_document:
                self.last_document = None
            self.sends(UpdateFailed(number))

    def gets_marks(self, names):
        for name in names:
            self.sends(mark_text(name))

    def settles(self):
        """Let caller, Lex and Twilio finish what they have begun, and begin nothing more."""
        self.echo = None  # one that is louder than echoes are is an answer, and another one
        while self.fetches:
            self.gets_session(None)
        self.is_silent(4000)  # an utterance ends, and keys that were pressed
        while self.in_flight is not None or self.speaking:
            self.is_answered(Reply(DialogState.ELICIT_SLOT, (Message("Well?"),), transcript="well"), speaks=True)
            self.hears_more_of_lex(300)
            self.hears_the_last_of_lex()
        plays_ms = sum(ms for ms in in_short(self.sent) if isinstance(ms, int))
        self.is_silent(plays_ms + HEARD_WITHIN_MS * (1 + len(self.ends)))

    @property
    def sent(self):
        return [action for action in self.actions if isinstance(action, StreamOutput)]
