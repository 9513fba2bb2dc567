"""Yes and no as people say them. Pure."""

from lexbridge.offline.lex.words import AFTER, without_fillers, words_of

YES = "yes|yes please|yeah|yep|sure|okay|correct|right|that is right|that is correct|sounds good|yes it does|yes it is"
"""Phrases that mean yes, between bars."""

NO = "no|nope|no thanks|no thank you|that is wrong|not really|no it does not|no it is not|do not do that"
"""Phrases that mean no, between bars."""

_YES = frozenset(words_of(phrase) for phrase in YES.split("|"))
_NO = frozenset(words_of(phrase) for phrase in NO.split("|"))


def yes_or_no(text: str) -> bool | None:
    """Return True for a yes, False for a no, or None for neither."""
    words = words_of(text)
    for candidate in (words, without_fillers(words), tuple(w for w in words if w not in AFTER)):
        if candidate in _YES:
            return True
        if candidate in _NO:
            return False
    return None
