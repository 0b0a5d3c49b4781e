"""How often this process looks for garbage that refers to itself."""

import gc
from typing import Final

_THRESHOLDS: Final = (50_000, 10, 10)
"""New objects until the young are looked at, and how often until the older are. With Python's own
700, a thousand conversations that are under way at once take twice the time of the processor, and
with 5 000 still a quarter more (``tests/bench/durable_rate.py``): what is looked at is still in
use. What a turn leaves does not refer to itself and is freed at once
(``services/orchestrator/tests/test_garbage.py``)."""


def relax_collector() -> None:
    """Leave alone what was made until now, and look less often at what comes.

    For a process that is through with its start and serves from now on; not for tests, whose
    leftovers would stay.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
