"""`/metrics` of the whole service, while its workers take calls, are killed, and are replaced."""

import os
import re
import signal
from pathlib import Path

from lexbridge.offline.twilio.events import StreamOpened
from tests.support.processes import children
from tests.support.rehearsal import wait_until
from tests.support.rig import PATIENCE_S
from tests.support.scraped_metrics import fallen, promtool, samples_of
from tests.support.server_process import said, two_workers
from tests.support.watched_service import WatchedService, watched_service

SENTENCES = ["I would like to order flowers"] * 6


class Scrapes:
    """Scrapes of one service, each compared with the one before."""

    def __init__(self, service: WatchedService) -> None:
        self._service = service
        self.newest: dict[str, float] = {}
        self.fallen: list[str] = []

    def scrape(self) -> dict[str, float]:
        """Scrape once more."""
        before, self.newest = self.newest, samples_of(self._service.get("/metrics").text)
        self.fallen += fallen(before, self.newest)
        return self.newest

    def until(self, name: str, value: float) -> None:
        """Scrape until a sample has a value."""
        wait_until(lambda: self.scrape().get(name) == value)

    def worker_with_a_call(self) -> int:
        """Return the process id of a worker that has calls."""
        for number in range(6):
            if self.newest.get(f'lexbridge_worker_calls_live{{worker="{number}"}}'):
                return int(self.newest[f'lexbridge_worker_process_id{{worker="{number}"}}'])
        raise AssertionError("no worker has a call")


def test_no_counter_falls_while_workers_come_and_go(tmp_path: Path) -> None:
    """Three workers, of which one is killed with calls, and then all are replaced: live calls are right all along."""
    with watched_service(tmp_path, *SENTENCES, workers=3, REPLY_MODE="stream") as service:
        scrapes = Scrapes(service)
        scrapes.until("lexbridge_workers", 3)
        calls = [service.place_call("I would like to order flowers") for _ in range(4)]
        scrapes.until("lexbridge_calls_live", 4)
        scrapes.until('lexbridge_utterances_total{reason="hangover"}', 4)
        frames = scrapes.newest["lexbridge_media_frames_total"]
        os.kill(scrapes.worker_with_a_call(), signal.SIGKILL)
        scrapes.until('lexbridge_worker_deaths_total{how="SIGKILL"}', 1)
        scrapes.until("lexbridge_calls_live", 4)  # Twilio opened new streams, which go on with the calls
        scrapes.until("lexbridge_workers", 3)
        assert scrapes.newest['lexbridge_calls_resumed_total{how="lost"}'] >= 1
        assert scrapes.newest["lexbridge_calls_started_total"] == 4
        wait_until(lambda: scrapes.scrape()["lexbridge_media_frames_total"] > frames)
        for call in calls[:2]:
            call.hang_up()
        scrapes.until('lexbridge_calls_ended_total{ended_by="caller",why="none"}', 2)
        scrapes.until("lexbridge_calls_live", 2)
        old = children(service.bridge.pid)
        service.bridge.send_signal(signal.SIGHUP)
        wait_until(lambda: len(said(service.bridge, "stopped")) >= 2 and scrapes.scrape()["lexbridge_calls_live"] <= 2)
        for call in calls[2:]:
            call.hang_up()
        scrapes.until("lexbridge_calls_live", 0)
        scrapes.until("lexbridge_workers", 3)
        wait_until(lambda: len({*old} & {*children(service.bridge.pid)}) == 1)  # the observer process stays
        scrapes.until('lexbridge_worker_replacements_total{why="renewal"}', 3)
        assert sum(name.startswith("lexbridge_worker_memory_limit_bytes") for name in scrapes.newest) == 3
        assert scrapes.fallen == []
        text = service.get("/metrics").text
        assert not re.search(r"(CA|MZ|AC)[0-9a-f]{32}|\+[0-9]{7,}|flower", text)


def test_promtool_accepts_what_is_served(tmp_path: Path) -> None:
    with watched_service(tmp_path, *SENTENCES, workers=2) as service:
        call = service.place_call("I would like to order flowers")
        call.wait_for(StreamOpened, PATIENCE_S)
        wait_until(lambda: samples_of(service.get("/metrics").text)["lexbridge_calls_live"] == 1)
        answer = service.get("/metrics")
        call.hang_up()
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        assert promtool("check", "metrics", text=answer.text) == ""


def test_without_an_admin_port_nothing_is_counted(tmp_path: Path) -> None:
    with two_workers(tmp_path) as bridge:
        workers = children(bridge.pid)
        assert len(workers) == 2
        open_files = [one.readlink() for pid in workers for one in Path(f"/proc/{pid}/fd").iterdir()]
        assert not [one for one in open_files if "lexbridge-metrics" in str(one)]
