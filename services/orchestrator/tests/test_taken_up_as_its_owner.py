"""What is taken up goes on in the name of the person whose session it is."""

import asyncio

import pytest
from orchestrator_rig import eventually

from ensemble.transport.context import PRINCIPAL_KEY, trusted

pytestmark = pytest.mark.unit


async def test_calls_made_again_name_the_same_person(rig) -> None:
    """A tool server tells calls apart by who makes them: as nobody, a call would run twice."""
    callers: list[str] = []

    async def work(arguments: dict[str, object]) -> dict[str, bool]:
        callers.append(trusted.get().get(PRINCIPAL_KEY, ""))
        if len(callers) == 1:
            await asyncio.Event().wait()
        return {"ok": True}

    rig.peers.tools.add("lamp", work)
    rig.peers.router.call("lamp")
    async with rig.client("ada") as client:
        await client.say("light")
        await eventually(lambda: len(callers) == 1)
    await rig.restart()
    await eventually(lambda: len(callers) == 2)
    assert callers == ["ada", "ada"]
