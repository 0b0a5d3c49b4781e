"""A model that answers by the script, inside the real model router."""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable

from ensemble.model_router.domain import (
    Call,
    Finished,
    ModelEvent,
    Role,
    StopReason,
    TextDelta,
    TokenUsage,
    ToolCall,
)
from ensemble.model_router.ports import Condition, Model, State
from ensemble.testkit.chaos.script import TOOL, Question, parse

FIRST_S = 0.15
"""Seconds of thinking before the first token."""

TOKEN_S = 0.04
"""Seconds between two tokens."""


CANNOT_CONTINUE = "CHAOS_CANNOT_CONTINUE"
"""Variable of the environment: when set, the model is one that cannot go on behind a text."""


class ScriptedModel:
    """Answers ``script.Question``, and goes on behind what is committed.

    Args:
        can_continue: It does so; most providers cannot.
    """

    name = "scripted"
    engine = "script"
    context_tokens = 0

    def __init__(self, can_continue: bool = True) -> None:
        self.can_continue = can_continue

    def condition(self) -> Condition:
        return Condition(State.READY)

    async def start(self) -> None:
        """Nothing to load."""

    async def ready(self, timeout: float) -> bool:
        return True

    async def close(self) -> None:
        """Nothing to free."""

    async def chat(self, call: Call) -> AsyncGenerator[ModelEvent, None]:
        question, tool_done = _read(call)
        written = 0
        if question is None:
            yield TextDelta("What?", 1)
            yield Finished(StopReason.COMPLETED, TokenUsage(1, 1))
            return
        if await _pause(call, FIRST_S):
            yield Finished(StopReason.CANCELLED, TokenUsage(1, written))
            return
        if question.tool and not tool_done:
            yield ToolCall("journal", TOOL, f'{{"entry": "{question.key}"}}')
            yield Finished(StopReason.TOOL_CALLS, TokenUsage(1, 1))
            return
        for token in _rest(question, call.committed_text):
            if await _pause(call, TOKEN_S):
                yield Finished(StopReason.CANCELLED, TokenUsage(1, written))
                return
            written += 1
            yield TextDelta(token, 1)
        yield Finished(StopReason.COMPLETED, TokenUsage(1, written))


def _read(call: Call) -> tuple[Question | None, bool]:
    """Return the last question, and whether a tool was run for it."""
    question, tool_done = None, False
    for message in call.messages:
        if message.role is Role.USER:
            question, tool_done = parse(message.text), False
        elif message.role is Role.TOOL:
            tool_done = True
    return question, tool_done


def _rest(question: Question, committed: str) -> list[str]:
    """Return the tokens behind ``committed``, which may end within one."""
    tokens = question.tokens
    while tokens and committed:
        if committed.startswith(tokens[0]):
            committed = committed[len(tokens[0]) :]
            tokens = tokens[1:]
        else:
            tokens[0] = tokens[0].removeprefix(committed)
            committed = ""
    return tokens


async def _pause(call: Call, seconds: float) -> bool:
    """Wait so long; True at once when the caller cancels."""
    try:
        async with asyncio.timeout(seconds):
            await call.cancelled.wait()
    except TimeoutError:
        return False
    return True


def model_maker(settings: object) -> Callable[[object], Model]:
    """Replace ``model_set.model_maker``: whatever the registry holds, this model is made."""
    del settings
    return lambda entry: ScriptedModel(can_continue=not os.environ.get(CANNOT_CONTINUE))
