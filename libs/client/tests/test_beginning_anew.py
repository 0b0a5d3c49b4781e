"""An answer that no model could finish is begun anew: the second one counts."""

import pytest
from scripted_gateway import Event, Gateway, Session, serving

from ensemble.client import EnsembleClient
from ensemble.v1 import common_pb2

pytestmark = pytest.mark.unit


class TwiceAnswering(Session):
    """Answers with the first word of a model that stops, and perhaps anew."""

    def __init__(self, *, anew: bool) -> None:
        super().__init__()
        self._anew = anew

    def take(self, text) -> None:  # type: ignore[no-untyped-def]
        super().take(text)
        self.add(Event(notice={"text": "Your timer is done."}))
        cut = {"stop_reason": common_pb2.STOP_REASON_INTERRUPTED, "begins_anew": self._anew}
        self._answer("r1", "The", cut)
        if self._anew:
            self._answer("r2", "It is on.", {"stop_reason": common_pb2.STOP_REASON_COMPLETED})

    def _answer(self, response: str, text: str, done: dict[str, object]) -> None:
        for branch, body in (
            ("response_started", {"turn_id": "turn_1"}),
            ("response_text_delta", {"text": text}),
            ("response_done", done),
        ):
            self.add(Event(**{branch: {"response_id": response, **body}}))


@pytest.mark.parametrize(("anew", "expected"), [(True, "It is on."), (False, "The")])
async def test_the_answer_is_the_one_that_was_finished(anew: bool, expected: str) -> None:
    async with (
        serving(Gateway(TwiceAnswering(anew=anew))) as port,
        EnsembleClient(f"127.0.0.1:{port}", api_key="k") as client,
    ):
        answer = await client.ask("light")
    assert (answer.text, answer.notices) == (expected, ("Your timer is done.",))
