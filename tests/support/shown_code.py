"""Code that the documents show."""

import re
import textwrap

from tests.support.packages import ROOT


def shown(document: str, language: str, part: str) -> str:
    """Return the one block of a document in `language` ("" if it names none) that has `part` in it."""
    text = (ROOT / document).read_text(encoding="utf-8")
    blocks = re.findall(r"^ *```(\w*)\n(.*?)^ *```$", text, re.DOTALL | re.MULTILINE)
    (found,) = [block for its_language, block in blocks if its_language == language and part in block]
    return textwrap.dedent(found)
