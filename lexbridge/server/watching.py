"""Parts that the supervisor makes before it forks so that calls can be watched: the channel, the console's listener."""

import os
from collections.abc import Callable
from contextlib import suppress

from lexbridge import logs
from lexbridge.config.lines import LineTable
from lexbridge.config.route import CallRoute
from lexbridge.config.settings import Settings
from lexbridge.observer.admin.call_settings import CallSettings
from lexbridge.observer.process import observe
from lexbridge.server.children import ObserverMain
from lexbridge.server.listener import listen_on
from lexbridge.server.served_lines import ServedLines
from lexbridge.server.telling import Telling, both
from lexbridge.telemetry import metrics
from lexbridge.telemetry.channel import Channel
from lexbridge.telemetry.teller import Teller


class Watching:
    """The parts of watching that all processes share. Raises OSError if ADMIN_PORT cannot be listened on.

    It must be closed by the process that made it, the supervisor.
    """

    def __init__(self, settings: Settings, worker_slots: int, lines: ServedLines | None = None) -> None:
        """`worker_slots`: those of the scoreboard. `lines`: without it, there is the default line alone."""
        self._settings = settings
        alone = LineTable.of(settings)
        # A worker loads each table beside its calls. The observer loads one only where it is looked at.
        self._table: Callable[[], LineTable] = lines.table if lines else lambda: alone
        self._newest_table: Callable[[], LineTable] = lines.newest_table if lines else lambda: alone
        self._listener = None
        if settings.service.admin_port is not None:
            self._listener = listen_on(settings.service.admin_host, settings.service.admin_port)
        self._channel = Channel(worker_slots)
        self._has_metrics = settings.service.admin_port is not None  # else nobody could read them
        self._metrics_fault: str | None = None
        if self._has_metrics:
            try:
                metrics.start()
            except OSError as error:
                self._has_metrics, self._metrics_fault = False, str(error)
        self.sender = self._channel.supervisors_sender()
        """The supervisor's own sender."""

    def listen_to_supervisor(self) -> None:
        """Tell the observer of the supervisor's log lines from now on, and count them."""
        tell = Teller(self.sender).line_logged
        logs.listen(both(tell, metrics.take_supervisor_line) if self._has_metrics else tell)
        if self._metrics_fault is not None:
            logs.Log().error("metrics-not-counted", error=self._metrics_fault)

    def telling(self, slot: int) -> Telling:
        """Return what the worker in `slot` tells with. Call it in the worker."""
        counts = metrics.Metrics(slot, self._reply_mode_of) if self._has_metrics else None
        return Telling(Teller(self._channel.sender(slot)), slot, counts)

    def observer_main(
        self, configure_log: Callable[[], object], let_go: Callable[[str], bool] | None = None
    ) -> ObserverMain:
        """Return the main function of the observer process.

        `configure_log`: called first. `let_go`: lets a call go, and returns whether a worker had its stream.
        """
        supervisor_pid = os.getpid()

        def main(beat: Callable[[], None]) -> int:
            configure_log()
            logs.listen(metrics.start_observer())  # the supervisor's listener is not this process's
            ends = self._channel.observer_ends
            settings = CallSettings(self._newest_table)
            return observe(self._settings, ends, self._listener, supervisor_pid, beat, settings, let_go)

        return main

    def _reply_mode_of(self, line: str) -> str:
        """Return the reply mode of a line by its name."""
        table = self._table()
        settings = table.settings_of(CallRoute(line)) or table.default
        return "none" if settings is None else settings.reply_mode

    def close(self) -> None:
        """Close the listener, and delete the metrics, once all other processes have ended."""
        if self._has_metrics:
            metrics.stop()
        if self._listener is not None:
            with suppress(OSError):
                self._listener.close()
