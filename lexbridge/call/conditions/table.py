"""Table of the conditions of a call: all that may hold beside its states, and that changes what an event does.

`CONDITIONS` is the table that docs/call.md prints. `states` tells how states and conditions work together.
"""

from lexbridge.call.conditions.condition import Condition
from lexbridge.call.conditions.dialog import DIALOG
from lexbridge.call.conditions.first_prompt import FIRST_PROMPT
from lexbridge.call.conditions.hearing import HEARING
from lexbridge.call.conditions.leaving import LEAVING
from lexbridge.call.conditions.speaking import SPEAKING
from lexbridge.call.conditions.turns import TURNS

CONDITIONS: tuple[Condition, ...] = (*HEARING, *FIRST_PROMPT, *TURNS, *DIALOG, *SPEAKING, *LEAVING)
