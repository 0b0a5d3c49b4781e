"""Numbers as part of utterance patterns."""

from typing import Final

_UNITS: Final = "one|two|three|four|five|six|seven|eight|nine"
_TEENS: Final = "ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen"
_TENS: Final = "twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"

NUMBER: Final = f"(zero|{_UNITS}|{_TEENS}|({_TENS}) [{_UNITS}]|(a|one) hundred)"
"""Any number from zero to a hundred, for what is not a parameter of its own."""
