"""What every ownership does; each adapter's test module subclasses ``OwnershipContract``."""

import asyncio

import pytest
from event_log_contract import ONE, TWO, event

from ensemble.core.errors import FencedOffError
from ensemble.eventlog import EventLog, Ownership, StreamKey


class OwnershipContract:
    """Subclasses give the fixtures ``log``, empty and open, and ``ownership``, that log's."""

    async def test_each_instance_has_a_higher_fence(self, ownership: Ownership) -> None:
        first = await ownership.join("edge-1", "here:1")
        second = await ownership.join("edge-2")
        again = await ownership.join("edge-1", "here:2")
        assert (first.slot, first.incarnation, first.address) == ("edge-1", 1, "here:1")
        assert (second.incarnation, again.incarnation) == (1, 2)
        assert 0 < first.fence < second.fence < again.fence

    async def test_joining_buries_the_former_of_the_slot(self, ownership: Ownership) -> None:
        former = await ownership.join("edge-1")
        other = await ownership.join("edge-2")
        present = await ownership.join("edge-1")
        with pytest.raises(FencedOffError):
            await ownership.beat(former)
        peers = await ownership.beat(other)
        assert [peer.instance for peer in peers] == [other, present]

    async def test_one_that_wakes_up_does_not_bury_its_successor(
        self, ownership: Ownership
    ) -> None:
        late = await ownership.join("a")
        successor = await ownership.join("a")
        with pytest.raises(FencedOffError):
            await ownership.join("a", after=late)
        await ownership.beat(successor)
        await ownership.leave(successor)
        again = await ownership.join("a", after=late)
        assert again.incarnation == 3

    async def test_beats_grow_and_say_how_one_is(self, ownership: Ownership) -> None:
        one = await ownership.join("edge-1", "here:1")
        two = await ownership.join("edge-2")
        await ownership.beat(one, load=3)
        peers = {peer.instance: peer for peer in await ownership.beat(two, leaving=True)}
        assert (peers[one].load, peers[one].leaving) == (3, False)
        assert (peers[two].load, peers[two].leaving) == (0, True)
        later = {peer.instance: peer for peer in await ownership.beat(one)}
        assert later[one].beat > peers[one].beat
        assert later[two].beat == peers[two].beat

    async def test_only_one_whose_beat_stood_still_is_buried(self, ownership: Ownership) -> None:
        one, two = await ownership.join("edge-1"), await ownership.join("edge-2")
        seen = {peer.instance: peer for peer in await ownership.beat(two)}[one]
        await ownership.beat(one)
        assert not await ownership.bury(seen)
        seen = {peer.instance: peer for peer in await ownership.beat(two)}[one]
        assert await ownership.bury(seen)
        assert not await ownership.bury(seen)
        with pytest.raises(FencedOffError):
            await ownership.beat(one)
        assert [peer.instance for peer in await ownership.beat(two)] == [two]

    async def test_a_stream_has_one_holder(self, log: EventLog, ownership: Ownership) -> None:
        one, two = await ownership.join("edge-1"), await ownership.join("edge-2")
        assert await ownership.holder(ONE) is None
        assert await ownership.claim(ONE, one)
        assert await ownership.claim(ONE, one)
        assert not await ownership.claim(ONE, two)
        assert await ownership.holder(ONE) == one
        assert await log.append([event(ONE, owner="ada")], fence=one.fence) == [1]
        with pytest.raises(FencedOffError):
            await log.append([event(ONE)], fence=two.fence)
        head = await log.head(ONE)
        assert head is not None
        assert (head.owner, head.fence) == ("ada", one.fence)

    async def test_a_claim_makes_no_event(self, log: EventLog, ownership: Ownership) -> None:
        one = await ownership.join("edge-1")
        await ownership.claim(ONE, one)
        assert await log.head(ONE) is None
        assert await log.heads("session") == []
        assert await log.append([event(ONE, expected_seq=0)], fence=one.fence) == [1]

    async def test_of_many_that_claim_one_wins(self, ownership: Ownership) -> None:
        instances = [await ownership.join(f"edge-{n}") for n in range(5)]
        won = await asyncio.gather(*(ownership.claim(ONE, each) for each in instances))
        assert won.count(True) == 1
        assert await ownership.holder(ONE) == instances[won.index(True)]

    async def test_what_the_dead_held_can_be_claimed_and_the_late_do_no_harm(
        self, log: EventLog, ownership: Ownership
    ) -> None:
        one, two = await ownership.join("edge-1"), await ownership.join("edge-2")
        await log.append([event(ONE, own=True)], fence=one.fence)
        assert await ownership.holder(ONE) == one
        assert not await ownership.claim(ONE, two)
        await ownership.leave(one)
        assert await ownership.holder(ONE) is None
        assert await ownership.claim(ONE, two)
        with pytest.raises(FencedOffError):
            await log.append([event(TWO), event(ONE)], fence=one.fence)
        assert await log.read(TWO) == []
        assert await log.append([event(ONE)], fence=two.fence) == [2]
        assert not await ownership.claim(ONE, one)
        assert not await ownership.claim(TWO, one)

    async def test_a_late_writer_loses_against_a_claim_whatever_comes_first(
        self, log: EventLog, ownership: Ownership
    ) -> None:
        former = await ownership.join("edge-1")
        await log.append([event(ONE, own=True)], fence=former.fence)
        present = await ownership.join("edge-1")
        late = [
            asyncio.ensure_future(log.append([event(ONE, b"late")], fence=former.fence))
            for _ in range(20)
        ]
        assert await ownership.claim(ONE, present)
        seen = await log.head(ONE)
        await asyncio.gather(*late, return_exceptions=True)
        with pytest.raises(FencedOffError):
            await log.append([event(ONE, b"late")], fence=former.fence)
        assert seen is not None
        written = sum(1 for each in late if each.exception() is None)
        assert seen.last_seq == 1 + written
        assert await log.append([event(ONE)], fence=present.fence) == [seen.last_seq + 1]

    async def test_orphans_are_claimed_longest_unchanged_first(
        self, log: EventLog, ownership: Ownership
    ) -> None:
        one, two = await ownership.join("edge-1"), await ownership.join("edge-2")
        keys = [StreamKey("session", f"s{n}") for n in range(4)]
        for key in keys:
            await log.append([event(key, mark="open", own=True)], fence=one.fence)
        await log.append([event(keys[0])], fence=one.fence)
        await log.append([event(keys[2], mark="")], fence=one.fence)
        await log.append([event(TWO, mark="open")])
        await log.append([event(StreamKey("other", "x"), mark="open")])
        assert await ownership.claim_orphans("session", "open", two, 1) == [TWO]
        assert await ownership.claim_orphans("session", "open", two, 9) == []
        await ownership.leave(one)
        assert await ownership.claim_orphans("session", "open", one, 9) == []
        assert await ownership.claim_orphans("session", "open", two, 2) == [keys[1], keys[3]]
        assert await ownership.claim_orphans("session", "open", two, 9) == [keys[0]]
        for key in (TWO, keys[0], keys[1], keys[3]):
            assert await ownership.holder(key) == two

    async def test_what_is_released_is_anybodys(self, log: EventLog, ownership: Ownership) -> None:
        one, two = await ownership.join("edge-1"), await ownership.join("edge-2")
        await log.append([event(ONE, own=True), event(TWO, own=True)], fence=one.fence)
        await ownership.release([ONE], two)
        assert await ownership.holder(ONE) == one
        await ownership.release([ONE, TWO, StreamKey("session", "absent")], one)
        assert await ownership.holder(ONE) is None
        assert await log.append([event(ONE)]) == [2]
        assert await ownership.claim(TWO, two)
        with pytest.raises(FencedOffError):
            await log.append([event(TWO)], fence=one.fence)
