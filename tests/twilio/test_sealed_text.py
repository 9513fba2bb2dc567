"""Texts that travel in an address: only who has the secret reads them, or writes another."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexbridge.twilio.sealed_text import seal, unseal


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=200))
def test_a_sealed_text_is_read_with_the_secret_alone(text):
    sealed = seal("secret", "whisper", text)
    assert unseal(["other", "secret"], "whisper", sealed) == text
    assert unseal(["other"], "whisper", sealed) is None
    assert unseal(["secret"], "after", sealed) is None


def test_a_sealed_text_shows_nothing_and_needs_no_escape():
    sealed = seal("secret", "whisper", "The caller wants roses. " * 9)
    assert sealed.replace("-", "").replace("_", "").isalnum()
    assert "roses" not in sealed


@pytest.mark.parametrize("position", range(0, 60, 7))
def test_a_sealed_text_that_was_changed_is_no_text(position):
    sealed = seal("secret", "whisper", "The caller wants roses, and is in a hurry.")
    other = "A" if sealed[position] != "A" else "B"
    assert unseal(["secret"], "whisper", sealed[:position] + other + sealed[position + 1 :]) is None


@pytest.mark.parametrize("sealed", ["", "A", "AAAA", "a b", "ü", "=" * 30, "!" * 30])
def test_what_was_never_sealed_is_no_text(sealed):
    assert unseal(["secret"], "whisper", sealed) is None


def test_what_utf8_cannot_hold_is_sealed_as_a_question_mark():
    assert unseal(["secret"], "whisper", seal("secret", "whisper", "a\ud800b")) == "a?b"
