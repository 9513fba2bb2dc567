"""Phone numbers as those who watch calls see them: masked."""

import re

SHOWN_DIGITS = 3
"""The last digits of a number that are shown, because an operator has to tell two callers apart, and no more."""

_NUMBER = re.compile(r"\+?[0-9]{7,15}")


def masked(address: str | None) -> str | None:
    """Return a caller's or a called address without what makes it a person's: "...567", or "sip" or "client".

    Return None if there is no address, or if it is of no known kind, such as "anonymous".
    """
    if not address:
        return None
    if _NUMBER.fullmatch(address.strip()):
        return f"...{address.strip()[-SHOWN_DIGITS:]}"
    kind = address.partition(":")[0].lower()
    return kind if kind in ("sip", "sips", "client") else None
