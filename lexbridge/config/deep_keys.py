"""A look at the keys of a TOML text before it is parsed.

The time that `tomllib` takes for a key grows with the square of its dots: a minute for 30,000 of them.
"""

import re

_PART = r"""(?: [A-Za-z0-9_-]++ | " (?: [^"\\\n] | \\[^\n] )*+ " | ' [^'\n]*+ ' )"""
_NEXT_PART = rf"(?: [ \t]*+ \. [ \t]*+ {_PART} )"
_LONG_TEXT = r'''
    """ (?: [^"\\] | \\ (?: . | \Z ) | "{1,2} (?!") )*+ (?: "{3,5} | \Z )
    | \'\'\' (?: [^'] | '{1,2} (?!') )*+ (?: '{3,5} | \Z )
'''
_COMMENT = r"\# [^\n]*+"
_TEXT_WITHOUT_END = r"""["'] [^\n]*+"""
_OTHER = r"""[^"'\#A-Za-z0-9_-]++"""


def find_deep_key(text: str, most_dots: int) -> int | None:
    """Return the number of the line with the first key that has more than `most_dots` dots, or None if there is none.

    Dots count where TOML has a key, and not in texts and comments.
    """
    # One piece after the other, each of which is looked at a few times at most: so it takes time as the text is long.
    deep = rf"(?P<deep> {_PART} {_NEXT_PART}{{{most_dots + 1}}} )"
    key_or_value = rf"{_PART} {_NEXT_PART}*+"
    piece = "|".join([_COMMENT, _LONG_TEXT, deep, key_or_value, _TEXT_WITHOUT_END, _OTHER])
    for found in re.finditer(piece, text, re.VERBOSE | re.DOTALL):
        if found.lastgroup:
            return text.count("\n", 0, found.start()) + 1
    return None
