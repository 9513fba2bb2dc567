"""What Twilio's results of a transfer mean for the caller."""

import pytest

from lexbridge.call.transfers import TRANSFER_STATUSES, TransferEnd, returned_status, transfer_end

RETURNED, COMPLETED, GONE = TransferEnd.RETURNED, TransferEnd.COMPLETED, TransferEnd.GONE


@pytest.mark.parametrize(
    ("result", "call_status", "bridged", "end", "status"),
    [
        # <Dial>
        ("completed", "in-progress", "true", COMPLETED, "completed"),
        ("completed", "in-progress", "", COMPLETED, "completed"),
        ("answered", "in-progress", "false", COMPLETED, "completed"),  # a conference
        ("completed", "in-progress", "false", RETURNED, "no-answer"),  # they hung up while they heard the whisper
        ("busy", "in-progress", "", RETURNED, "busy"),
        ("no-answer", "in-progress", "", RETURNED, "no-answer"),
        ("failed", "in-progress", "", RETURNED, "failed"),
        ("canceled", "in-progress", "", RETURNED, "canceled"),
        # <Enqueue>
        ("bridged", "in-progress", "", COMPLETED, "completed"),
        ("bridging-in-process", "in-progress", "", COMPLETED, "completed"),
        ("queue-full", "in-progress", "", RETURNED, "queue-full"),
        ("leave", "in-progress", "", RETURNED, "left"),
        ("error", "in-progress", "", RETURNED, "failed"),
        ("system-error", "in-progress", "", RETURNED, "failed"),
        ("hangup", "in-progress", "", GONE, "gone"),
        ("redirected", "in-progress", "", GONE, "gone"),
        ("redirected-from-bridged", "in-progress", "", GONE, "gone"),
        # the caller has hung up meanwhile
        ("completed", "completed", "true", GONE, "gone"),
        ("no-answer", "completed", "", GONE, "gone"),
        ("canceled", "canceled", "", GONE, "gone"),
        # a result that is newer than this code, or missing
        ("quantum", "in-progress", "", RETURNED, "failed"),
        ("", "", "", RETURNED, "failed"),
    ],
)
def test_what_a_result_means_for_the_caller(result, call_status, bridged, end, status):
    assert transfer_end(result, call_status, bridged) == (end, status)


def test_a_status_in_an_address_is_one_of_ours():
    assert {returned_status(status) for status in TRANSFER_STATUSES.values()} == set(TRANSFER_STATUSES.values())
    assert returned_status("Drop it") is None
    assert returned_status(None) is None
