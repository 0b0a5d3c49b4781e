"""How many answers may be given up: each is told to its client, but a whole one was wanted.

A second loss at the same place ends an answer; that is documented, and in life rare. Here a
process dies every two seconds, and the model router and then the orchestrator within half a second
often enough: 57 answers in the 1000 kills of ``docs/chaos-report.md``, of which chance may make
twice as many in a short run. Where nothing is gone on with, it is seven in ten. An answer that one
loss ended, or none, should have gone on; there is room for a loss that its client saw late.
"""

from collections.abc import Sequence

from tests.chaos.checker import GivenUp
from tests.chaos.run import Outcome

_SHARE, _SOME = 0.10, 5
_ONE_LOSS_SHARE, _ONE = 0.01, 1


def too_many_given_up(outcomes: Sequence[Outcome]) -> list[str]:
    """Return what is wrong about the answers that were given up, of all these runs together."""
    return too_many(
        sum(len(outcome.losses) for outcome in outcomes),
        [each for outcome in outcomes for each in outcome.given_up],
    )


def too_many(losses: int, given_up: Sequence[GivenUp]) -> list[str]:
    """Return what is wrong about ``given_up`` after so many losses; empty where nothing is."""
    light = [each for each in given_up if len(each.losses) < 2]
    limits = (
        ("", given_up, _SOME + int(_SHARE * losses)),
        (" although no more than one process died", light, _ONE + int(_ONE_LOSS_SHARE * losses)),
    )
    return [
        f"after {losses} losses {len(some)} answers were given up{what}, at most {limit} may be: "
        + "; ".join(map(str, some[:20]))
        for what, some, limit in limits
        if len(some) > limit
    ]
