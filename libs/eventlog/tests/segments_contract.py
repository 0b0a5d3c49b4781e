"""Events that share a row: what is read does not depend on how they were appended."""

import random
from collections.abc import Sequence
from typing import Any

import pytest
from event_log_contract import ONE, TWO, event, payloads

from ensemble.core.errors import StorageCorruptError
from ensemble.eventlog import Append, EventLog, StreamKey, segments


class SegmentsContract:
    """Subclasses give a ``log`` fixture, an empty, open log, and reach behind it."""

    async def tamper(self, log: EventLog, sql: str) -> None:
        """Run ``sql`` on the store of ``log``, past the log."""
        raise AssertionError("given by the subclass")

    async def query(self, log: EventLog, sql: str) -> Sequence[Sequence[Any]]:
        """Return the rows that ``sql`` finds in the store of ``log``."""
        raise AssertionError("given by the subclass")

    async def test_every_page_of_any_mixture(self, log: EventLog) -> None:
        chance = random.Random(11)
        written: list[tuple[int, str, bytes, str, int]] = []
        while len(written) < 60:
            batch = [
                Append(
                    ONE,
                    chance.choice(["said", "done", "tool"]),
                    chance.randbytes(chance.choice([0, 1, 5, 127, 128, 300])),
                    text=chance.choice(["", "", "wört", "another"]),
                    schema_version=chance.randint(1, 3),
                )
                for _ in range(chance.randint(1, 9))
            ]
            for item in batch:
                place = len(written) + 1
                written.append((place, item.type, item.payload, item.text, item.schema_version))
            await log.append(batch)
        for after in range(len(written) + 2):
            for limit in (1, 2, 7, 100):
                found = await log.read(ONE, after=after, limit=limit)
                assert [
                    (it.seq, it.type, it.payload, it.text, it.schema_version) for it in found
                ] == written[after : after + limit]
        audit = await log.audit(ONE)
        assert (audit.events, audit.intact) == (len(written), True)

    async def test_events_of_an_append_share_a_row_but_each_text_has_its_own(
        self, log: EventLog
    ) -> None:
        await log.append([event(ONE) for _ in range(8)])
        assert [tuple(row) for row in await self.query(log, _ROWS)] == [(8, 0, "")]
        await log.append([event(TWO), event(TWO, text="a"), event(TWO), event(TWO, text="b")])
        assert [tuple(row) for row in await self.query(log, _ROWS)][1:] == [
            (3, 1, "a"),
            (4, 0, "b"),
        ]

    async def test_streams_may_take_turns_in_an_append(self, log: EventLog) -> None:
        batch = [event((ONE, TWO)[n % 2], b"%d" % n) for n in range(10)]
        assert await log.append(batch) == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
        assert await payloads(log, ONE) == [b"0", b"2", b"4", b"6", b"8"]
        assert await payloads(log, TWO) == [b"1", b"3", b"5", b"7", b"9"]
        assert (await log.heads("session"))[0].stream == TWO

    async def test_an_append_of_any_size(self, log: EventLog) -> None:
        small = [b"%d" % n for n in range(3 * segments.EVENTS + 1)]
        large = [bytes([n]) * (segments.BYTES // 2 + n) for n in range(5)]
        await log.append([event(ONE, payload) for payload in [*small, *large, *small]])
        assert await payloads(log, ONE) == [*small, *large, *small]
        assert (await log.audit(ONE)).intact

    async def test_types_without_number(self, log: EventLog) -> None:
        types = [f"type_{n}" for n in range(300)]
        await log.append([Append(ONE, name, b"") for name in types])
        await log.append([Append(ONE, name, b"") for name in reversed(types)])
        found = [item.type for item in await log.read(ONE, limit=1000)]
        assert found == [*types, *reversed(types)]
        assert (await log.audit(ONE)).intact

    @pytest.mark.parametrize(
        "sql",
        [
            "UPDATE segments SET trail = 1 WHERE seq = 7",
            "UPDATE segments SET trail = 0 WHERE seq = 7",
            "UPDATE segments SET trail = 3 WHERE seq = 7",
            "UPDATE segments SET trail = -1 WHERE seq = 7",
            "UPDATE segments SET text = 'never said' WHERE seq = 7",
            "UPDATE segments SET types = (SELECT types FROM segments WHERE seq = 4) WHERE seq = 7",
            "UPDATE segments SET types = (SELECT types FROM segments WHERE seq = 8) WHERE seq = 7",
            "UPDATE segments SET types = link WHERE seq = 7",
            "UPDATE segments SET payload = (SELECT payload FROM segments WHERE seq = 4) "
            "WHERE seq = 7",
            "UPDATE segments SET created_at = created_at + 1 WHERE seq = 7",
            "UPDATE segments SET seq = 6 WHERE seq = 7",
            "DELETE FROM segments WHERE seq = 7",
            "DELETE FROM types WHERE name = 'of the third'",
            "UPDATE types SET name = 'forged' WHERE name = 'of the third'",
            "UPDATE types SET version = 2 WHERE name = 'of the third'",
        ],
    )
    async def test_what_was_changed_is_found_where_its_row_begins(
        self, log: EventLog, sql: str
    ) -> None:
        await log.append([event(ONE, b"1")])
        await log.append([event(ONE, b"%d" % n) for n in (2, 3, 4)])
        third = Append(ONE, "of the third", b"7")
        await log.append([event(ONE, b"5", text="said"), event(ONE, b"6"), third])
        await log.append([event(ONE, b"8")])
        await self.tamper(log, sql)
        found = await log.audit(ONE)
        assert (found.intact, found.first_bad_seq, found.events) == (False, 5, 4)
        with pytest.raises(StorageCorruptError):
            await log.read(ONE)
        assert await log.read(ONE, limit=4)

    async def test_of_what_was_erased_types_and_number_remain(self, log: EventLog) -> None:
        await log.append([event(ONE, b"1", text="a"), Append(ONE, "done", b"2", schema_version=3)])
        before = await log.audit(ONE)
        assert (await log.erase([ONE])).events == 2
        assert [
            (it.seq, it.type, it.schema_version, it.payload, it.text, it.erased)
            for it in await log.read(ONE)
        ] == [(1, "said", 1, b"", "", True), (2, "done", 3, b"", "", True)]
        after = await log.audit(ONE)
        assert (after.erased, after.intact, after.chain_head) == (2, True, before.chain_head)
        for change in ("trail = 0", "types = link", "digest = link", "payload = link"):
            other = StreamKey("session", change)
            await log.append([event(other, b"1", text="a"), event(other, b"2")])
            await log.erase([other])
            await self.tamper(
                log,
                f"UPDATE segments SET {change} WHERE stream = "
                f"(SELECT id FROM streams WHERE name = '{change}')",
            )
            assert (await log.audit(other)).first_bad_seq == 1


_ROWS = "SELECT seq, trail, text FROM segments ORDER BY position"
