"""A tool server that is lost: it is asked again with the key, and what is not known is said."""

import pytest
from orchestrator_rig import Rig

from ensemble.core.errors import ServiceUnavailableError
from ensemble.orchestrator.settings import OrchestratorSettings

pytestmark = pytest.mark.unit


async def test_a_server_that_is_lost_again_and_again_is_asked_again(rig) -> None:
    rig.peers.tools.add("a", lambda arguments: 1)
    rig.peers.tools.break_calls = 3
    rig.peers.tools.break_with = ServiceUnavailableError()
    rig.peers.router.call("a")
    rig.peers.router.say("done")
    async with rig.client() as client:
        await client.say("a")
        await client.finish()
    assert client.of("response_tool_done")[0].result.result_json == "1"
    assert len({call.context.idempotency_key for call in rig.peers.tools.calls}) == 1


async def test_a_tool_whose_server_stays_away_is_not_said_to_have_failed(peers, tmp_path) -> None:
    peers.tools.add("a", lambda arguments: 1)
    peers.tools.break_calls = 1000
    peers.tools.break_with = ServiceUnavailableError()
    peers.router.call("a")
    peers.router.say("I cannot tell.")
    rig = Rig(peers, OrchestratorSettings(log=tmp_path / "l.db", peer_wait_s=0.2))
    await rig.start()
    async with rig.client() as client:
        await client.say("a")
        await client.finish()
    await rig.stop()
    assert "TOOL_OUTCOME_UNKNOWN" in str(client.of("response_tool_done")[0].result.error)
