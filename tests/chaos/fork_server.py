"""The fork server of the stacks, with what else may be put into their processes.

``python -m tests.chaos.fork_server`` is ``ensemble.testkit.chaos.zygote``; each name here stands
beside the sabotages of the test kit and is chosen like them.
"""

from collections.abc import AsyncGenerator, Callable
from typing import Any

# First: it sets what gRPC reads when it is imported.
from ensemble.testkit.chaos import zygote

NO_RESUME = "no-resume"
ANOTHER_MODEL = "another-model"


def no_resume() -> None:
    """Have an orchestrator end whatever an earlier process left open, as if it were lost again."""
    from ensemble.orchestrator.conversation import Conversation

    attribute = "may_go_on"
    assert isinstance(vars(Conversation)[attribute], property)
    setattr(Conversation, attribute, property(lambda conversation: False))


def another_model() -> None:
    """Put a model behind the scripted one, which would go on behind any text, in its own words."""
    from ensemble.model_router.domain import (
        Call,
        Finished,
        ModelEvent,
        StopReason,
        TextDelta,
        TokenUsage,
    )
    from ensemble.model_router.ports import Model
    from ensemble.testkit.chaos import serving
    from ensemble.testkit.chaos.model import ScriptedModel

    class Stranger(ScriptedModel):
        name = "stranger"

        async def chat(self, call: Call) -> AsyncGenerator[ModelEvent, None]:
            yield TextDelta("Sorry, that is outside what I can do.", 1)
            yield Finished(StopReason.COMPLETED, TokenUsage(1, 1))

    real = serving.model_maker

    def maker(settings: object) -> Callable[[Any], Model]:
        scripted = real(settings)
        # The server at LLM_URL comes first; the embedded model is what is left beside it.
        return lambda entry: scripted(entry) if entry.adapter == "openai" else Stranger()

    vars(serving)["model_maker"] = maker


if __name__ == "__main__":
    from ensemble.testkit.chaos.sabotage import SABOTAGES

    SABOTAGES.update({NO_RESUME: no_resume, ANOTHER_MODEL: another_model})
    zygote.main()
