"""The settings of the line that served a call, for whoever looks at the call or hears it once more."""

from collections.abc import Callable

from lexbridge.config.line_settings import LineSettings
from lexbridge.config.lines import LineTable
from lexbridge.observer.admin.what_if import WhatIfRefused
from lexbridge.observer.calls.call_record import CallRecord


class CallSettings:
    """The settings of calls, by their lines. `table`: returns the table of lines that holds now."""

    def __init__(self, table: Callable[[], LineTable]) -> None:
        self._table = table

    def find(self, record: CallRecord) -> LineSettings | None:
        """Return the settings of a call's line, or None if there is no such line now.

        A call that was opened from a file may have the line of another service. Then it gets the default line's.
        """
        table = self._table()
        found = table.settings_of(record.facts.route)
        return table.default if found is None and record.is_opened else found

    def of(self, record: CallRecord) -> LineSettings:
        """Return the settings of a call's line. Raise WhatIfRefused if there is no such line now."""
        if (found := self.find(record)) is None:
            raise WhatIfRefused("the line that served this call is not in the table of lines")
        return found
