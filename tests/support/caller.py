"""A caller who tells a call as a story, with Twilio's half of a two-way stream."""

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from lexbridge.audio.pcm import FRAME_MS, FRAME_SAMPLES, MULAW_FRAME_BYTES, MULAW_SILENCE, decode_mulaw, encode_mulaw
from lexbridge.audio.utterance_audio import PCM_BYTES_PER_SAMPLE
from lexbridge.audio.vad import AmplitudeDetector
from lexbridge.call.actions import (
    Action,
    BeginDialog,
    ClearAudio,
    CloseUtterance,
    FlushUtterance,
    HearMore,
    Note,
    OpenUtterance,
    SendAudio,
    SendKeys,
    SendMark,
    StreamOutput,
    SynthesizeSpeech,
    UpdateCall,
)
from lexbridge.call.documents import Opening
from lexbridge.call.events import (
    AttributesFetched,
    CallEvent,
    CallNotFound,
    Connected,
    Dtmf,
    LeaveRequested,
    LexFailed,
    LexReplied,
    LexSpeechEnded,
    LexSpeechFailed,
    LexSpoke,
    Mark,
    Media,
    MoreToHear,
    NextStreamOpened,
    SessionFetched,
    SessionFetchFailed,
    SilencePassed,
    Started,
    Stopped,
    StreamLost,
    UpdateFailed,
)
from lexbridge.call.output.reports import Reports
from lexbridge.call.session import CallSession
from lexbridge.call.switching import Switchboard
from lexbridge.call.turns import FLUSH_BYTES
from lexbridge.errors import LexError
from lexbridge.lex.model import DialogState, Message, Reply
from lexbridge.twilio.media_messages import parse
from lexbridge.twilio.twiml import TwimlDocuments
from tests.support.settings import make_settings
from tests.support.sounds import KEY_TONE, tone
from tests.support.twilio_messages import ACCOUNT_SID, CALL_SID, STREAM_SID
from tests.support.twiml import outline

NEXT_STREAM = Opening("lexbridge-0-next", [("lexbridge:token", "the token of the next stream")])


def in_short(output: Iterable[StreamOutput]) -> list[int | str]:
    """Return in short what goes out on a stream: the milliseconds of audio in a row, the names of marks, "clear"."""
    short: list[int | str] = []
    for action in output:
        match action:
            case SendAudio():
                assert action.mulaw
                assert len(action.mulaw) % MULAW_FRAME_BYTES == 0
                ms = len(action.mulaw) * FRAME_MS // MULAW_FRAME_BYTES
                last = short[-1] if short else None
                short[-1:] = [last + ms] if isinstance(last, int) else [*short[-1:], ms]
            case SendMark():
                short.append(action.name)
            case ClearAudio():
                short.append("clear")
    return short


class Upload:
    """Audio of a turn as a request sends it: what there is at first, and then what each flush and the end bring."""

    def __init__(self, action: OpenUtterance) -> None:
        self.turn = action.turn
        self._audio = action.audio
        self.pieces: list[bytes] = []  # PCM
        self.flush()

    @property
    def pcm(self) -> bytes:
        """All that was sent."""
        return b"".join(self.pieces)

    def flush(self) -> None:
        """Send what is there and was not sent yet."""
        self.pieces.append(self._audio.pcm(len(self.pcm)))


class Loudspeaker:
    """Twilio's half of a two-way stream: it plays what it is sent, a frame at a time, and then sends the marks back."""

    def __init__(self) -> None:
        self._queue: deque[bytes | str] = deque()  # audio, mu-law, and the names of marks

    @property
    def has_audio(self) -> bool:
        """Whether there is audio that was not played yet."""
        return any(isinstance(item, bytes) for item in self._queue)

    def take(self, action: StreamOutput) -> list[str]:
        """Take what is sent to Twilio. Return the marks that come back at once."""
        match action:
            case SendAudio():
                self._queue.append(action.mulaw)
            case SendMark():
                self._queue.append(action.name)
            case ClearAudio():
                marks = [item for item in self._queue if isinstance(item, str)]
                self._queue.clear()
                return marks
        return []

    def play(self) -> tuple[bytes, list[str]]:
        """Return the next frame that the caller hears, and the marks that were reached with it."""
        frame, marks = b"", []
        while self._queue and (isinstance(self._queue[0], str) or len(frame) < MULAW_FRAME_BYTES):
            item = self._queue.popleft()
            if isinstance(item, str):
                marks.append(item)
                continue
            room = MULAW_FRAME_BYTES - len(frame)
            frame += item[:room]
            if item[room:]:
                self._queue.appendleft(item[room:])
        return frame + MULAW_SILENCE * (MULAW_FRAME_BYTES - len(frame)), marks


def watch_ticks(session: CallSession) -> None:
    """Let a tick of the speaker fail that does something before it is due."""
    speaker, call = session._speaker, session._call
    tick = speaker.tick

    def watched() -> Reports:
        due_ms = speaker.next_due_ms()
        count = len(call.actions)
        reports = tick()
        if due_ms is None or due_ms > call.now_ms:
            assert (list(reports), len(call.actions)) == ([], count), f"it was due at {due_ms} ms"
        return reports

    speaker.tick = watched  # type: ignore[method-assign]


class Caller:
    """Caller who tells a call as a story, and keeps the actions of the session in order.

    BARGE_IN is off unless a story sets it: then what the caller says counts at any time. With REPLY_MODE=stream Twilio
    plays what it is sent at the pace at which the caller's own audio comes.
    """

    def __init__(
        self,
        phrase_audio: Mapping[str, bytes] | None = None,
        switchboard: Switchboard | None = None,
        **variables: str,
    ) -> None:
        settings = make_settings(**{"BARGE_IN": "off", **variables})
        self._is_two_way = settings.line.reply_mode == "stream"
        documents = TwimlDocuments(
            settings.service.url, settings.service.stream_url, hold_s=60, is_two_way=self._is_two_way
        )
        self.session = CallSession(
            settings.line.call_rules,
            documents,
            AmplitudeDetector(settings.line.voice_threshold),
            phrase_audio,
            switchboard,
        )
        watch_ticks(self.session)
        self.actions: list[Action] = []
        self.uploads: list[Upload] = []
        """Every request with audio, in order."""
        self.said = b""
        """All audio that the caller has sent, mu-law."""
        self.heard = b""
        """All audio that the caller has heard, mu-law: as long as what was said."""
        self.echo: tuple[int, float] | None = None
        """Echo of what was heard in what is said: (delay in ms, level in dB)."""
        self.marks_come_back = True
        self._loudspeaker = Loudspeaker()
        self._marks: list[str] = []  # that are on their way back
        self._seen = self._seen_messages = 0

    def dials(self, parameters: Mapping[str, str] | None = None) -> None:
        """Let the call answered and its stream started."""
        self.sends(Connected())
        self.sends(Started(STREAM_SID, CALL_SID, ACCOUNT_SID, parameters or {}))
        if self._is_two_way:
            self.session.receive(NextStreamOpened(NEXT_STREAM))

    def is_silent(self, ms: int) -> None:
        """Send silence for `ms`."""
        self._talks(MULAW_SILENCE * FRAME_SAMPLES, ms)

    def passes_without_media(self, ms: int) -> None:
        """Let `ms` pass in which the caller's phone sends nothing, and nothing is on its way."""
        self.sends(SilencePassed(ms))

    def speaks(self, ms: int) -> None:
        """Send voice for `ms`."""
        self._talks(tone(FRAME_MS), ms)

    def says_something(self) -> None:
        """Send an utterance of a second, and the silence that ends it."""
        self.speaks(1000)
        self.is_silent(700)

    def presses(self, keys: str) -> None:
        """Press keys one after the other. Twilio reports a key while its tone is still on the line."""
        for key in keys:
            self._talks(KEY_TONE, 80)
            self.sends(Dtmf(key))
            self._talks(KEY_TONE, 40)
            self.is_silent(80)

    def hangs_up(self) -> None:
        """Let Twilio stop the stream, for the call is over."""
        self.sends(Stopped())

    def is_cut_off(self) -> None:
        """Close the socket without a `stop`."""
        self.sends(StreamLost())

    def is_gone(self) -> None:
        """Let Twilio's REST API say that there is no such call any more."""
        self.sends(CallNotFound())

    def does_not_get_the_update(self, ago: int = 0) -> None:
        """Let Twilio fail to carry out the last document, or the one made `ago` documents before it."""
        made = [action.number for action in self.actions if isinstance(action, UpdateCall)] or [0]
        self.sends(UpdateFailed(made[-1 - ago]))

    def lex_says(self, *texts: str, turn: int | None = None, speaks: bool = False, **reply: Any) -> None:
        """Let Lex answer `turn`, or the turn that was sent last. `speaks`: its audio is about to come."""
        reply = {"dialog_state": DialogState.ELICIT_SLOT, "transcript": "what the caller said"} | reply
        messages = tuple(Message(text) for text in texts)
        self.sends(LexReplied(turn or self.asked[-1].turn, Reply(messages=messages, **reply), speaks))

    def lex_says_aloud(self, *texts: str, ms: int = 1000, turn: int | None = None, **reply: Any) -> None:
        """Let Lex answer `turn`, or the turn that was sent last, with all `ms` of its audio at once."""
        turn = turn or self.asked[-1].turn
        self.lex_says(*texts, turn=turn, speaks=True, **reply)
        self.lex_speaks(tone(ms), turn)
        self.lex_has_spoken(turn)

    def lex_speaks(self, mulaw: bytes, turn: int | None = None) -> None:
        """Bring more of Lex's audio for `turn`, or for the turn that was sent last."""
        self.sends(LexSpoke(turn or self.asked[-1].turn, mulaw))

    def lex_has_spoken(self, turn: int | None = None) -> None:
        """End Lex's audio for `turn`, or for the turn that was sent last."""
        self.sends(LexSpeechEnded(turn or self.asked[-1].turn))

    def lex_loses_its_voice(self, turn: int | None = None) -> None:
        """Break Lex's audio for `turn`, or for the turn that was sent last, off."""
        self.sends(LexSpeechFailed(turn or self.asked[-1].turn))

    def lex_tells_session(self, *texts: str | Message, **reply: Any) -> None:
        """Let Lex tell what it said last in this session; without texts and fields, that it knows no session."""
        reply = {"dialog_state": DialogState.ELICIT_SLOT} | reply
        messages = tuple(text if isinstance(text, Message) else Message(text) for text in texts)
        self.sends(SessionFetched(Reply(messages=messages, **reply) if texts or len(reply) > 1 else None))

    def lex_tells_no_session(self) -> None:
        """Let Lex fail to tell where the dialog stands."""
        self.sends(SessionFetchFailed())

    def other_bot_tells(self, attributes: Mapping[str, str] | None) -> None:
        """Let the bot that handed the call over tell the attributes of its session; None: it cannot be asked."""
        self.sends(AttributesFetched(attributes))

    def lex_fails(self, error: LexError, turn: int | None = None) -> None:
        """Let Lex fail to answer `turn`, or the turn that was sent last."""
        self.sends(LexFailed(turn or self.asked[-1].turn, error))

    def has_to_leave(self, opening: Opening | None = None) -> None:
        """Let the process end, so that the call has to go on over another stream: that of `opening`, if given."""
        if opening is not None:
            self.session.receive(NextStreamOpened(opening))
        self.session.receive(LeaveRequested())

    def sends(self, message: CallEvent | str) -> None:
        """Bring an event to the session, or a message of the media socket as Twilio's text."""
        self.session.receive(parse(message) if isinstance(message, str) else message)
        self._take_actions()

    @property
    def hears_a_prompt(self) -> bool:
        """Whether Twilio has audio that the caller has not heard yet."""
        return self._loudspeaker.has_audio

    @property
    def asked(self) -> list[OpenUtterance | SendKeys | BeginDialog]:
        """Every request to Lex, in order."""
        return [action for action in self.actions if isinstance(action, OpenUtterance | SendKeys | BeginDialog)]

    def asked_aloud(self) -> list[str]:
        """Return every text that Lex was asked to say aloud, in order."""
        return [message.text for ask in self.actions if isinstance(ask, SynthesizeSpeech) for message in ask.messages]

    @property
    def notes(self) -> list[Note]:
        """Every note, in order."""
        return [action for action in self.actions if isinstance(action, Note)]

    def sent_to_lex(self, turn: int) -> bytes:
        """Return the audio that Lex got of `turn`, PCM."""
        return b"".join(upload.pcm for upload in self.uploads if upload.turn == turn)

    def has_lex_heard(self, turn: int, pcm: bytes) -> bool:
        """Return whether Lex got `pcm` of `turn`, but for less than 100 ms that wait to be sent."""
        sent = self.sent_to_lex(turn)
        return pcm.startswith(sent) and len(pcm) - len(sent) < FLUSH_BYTES * PCM_BYTES_PER_SAMPLE

    def note(self, event: str) -> dict[str, Any]:
        """Return the fields of the only note of `event`."""
        (note,) = [note for note in self.notes if note.event == event]
        return dict(note.fields)

    def noted(self, event: str) -> int:
        """Count the notes of `event`."""
        return sum(note.event == event for note in self.notes)

    def steps(self) -> list[str]:
        """Return the actions since the last look, without notes and audio: "OpenUtterance 1", "UpdateCall"."""
        new, self._seen = self.actions[self._seen :], len(self.actions)
        shown = [action for action in new if not isinstance(action, FlushUtterance | StreamOutput | Note)]
        return [f"{type(action).__name__} {getattr(action, 'turn', '')}".strip() for action in shown]

    def gets(self) -> list[int | str]:
        """Return in short what went out on the stream since the last look: [500, "turn-1.1:500", "clear"]."""
        new, self._seen_messages = self.actions[self._seen_messages :], len(self.actions)
        return in_short(action for action in new if isinstance(action, StreamOutput))

    def hears(self) -> list[str]:
        """Return what the newest document says and does: ["Which flowers?", "Pause", "Redirect"]."""
        return outline(self.document())

    def document(self) -> str:
        """Return the newest document."""
        return [action for action in self.actions if isinstance(action, UpdateCall)][-1].twiml

    def _talks(self, mulaw_frame: bytes, ms: int) -> None:
        for _ in range(ms // FRAME_MS):
            frame = self._with_echo(mulaw_frame)
            timestamp_ms = len(self.said) * FRAME_MS // FRAME_SAMPLES
            self.said += frame
            self.sends(Media(timestamp_ms, True, frame))
            self._listens()

    def _listens(self) -> None:
        """Let the caller hear a frame, after what was sent before."""
        frame, reached = self._loudspeaker.play()
        self.heard += frame
        marks, self._marks = [*self._marks, *reached], []
        for mark in marks if self.marks_come_back else []:
            self.sends(Mark(mark))

    def _with_echo(self, mulaw_frame: bytes) -> bytes:
        if self.echo is None:
            return mulaw_frame
        delay_ms, db = self.echo
        at = len(self.said) - delay_ms * FRAME_SAMPLES // FRAME_MS
        if at < 0:
            return mulaw_frame
        heard = np.frombuffer(decode_mulaw(self.heard[at : at + FRAME_SAMPLES]), dtype="<i2")
        said = np.frombuffer(decode_mulaw(mulaw_frame), dtype="<i2")
        mixed = np.clip(said + np.rint(heard * 10 ** (db / 20)), -32768, 32767).astype("<i2")
        return encode_mulaw(mixed.tobytes())

    def _take_actions(self) -> None:
        while True:
            goes_on = False
            for action in self.session.actions():
                if isinstance(action, HearMore):
                    goes_on = True
                else:
                    self.actions.append(action)
                    self._carry_out(action)
            if not goes_on:
                return
            self.session.receive(MoreToHear())

    def _carry_out(self, action: Action) -> None:
        if isinstance(action, OpenUtterance):
            self.uploads.append(Upload(action))
        if isinstance(action, FlushUtterance | CloseUtterance):
            assert self.uploads[-1].turn == action.turn
            self.uploads[-1].flush()
        if isinstance(action, StreamOutput):
            self._marks += self._loudspeaker.take(action)
