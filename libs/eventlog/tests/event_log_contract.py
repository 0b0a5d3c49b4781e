"""What every event log does; each adapter's test module subclasses ``EventLogContract``."""

import asyncio
from contextlib import aclosing

import pytest

from ensemble.core.errors import ConflictError
from ensemble.eventlog import Append, EventLog, StreamKey

ONE = StreamKey("session", "one")
TWO = StreamKey("session", "two")


def event(stream: StreamKey, payload: bytes = b"x", **rest: object) -> Append:
    return Append(stream, "said", payload, **rest)  # type: ignore[arg-type]


async def payloads(log: EventLog, stream: StreamKey) -> list[bytes]:
    return [item.payload for item in await log.read(stream, limit=100_000)]


class EventLogContract:
    """Subclasses give a ``log`` fixture: an empty, open log."""

    async def test_sequences_count_from_one_in_each_stream(self, log: EventLog) -> None:
        assert await log.append([event(ONE), event(ONE), event(TWO)]) == [1, 2, 1]
        assert await log.append([event(TWO), event(ONE)]) == [2, 3]

    async def test_read_gives_back_what_was_written(self, log: EventLog) -> None:
        blob = bytes(range(256)) * 40
        await log.append([Append(ONE, "odd", blob, schema_version=7)])
        (found,) = await log.read(ONE)
        assert (found.type, found.payload, found.schema_version) == ("odd", blob, 7)
        assert found.stream == ONE
        assert found.created_at > 0

    async def test_read_pages(self, log: EventLog) -> None:
        await log.append([event(ONE, b"%d" % n) for n in range(10)])
        assert [e.seq for e in await log.read(ONE, after=3, limit=4)] == [4, 5, 6, 7]
        assert await log.read(ONE, after=10) == []
        assert await log.read(TWO) == []

    async def test_a_batch_is_written_whole_or_not_at_all(self, log: EventLog) -> None:
        await log.append([event(ONE)])
        with pytest.raises(ConflictError):
            await log.append([event(TWO), event(ONE, expected_seq=0)])
        assert await log.read(TWO) == []
        assert await log.append([event(TWO), event(ONE, expected_seq=1)]) == [1, 2]

    async def test_of_two_that_expect_the_same_one_wins(self, log: EventLog) -> None:
        results = await asyncio.gather(
            *(log.append([event(ONE, expected_seq=0)]) for _ in range(8)), return_exceptions=True
        )
        assert results.count([1]) == 1
        assert sum(isinstance(result, ConflictError) for result in results) == 7

    async def test_a_failed_batch_leaves_its_neighbours_alone(self, log: EventLog) -> None:
        await log.append([event(ONE)])
        batches = [[event(TWO)], [event(ONE, expected_seq=99)], [event(TWO)], [event(ONE)]]
        results = await asyncio.gather(
            *(log.append(batch) for batch in batches), return_exceptions=True
        )
        assert results[0] == [1]
        assert isinstance(results[1], ConflictError)
        assert results[2:] == [[2], [2]]

    async def test_appends_of_one_caller_keep_their_order(self, log: EventLog) -> None:
        await asyncio.gather(*(log.append([event(ONE, b"%d" % n)]) for n in range(300)))
        assert await payloads(log, ONE) == [b"%d" % n for n in range(300)]

    async def test_tail_gives_history_then_live_without_gap_or_duplicate(
        self, log: EventLog
    ) -> None:
        total = 2000

        async def write() -> None:
            for start in range(0, total, 10):
                await log.append([event(ONE, b"%d" % n) for n in range(start, start + 10)])

        async def follow(after: int) -> list[int]:
            seqs = []
            async with aclosing(log.tail(ONE, after)) as events:
                async for item in events:
                    seqs.append(item.seq)
                    if item.seq == total:
                        break
            return seqs

        await log.append([event(TWO)])
        writing = asyncio.create_task(write())
        async with asyncio.TaskGroup() as group:
            tails = [group.create_task(follow(after)) for after in (0, 0, 5, 700, 1999)]
        await writing
        for after, tail in zip((0, 0, 5, 700, 1999), tails, strict=True):
            assert tail.result() == list(range(after + 1, total + 1))

    async def test_a_slow_tail_misses_nothing(self, log: EventLog) -> None:
        async with aclosing(log.tail(ONE)) as events:
            first = asyncio.ensure_future(anext(events))
            await asyncio.sleep(0)
            await log.append([event(ONE, b"0")])
            assert (await first).seq == 1
            for _ in range(30):
                await log.append([event(ONE) for _ in range(50)])
            seqs = [(await anext(events)).seq for _ in range(1500)]
        assert seqs == list(range(2, 1502))

    async def test_tail_sees_an_append_whose_caller_went_away(self, log: EventLog) -> None:
        async with aclosing(log.tail(ONE)) as events:
            first = asyncio.ensure_future(anext(events))
            await asyncio.sleep(0)
            writing = asyncio.ensure_future(log.append([event(ONE)]))
            await asyncio.sleep(0)
            writing.cancel()
            assert (await first).seq == 1

    async def test_closing_ends_a_tail(self, log: EventLog) -> None:
        async def drain() -> int:
            return len([item async for item in log.tail(ONE)])

        await log.append([event(ONE)])
        reading = asyncio.create_task(drain())
        await asyncio.sleep(0.05)
        await log.close()
        assert await asyncio.wait_for(reading, 5) <= 1

    async def test_heads_say_how_streams_stand(self, log: EventLog) -> None:
        assert await log.head(ONE) is None
        await log.append([event(ONE, owner="ada"), event(TWO, owner="bob"), event(ONE)])
        head = await log.head(ONE)
        assert head is not None
        assert (head.stream, head.owner, head.last_seq, head.mark) == (ONE, "ada", 2, "")
        assert head.updated_at >= head.created_at > 0
        await log.append([event(ONE, owner="eve")])
        head = await log.head(ONE)
        assert head is not None
        assert (head.owner, head.last_seq) == ("ada", 3)

    async def test_streams_are_listed_last_changed_first_and_in_pages(self, log: EventLog) -> None:
        keys = [StreamKey("session", f"s{n}") for n in range(5)]
        for number, key in enumerate(keys):
            await log.append([event(key, owner="ada" if number % 2 else "bob")])
        await log.append([event(StreamKey("other", "x"), owner="ada")])
        await log.append([event(keys[0])])
        expected = [keys[0], keys[4], keys[3], keys[2], keys[1]]
        found, before = [], None
        while page := await log.heads("session", before=before, limit=2):
            found += [head.stream for head in page]
            before = page[-1].position
        assert found == expected
        mine = await log.heads("session", owner="ada")
        assert [head.stream for head in mine] == [keys[3], keys[1]]

    async def test_streams_are_found_by_mark(self, log: EventLog) -> None:
        await log.append([event(ONE, mark="open"), event(TWO, mark="open")])
        await log.append([event(ONE, mark=""), event(TWO)])
        assert [head.stream for head in await log.heads("session", mark="open")] == [TWO]

    async def test_many_writers_share_commits(self, log: EventLog) -> None:
        streams = [StreamKey("session", f"s{n}") for n in range(200)]
        for _ in range(3):
            await asyncio.gather(*(log.append([event(key)]) for key in streams))
        for key in streams:
            head = await log.head(key)
            assert head is not None
            assert head.last_seq == 3
