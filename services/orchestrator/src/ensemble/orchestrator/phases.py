"""The state machine of a session: what it is doing, and what may follow."""

import enum
from typing import Final


class Phase(enum.Enum):
    """What a session is doing."""

    IDLE = "idle"
    """Nobody speaks and nothing is asked."""
    LISTENING = "listening"
    """Somebody speaks."""
    THINKING = "thinking"
    """The model was asked and has said nothing yet."""
    TOOLS = "tools"
    """Tools run; their results go back to the model."""
    SPEAKING = "speaking"
    """The answer is on its way, as text or as speech."""
    INTERRUPTING = "interrupting"
    """The answer was stopped; what was heard of it is being settled."""


_ANSWERING: Final = frozenset({Phase.THINKING, Phase.TOOLS, Phase.SPEAKING})

TRANSITIONS: Final[dict[Phase, frozenset[Phase]]] = {
    # An assistant that speaks unasked goes straight to SPEAKING.
    Phase.IDLE: frozenset({Phase.LISTENING, Phase.THINKING, Phase.SPEAKING}),
    Phase.LISTENING: frozenset({Phase.IDLE, Phase.THINKING, Phase.SPEAKING}),
    Phase.THINKING: frozenset(
        {Phase.TOOLS, Phase.SPEAKING, Phase.INTERRUPTING, Phase.IDLE, Phase.LISTENING}
    ),
    Phase.TOOLS: frozenset({Phase.THINKING, Phase.INTERRUPTING, Phase.IDLE, Phase.LISTENING}),
    Phase.SPEAKING: frozenset(
        {Phase.TOOLS, Phase.THINKING, Phase.INTERRUPTING, Phase.IDLE, Phase.LISTENING}
    ),
    Phase.INTERRUPTING: frozenset({Phase.IDLE, Phase.LISTENING}),
}
"""What may follow each phase."""


class IllegalTransitionError(RuntimeError):
    """A step the state machine does not have: a fault in this program."""


class PhaseMachine:
    """Holds the phase of one session and refuses steps that make no sense."""

    def __init__(self) -> None:
        self._phase = Phase.IDLE

    @property
    def phase(self) -> Phase:
        """The present phase."""
        return self._phase

    @property
    def answering(self) -> bool:
        """An answer is under way and was not stopped."""
        return self._phase in _ANSWERING

    def to(self, phase: Phase) -> None:
        """Step to ``phase``; staying is no step.

        Raises:
            IllegalTransitionError: ``phase`` may not follow the present one.
        """
        if phase is self._phase:
            return
        if phase not in TRANSITIONS[self._phase]:
            raise IllegalTransitionError(f"{self._phase.value} -> {phase.value}")
        self._phase = phase
