"""Where a text of C has comments and strings: what looks like a directive there is none.

Rules: pure. A comment or a string without its end goes as far as a compiler takes it to go.
"""

from __future__ import annotations

import re
from typing import Final

# Patterns, without groups of their own. Each begins with what nothing else begins with.
COMMENT: Final = r"//(?:\\[ \t\r]*\n|[^\n])*+|/\*(?:[^*]|\*(?!/))*+(?:\*/|\Z)"
STRING: Final = r'"(?:\\[\s\S]|[^"\\\n])*+"?' + r"|'(?:\\[\s\S]|[^'\\\n])*+'?"
_EITHER: Final = re.compile(f"(?P<comment>{COMMENT})|{STRING}")


def uncommented(text: str) -> str:
    """Return a text with a blank for each comment."""
    return _EITHER.sub(lambda found: " " if found["comment"] else found[0], text)


def ends(text: str) -> bool:
    """Return whether each comment of a text has its end in it."""
    found = [each["comment"] for each in _EITHER.finditer(text) if each["comment"]]
    last = found[-1] if found else ""
    return not last.startswith("/*") or (last.endswith("*/") and len(last) >= len("/**/"))
