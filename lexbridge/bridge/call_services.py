"""What the calls of one process share."""

from dataclasses import dataclass, field

from lexbridge.bridge.call_control import CallControl
from lexbridge.bridge.live_calls import CallRegistry
from lexbridge.bridge.media_turns import MediaTurns
from lexbridge.bridge.model_batches import ModelBatches


@dataclass(frozen=True, slots=True, eq=False)
class CallServices:
    """The parts of a process that all of its calls use.

    `auth_token`: Twilio's, with which tokens of streams are signed.
    """

    auth_token: str = field(repr=False)
    call_control: CallControl
    calls: CallRegistry
    turns: MediaTurns = field(default_factory=MediaTurns)
    batches: ModelBatches = field(default_factory=ModelBatches)
