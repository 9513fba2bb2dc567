"""Shapes of TwiML's elements: the attributes and children that each may have, and Twilio's code for other children.

Source: the page of each verb and noun, https://www.twilio.com/docs/voice/twiml .
"""

from collections.abc import Mapping
from dataclasses import dataclass

from lexbridge.offline.twilio.verbs import SSML


@dataclass(frozen=True, slots=True)
class Shape:
    """The children that an element may have. `wrong_child`: the code for any other child."""

    attributes: frozenset[str]
    children: frozenset[str] = frozenset()
    wrong_child: int = 12200
    text: bool = False


def _shape(attributes: str = "", children: str = "", wrong_child: int = 12200, *, text: bool = False) -> Shape:
    return Shape(frozenset(attributes.split()), frozenset(children.split()), wrong_child, text)


_PROGRESS = " statusCallback statusCallbackEvent statusCallbackMethod"
_MACHINES = (
    " machineDetection machineDetectionTimeout machineDetectionSpeechThreshold machineDetectionSpeechEndThreshold "
    "machineDetectionSilenceTimeout amdStatusCallback amdStatusCallbackMethod"
)
_RECORDING = " recordingStatusCallback recordingStatusCallbackMethod recordingStatusCallbackEvent"
SHAPES: Mapping[str, Shape] = {
    "Say": Shape(frozenset({"voice", "language", "loop"}), SSML, text=True),
    "Play": _shape("loop digits", text=True),
    "Pause": _shape("length"),
    "Redirect": _shape("method", text=True),
    "Hangup": _shape(),
    "Leave": _shape(),
    "Reject": _shape("reason"),
    "Start": _shape("action method", "Stream", 14300),
    "Stop": _shape("", "Stream"),
    "Connect": _shape("action method", "Stream"),
    "Dial": _shape(
        "action method timeout timeLimit callerId record answerOnBridge hangupOnStar ringTone trim sequential "
        "recordingTrack referUrl referMethod callReason" + _RECORDING,
        "Number Sip Client Queue Conference",
        13215,
        text=True,
    ),
    "Number": _shape("sendDigits url method byoc" + _PROGRESS + _MACHINES, text=True),
    "Sip": _shape("username password url method codecs" + _PROGRESS + _MACHINES, text=True),
    "Client": _shape("url method" + _PROGRESS, "Identity Parameter", text=True),
    "Identity": _shape(text=True),
    "Queue": _shape("url method reservationSid postWorkActivitySid", text=True),
    "Conference": _shape(
        "muted beep startConferenceOnEnter endConferenceOnExit participantLabel jitterBufferSize waitUrl waitMethod "
        "maxParticipants record region trim coach eventCallbackUrl" + _PROGRESS + _RECORDING,
        text=True,
    ),
    "Enqueue": _shape("action method waitUrl waitUrlMethod workflowSid maxQueueSize", "Task", text=True),
    "Task": _shape("priority timeout", text=True),
    "Gather": _shape(
        "action method input timeout speechTimeout maxSpeechTime numDigits finishOnKey hints language bargeIn "
        "profanityFilter speechModel enhanced partialResultCallback partialResultCallbackMethod actionOnEmptyResult "
        "debug",
        "Say Play Pause",
        13320,
    ),
    "Stream": _shape("url name track statusCallback statusCallbackMethod", "Parameter"),
    "Parameter": _shape("name value"),
}

NOT_SIMULATED = frozenset({"Echo", "Pay", "Prompt", "Record", "Refer", "Sms"})
"""Real verbs of Twilio's that nothing here needs. A document that uses one is not wrong, but it cannot be run here."""
