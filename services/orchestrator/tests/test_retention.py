"""What is older than its owner wants to keep goes by itself."""

import asyncio
import functools
import time

import msgspec
import pytest
from orchestrator_rig import Rig

from ensemble.core.errors import SessionNotFoundError
from ensemble.eventlog import SqliteEventLog
from ensemble.orchestrator.stored import session_key

pytestmark = pytest.mark.unit


async def test_old_conversations_go_and_later_ones_stay(peers, settings) -> None:
    days_ago = time.time_ns() - 10 * 86_400_000_000_000
    old = Rig(peers, settings)

    opening = functools.partial(SqliteEventLog.open, clock=lambda: days_ago)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ensemble.orchestrator.app.SqliteEventLog.open", opening)
        patch.setattr(time, "time_ns", lambda: days_ago)
        await old.start()
        async with old.client() as first:
            await first.say("hello")
            await first.until("response_done")
        await old.stop()
    rig = Rig(peers, msgspec.structs.replace(settings, keep_days=30.0))
    await rig.start()
    async with rig.client() as second:
        await second.until("started")
    async with rig.client(session_id=first.session_id) as still:
        await still.until("started")
    await rig.stop()
    rig.settings = msgspec.structs.replace(settings, keep_days=9.0)
    await rig.start()

    async with asyncio.timeout(10):
        while await rig.service._log.head(session_key(first.session_id)):
            await asyncio.sleep(0.01)
    async with rig.client(session_id=first.session_id) as client:
        with pytest.raises(SessionNotFoundError):
            await client.until("started")
    async with rig.client(session_id=second.session_id) as client:
        await client.until("started")
    await rig.stop()
