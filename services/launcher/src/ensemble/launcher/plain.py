"""Text from elsewhere, made safe to show on a terminal."""

import re
from typing import Final

# Control characters but newline and tab, line separators, and what turns the reading direction.
_COMMANDS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def plain(text: str) -> str:
    """Return ``text`` without what would command a terminal instead of being shown."""
    return _COMMANDS.sub("�", text)
