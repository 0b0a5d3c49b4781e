"""What every event log does; each adapter's test module subclasses ``EventLogContract``."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from decimal import Decimal
from typing import Any

import pytest

from ensemble.core.errors import (
    ConflictError,
    FencedOffError,
    StorageCorruptError,
    StorageUnavailableError,
)
from ensemble.eventlog import Append, Erased, EventLog, Execution, StreamKey

ONE = StreamKey("session", "one")
TWO = StreamKey("session", "two")


def event(stream: StreamKey, payload: bytes = b"x", **rest: object) -> Append:
    return Append(stream, "said", payload, **rest)  # type: ignore[arg-type]


async def payloads(log: EventLog, stream: StreamKey) -> list[bytes]:
    return [item.payload for item in await log.read(stream, limit=100_000)]


class EventLogContract:
    """Subclasses give a ``log`` fixture, an empty, open log, and reach behind it."""

    async def tamper(self, log: EventLog, sql: str) -> None:
        """Run ``sql`` on the store of ``log``, past the log."""
        raise AssertionError("given by the subclass")

    async def query(self, log: EventLog, sql: str) -> Sequence[Sequence[Any]]:
        """Return the rows that ``sql`` finds in the store of ``log``."""
        raise AssertionError("given by the subclass")

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

    async def test_a_failed_batch_makes_no_stream(self, log: EventLog) -> None:
        refused = [event(TWO, owner="eve"), event(ONE, expected_seq=99)]
        batches = [[event(ONE)], refused, [event(TWO, owner="ada")]]
        results = await asyncio.gather(
            *(log.append(batch) for batch in batches), return_exceptions=True
        )
        assert (results[0], results[2]) == ([1], [1])
        head = await log.head(TWO)
        assert head is not None
        assert (head.owner, head.last_seq) == ("ada", 1)

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

    async def test_waiting_appends_share_a_commit(self, log: Any) -> None:
        before = log.commits
        await asyncio.gather(*(log.append([event(ONE)]) for _ in range(400)))
        assert log.commits - before < 200

    async def test_close_writes_what_was_accepted(self, log: EventLog) -> None:
        writing = [asyncio.create_task(log.append([event(ONE)])) for _ in range(100)]
        await asyncio.sleep(0)
        await log.close()
        assert sorted(await asyncio.gather(*writing)) == [[n] for n in range(1, 101)]
        with pytest.raises(StorageUnavailableError):
            await log.append([event(ONE)])
        with pytest.raises(StorageUnavailableError):
            await log.read(ONE)

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

    async def test_streams_of_one_batch_are_listed_by_their_last_events(
        self, log: EventLog
    ) -> None:
        await asyncio.gather(
            log.append([event(TWO), event(ONE), event(TWO), event(ONE, snapshot=b"s")]),
            log.append([event(TWO), event(StreamKey("session", "three")), event(TWO)]),
        )
        names = [head.stream.name for head in await log.heads("session")]
        assert names == ["two", "three", "one"]

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

    async def test_text_is_kept_beside_the_payload(self, log: EventLog) -> None:
        await log.append([event(ONE, b"p", text="Grüße, 世界"), event(ONE, b"q")])
        assert [item.text for item in await log.read(ONE)] == ["Grüße, 世界", ""]
        async with aclosing(log.tail(ONE)) as events:
            assert (await anext(events)).text == "Grüße, 世界"

    @pytest.mark.parametrize(
        ("text", "kept"),
        [("a\0b", "a\ufffdb"), ("\ud800 half", "\ufffd half"), ("\ud83d\ude00", "\U0001f600")],
    )
    async def test_characters_that_no_store_keeps_are_replaced(
        self, log: EventLog, text: str, kept: str
    ) -> None:
        await log.append([event(ONE, text=text)])
        assert [item.text for item in await log.read(ONE)] == [kept]
        assert (await log.audit(ONE)).intact

    async def test_numbers_at_the_edge_are_kept(self, log: EventLog) -> None:
        big = Execution("r1", input_tokens=2**63 - 1, latency_ms=-(2**63), cost_usd=Decimal("9e9"))
        await log.append([event(ONE, schema_version=2**31 - 1, execution=big)])
        assert (await log.read(ONE))[0].schema_version == 2**31 - 1
        ((tokens,),) = await self.query(log, "SELECT input_tokens FROM executions")
        assert tokens == 2**63 - 1

    async def test_times_never_run_backwards_in_a_stream(self, log: EventLog) -> None:
        for _ in range(20):
            await log.append([event(ONE), event(TWO)])
        times = [item.created_at for item in await log.read(ONE)]
        assert times == sorted(times)

    async def test_only_the_holder_appends_to_an_own_stream(self, log: EventLog) -> None:
        assert await log.append([event(ONE, own=True), event(TWO)], fence=7) == [1, 1]
        head, other = await log.head(ONE), await log.head(TWO)
        assert head is not None
        assert other is not None
        assert (head.fence, other.fence) == (7, 0)
        assert await log.append([event(ONE), event(TWO)], fence=7) == [2, 2]
        for fence in (0, 6, 8):
            with pytest.raises(FencedOffError):
                await log.append([event(TWO), event(ONE)], fence=fence)
        assert await log.append([event(TWO)]) == [3]
        assert await log.append([event(ONE, own=True)], fence=7) == [3]

    async def test_a_stream_that_is_there_is_not_taken_by_own(self, log: EventLog) -> None:
        await log.append([event(ONE)])
        await log.append([event(ONE, own=True)], fence=7)
        head = await log.head(ONE)
        assert head is not None
        assert head.fence == 0

    async def test_the_newest_snapshot_is_kept(self, log: EventLog) -> None:
        assert await log.snapshot(ONE) is None
        await log.append([event(ONE), event(ONE, snapshot=b"after two"), event(ONE)])
        found = await log.snapshot(ONE)
        assert found is not None
        assert (found.seq, found.payload) == (2, b"after two")
        await log.append([event(ONE, snapshot=b"after four")])
        found = await log.snapshot(ONE)
        assert found is not None
        assert (found.seq, found.payload) == (4, b"after four")
        with pytest.raises(ConflictError):
            await log.append([event(ONE, snapshot=b"never"), event(TWO, expected_seq=9)])
        assert (await log.snapshot(ONE)) == found

    async def test_a_glance_shows_each_stream_as_it_stands(self, log: EventLog) -> None:
        long, none = StreamKey("session", "long"), StreamKey("session", "none")
        await log.append([event(ONE, b"%d" % n, owner="ann", mark="open") for n in range(3)])
        await log.append([event(long, b"%d" % n) for n in range(5)])
        await log.append([event(long, b"5", snapshot=b"so far")])
        one, nothing, other, again = await log.glance([ONE, none, long, ONE], limit=2)
        assert nothing is None
        assert one is not None
        assert other is not None
        assert one == again
        assert (one.head, other.head) == (await log.head(ONE), await log.head(long))
        assert (one.snapshot, other.snapshot) == (None, await log.snapshot(long))
        assert one.events == await log.read(ONE, limit=2)
        assert other.events == await log.read(long, limit=1)
        assert await log.glance([]) == []

    async def test_a_glance_sees_damage(self, log: EventLog) -> None:
        await log.append([event(ONE), event(TWO, b"mine")])
        await self.tamper(log, "UPDATE streams SET secret = chain WHERE name = 'two'")
        with pytest.raises(StorageCorruptError):
            await log.glance([ONE, TWO])

    async def test_an_untouched_stream_is_intact(self, log: EventLog) -> None:
        nothing = await log.audit(ONE)
        assert (nothing.events, nothing.intact) == (0, True)
        await log.append([event(ONE, b"%d" % n, text=f"n{n}") for n in range(5)])
        before = await log.audit(ONE)
        assert (before.events, before.erased, before.intact) == (5, 0, True)
        await log.append([event(ONE), event(TWO)])
        after = await log.audit(ONE)
        assert (after.events, after.intact) == (6, True)
        assert before.chain_head != after.chain_head
        assert len(after.chain_head) == 32

    async def test_an_append_that_failed_leaves_the_chain_whole(self, log: EventLog) -> None:
        await log.append([event(ONE)])
        with pytest.raises(ConflictError):
            await log.append([event(ONE, b"lost"), event(TWO, expected_seq=9)])
        await log.append([event(ONE)])
        assert (await log.audit(ONE)).intact

    @pytest.mark.parametrize(
        ("sql", "bad"),
        [
            (
                "UPDATE segments SET payload = (SELECT payload FROM segments WHERE seq = 1) "
                "WHERE seq = 3",
                3,
            ),
            ("UPDATE segments SET text = 'never said' WHERE seq = 2", 2),
            (
                "UPDATE segments SET types = (SELECT types FROM segments WHERE seq = 5) "
                "WHERE seq = 4",
                4,
            ),
            ("UPDATE types SET name = 'other' WHERE version = 7", 5),
            ("UPDATE segments SET created_at = created_at + 1 WHERE seq = 5", 5),
            ("DELETE FROM segments WHERE seq = 1", 1),
            ("DELETE FROM segments WHERE seq = 3", 3),
            ("DELETE FROM segments WHERE seq = 5", 5),
            (
                "UPDATE segments SET link = (SELECT link FROM segments WHERE seq = 1) "
                "WHERE seq = 2",
                2,
            ),
            ("UPDATE streams SET chain = (SELECT link FROM segments WHERE seq = 4)", 5),
            ("UPDATE segments SET digest = link WHERE seq = 2", 2),
        ],
    )
    async def test_an_audit_finds_what_was_changed(self, log: EventLog, sql: str, bad: int) -> None:
        for n in range(5):
            version = 7 if n == 4 else 1
            said = event(ONE, b"payload %d" % n, text="said", schema_version=version)
            await log.append([said])
        await self.tamper(log, sql)
        found = await log.audit(ONE)
        assert not found.intact
        assert found.first_bad_seq == bad

    async def test_an_audit_finds_an_event_too_many(self, log: EventLog) -> None:
        for n in range(3):
            await log.append([event(ONE, b"%d" % n)])
        await self.tamper(
            log,
            "UPDATE streams SET last_seq = 2, chain = (SELECT link FROM segments WHERE seq = 2)",
        )
        assert (await log.audit(ONE)).first_bad_seq == 3
        await self.tamper(log, "UPDATE segments SET text = 'forged' WHERE seq = 3")
        assert (await log.audit(ONE)).first_bad_seq == 3

    async def test_an_erased_stream_is_empty_and_its_chain_still_holds(self, log: EventLog) -> None:
        await log.append(
            [event(ONE, b"secret", text="secret", owner="ada", snapshot=b"secret", mark="open")]
        )
        await log.append([event(ONE, b"more"), event(TWO, b"kept", owner="bob")])
        before = await log.audit(ONE)
        assert await log.erase([ONE, StreamKey("session", "absent")]) == Erased(1, 2)
        events = await log.read(ONE)
        assert [(e.seq, e.type, e.payload, e.text, e.erased) for e in events] == [
            (1, "said", b"", "", True),
            (2, "said", b"", "", True),
        ]
        assert await log.snapshot(ONE) is None
        head = await log.head(ONE)
        assert head is not None
        assert (head.owner, head.last_seq) == ("", 2)
        after = await log.audit(ONE)
        assert (after.events, after.erased, after.intact) == (2, 2, True)
        assert after.chain_head == before.chain_head
        assert await payloads(log, TWO) == [b"kept"]
        assert await log.erase([ONE]) == Erased(0, 0)

    async def test_an_erased_stream_goes_on_and_can_be_erased_again(self, log: EventLog) -> None:
        await log.append([event(ONE, b"first")])
        await log.erase([ONE])
        assert await log.append([event(ONE, b"second")]) == [2]
        assert [(e.payload, e.erased) for e in await log.read(ONE)] == [
            (b"", True),
            (b"second", False),
        ]
        found = await log.audit(ONE)
        assert (found.events, found.erased, found.intact) == (2, 1, True)
        assert await log.erase([ONE]) == Erased(1, 1)
        assert (await log.audit(ONE)).intact

    async def test_a_long_stream_is_erased_whole_while_others_go_on(self, log: EventLog) -> None:
        for _ in range(5):
            await log.append([event(ONE, b"x", owner="ada") for _ in range(500)])
        erasing = asyncio.create_task(log.erase([ONE]))
        for number in range(20):
            assert await log.append([event(TWO)]) == [number + 1]
        assert await erasing == Erased(1, 2500)
        found = await log.audit(ONE)
        assert (found.events, found.erased, found.intact) == (2500, 2500, True)
        assert not any(await payloads(log, ONE))

    async def test_tampering_with_an_erased_event_is_found(self, log: EventLog) -> None:
        for payload in (b"a", b"b"):
            await log.append([event(ONE, payload)])
        await log.erase([ONE])
        await self.tamper(log, "UPDATE segments SET text = 'never said' WHERE seq = 2")
        assert (await log.audit(ONE)).first_bad_seq == 2

    async def test_views_show_work_tokens_and_cost(self, log: EventLog) -> None:
        work = Execution("r1", "assistant", "small")
        done = Execution("r1", "assistant", "small", "completed", 12, 30, 450, Decimal("0.001234"))
        await log.append([event(ONE, owner="ada", mark="open", text="what time is it")])
        await log.append([event(ONE, mark="open", execution=work)])
        await log.append([event(ONE, text="It is "), event(ONE, text="noon.")])
        views = "SELECT id, owner, status, turns, total_tokens FROM collaborations"
        assert [tuple(row) for row in await self.query(log, views)] == [
            ("one", "ada", "running", 1, 0)
        ]
        await log.append([event(ONE, mark="", execution=done), event(ONE, text="not of it")])
        await log.append([event(StreamKey("input", "one"))])
        assert [tuple(row) for row in await self.query(log, views)] == [
            ("one", "ada", "completed", 1, 42)
        ]
        ((id_, collaboration, agent, model, status, cost),) = await self.query(
            log,
            "SELECT id, collaboration_id, agent, model, status, cost_usd FROM agent_executions",
        )
        assert (id_, collaboration, agent, model, status) == (
            "r1",
            "one",
            "assistant",
            "small",
            "completed",
        )
        assert float(cost) == pytest.approx(0.001234, abs=1e-9)
        counts = await self.query(
            log, "SELECT input_tokens, output_tokens, latency_ms FROM agent_executions"
        )
        assert [tuple(row) for row in counts] == [(12, 30, 450)]
        tokens = await self.query(
            log, "SELECT execution_id, seq, token FROM token_stream ORDER BY seq"
        )
        assert [tuple(row) for row in tokens] == [("r1", 3, "It is "), ("r1", 4, "noon.")]
        for sql in (
            "SELECT started_at, completed_at, total_cost_usd FROM collaborations",
            "SELECT started_at, completed_at FROM agent_executions",
            "SELECT timestamp, sent_to FROM token_stream",
        ):
            assert all(value is not None for row in await self.query(log, sql) for value in row)

    async def test_work_is_known_by_the_whole_of_its_id(self, log: EventLog) -> None:
        ids = ["work-of-ada", "work-of-bob-ada", "ada", "a", ""]
        await log.append([event(ONE, execution=Execution(id_, model=id_)) for id_ in ids])
        await log.append([event(TWO, execution=Execution("a", status="completed"))])
        await log.append(
            [event(ONE, execution=Execution(id_, status=f"done {id_}")) for id_ in ids[:3]]
        )
        rows = await self.query(
            log, "SELECT id, collaboration_id, status FROM agent_executions ORDER BY id DESC"
        )
        assert [tuple(row) for row in rows] == [
            ("work-of-bob-ada", "one", "done work-of-bob-ada"),
            ("work-of-ada", "one", "done work-of-ada"),
            ("ada", "one", "done ada"),
            ("a", "one", "completed"),
            ("", "one", "running"),
        ]

    async def test_failed_work_shows(self, log: EventLog) -> None:
        await log.append([event(ONE, execution=Execution("r1"))])
        await log.append([event(ONE, execution=Execution("r1", status="failed"))])
        ((status,),) = await self.query(log, "SELECT status FROM collaborations")
        assert status == "failed"

    async def test_erasing_takes_the_words_out_of_the_views(self, log: EventLog) -> None:
        await log.append([event(ONE, execution=Execution("r1")), event(ONE, text="secret")])
        await log.erase([ONE])
        assert list(await self.query(log, "SELECT token FROM token_stream")) == []
