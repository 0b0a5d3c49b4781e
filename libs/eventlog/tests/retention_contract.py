"""What a retention does on every store; each adapter's test module subclasses
``RetentionContract``."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

import pytest
from event_log_contract import ONE, TWO, event, payloads

from ensemble.core.errors import ConflictError
from ensemble.eventlog import Dropped, Execution, StoredEventLog, StreamKey

THREE = StreamKey("session", "three")


async def now(log: StoredEventLog, stream: StreamKey = ONE) -> int:
    """Return a time after everything that ``stream`` has."""
    head = await log.head(stream)
    assert head is not None
    return head.updated_at + 1


class RetentionContract:
    """Subclasses give a ``log`` fixture, an empty, open log, and reach behind it."""

    async def tamper(self, log: StoredEventLog, sql: str) -> None:
        """Run ``sql`` on the store of ``log``, past the log."""
        raise AssertionError("given by the subclass")

    async def query(self, log: StoredEventLog, sql: str) -> Sequence[Sequence[Any]]:
        """Return the rows that ``sql`` finds in the store of ``log``."""
        raise AssertionError("given by the subclass")

    async def test_only_old_streams_without_a_mark_go(self, log: StoredEventLog) -> None:
        await log.append([event(ONE), event(ONE), event(StreamKey("other", "one"))])
        await log.append([event(TWO, mark="open")])
        limit = await now(log, TWO)
        while (await log.append([event(THREE)])) and await now(log, THREE) <= limit + 1:
            pass
        assert await log.drop("session", before=limit) == Dropped(1, 2)
        assert await log.drop("session", before=limit) == Dropped()
        assert await log.head(ONE) is None
        assert [head.stream for head in await log.heads("session")] == [THREE, TWO]
        assert await log.head(StreamKey("other", "one")) is not None

    async def test_what_remains_proves_that_there_was_something(self, log: StoredEventLog) -> None:
        secret = "the secret of ada"
        await log.append(
            [
                event(ONE, secret.encode(), text=secret, owner="ada", snapshot=secret.encode()),
                event(ONE, execution=Execution("r1", secret)),
            ]
        )
        before = await log.audit(ONE)
        await log.drop("session", before=await now(log))
        after = await log.audit(ONE)
        assert (after.events, after.dropped, after.intact) == (0, 2, True)
        assert after.chain_head == before.chain_head
        assert await log.read(ONE) == []
        assert await log.read(ONE, after=1) == []
        assert await log.snapshot(ONE) is None
        for table in ("segments", "snapshots", "executions", "collaborations", "agent_executions"):
            assert not await self.query(log, f"SELECT * FROM {table}")
        ((owner, secret_length),) = await self.query(
            log, "SELECT owner, length(secret) FROM streams"
        )
        assert (owner, secret_length) == ("", 0)

    async def test_a_dropped_stream_goes_on_where_it_ended(self, log: StoredEventLog) -> None:
        await log.append([event(ONE, b"%d" % n) for n in range(3)])
        await log.drop("session", before=await now(log))
        with pytest.raises(ConflictError):
            await log.append([event(ONE, expected_seq=0)])
        async with aclosing(log.tail(ONE)) as events:
            following = asyncio.ensure_future(anext(events))
            await asyncio.sleep(0)
            assert await log.append([event(ONE, b"new", expected_seq=3)]) == [4]
            assert (await asyncio.wait_for(following, 20)).seq == 4
        assert await log.append([event(ONE, b"newer")]) == [5]
        assert await payloads(log, ONE) == [b"new", b"newer"]
        for after, seqs in ((1, [4]), (3, [4]), (4, [5]), (5, [])):
            assert [item.seq for item in await log.read(ONE, after=after, limit=1)] == seqs
        found = await log.audit(ONE)
        assert (found.events, found.dropped, found.intact) == (2, 3, True)
        await self.tamper(log, "UPDATE streams SET base_seq = 2")
        assert not (await log.audit(ONE)).intact

    async def test_a_long_stream_goes_in_steps_while_others_write(
        self, log: StoredEventLog
    ) -> None:
        for _ in range(5):
            await log.append([event(ONE) for _ in range(500)])
        limit = await now(log)
        dropping = asyncio.create_task(log.drop("session", before=limit))
        for number in range(20):
            assert await log.append([event(TWO)]) == [number + 1]
        assert await dropping == Dropped(1, 2500)
        found = await log.audit(ONE)
        assert (found.events, found.dropped, found.intact) == (0, 2500, True)

    async def test_what_was_cut_off_half_way_holds_and_is_completed(
        self, log: StoredEventLog
    ) -> None:
        await log.append([event(ONE, b"%d" % n) for n in range(1200)])
        limit = await now(log)
        dropping = asyncio.create_task(log.drop("session", before=limit))
        while not (await log.audit(ONE)).dropped:
            await asyncio.sleep(0)
        dropping.cancel()
        await asyncio.gather(dropping, return_exceptions=True)
        found = await log.audit(ONE)
        assert found.intact
        assert found.events + found.dropped == 1200
        # The step that was under way may come after.
        left = await payloads(log, ONE)
        assert left == [b"%d" % n for n in range(1200 - len(left), 1200)]
        assert (await log.drop("session", before=limit)).events <= found.events
        assert (await log.audit(ONE)).dropped == 1200

    async def test_of_erased_streams_their_places_go(self, log: StoredEventLog) -> None:
        await log.append([event(ONE, b"a"), event(ONE, b"b"), event(TWO, b"kept")])
        await log.append([event(THREE, b"c")])
        await log.erase([ONE, THREE])
        await log.append([event(THREE, b"d")])
        before = await log.audit(ONE)
        limit = await now(log, THREE)
        assert await log.drop("session", before=limit, erased=True) == Dropped(1, 2)
        after = await log.audit(ONE)
        assert (after.events, after.dropped, after.intact) == (0, 2, True)
        assert after.chain_head == before.chain_head
        assert await payloads(log, TWO) == [b"kept"]
        assert await payloads(log, THREE) == [b"", b"d"]

    @pytest.mark.parametrize(
        "sql",
        [
            "UPDATE segments SET text = 'never said' WHERE seq = 2",
            "DELETE FROM segments WHERE seq = 3",
            "UPDATE streams SET last_seq = 2",
            "UPDATE streams SET chain = (SELECT link FROM segments WHERE seq = 1)",
        ],
    )
    async def test_damage_is_not_swept_away(self, log: StoredEventLog, sql: str) -> None:
        for n in range(3):
            await log.append([event(ONE, b"%d" % n)])
        limit = await now(log)
        await self.tamper(log, sql)
        before = await self.query(log, "SELECT count(*) FROM segments")
        assert await log.drop("session", before=limit) == Dropped(0, 0, (ONE,))
        assert await self.query(log, "SELECT count(*) FROM segments") == before
        assert not (await log.audit(ONE)).intact

    async def test_many_streams_go_in_one_call(self, log: StoredEventLog) -> None:
        keys = [StreamKey("session", f"s{n}") for n in range(300)]
        await asyncio.gather(*(log.append([event(key), event(key)]) for key in keys))
        limit = max([await now(log, key) for key in keys])
        assert await log.drop("session", before=limit) == Dropped(300, 600)
        assert await log.heads("session") == []
