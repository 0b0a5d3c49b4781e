"""What every `WorldStore` does. A subclass gives the fixture `store`."""

import asyncio
import json

import pytest

from ensemble.core.errors import InvalidArgumentError
from ensemble.world_model.entities import MAX_ATTRIBUTES, MAX_FACTS, Observation, Wanted


def light(state, **more):
    return Observation("device", "kitchen light", {"state": json.dumps(state), **more})


def values(entity):
    return {attribute.name: attribute.value_json for attribute in entity.attributes}


class WorldStoreContract:
    async def test_sets_named_attributes_and_keeps_the_others(self, store):
        await store.observe("", [light("on", level="40")])
        recorded = await store.observe("", [light("off")])
        assert values(recorded.entities[0]) == {"state": '"off"', "level": "40"}
        assert recorded.sequence == 2 == recorded.entities[0].sequence

    async def test_an_empty_value_removes_an_attribute(self, store):
        await store.observe("", [light("on", level="40")])
        recorded = await store.observe("", [Observation("device", "kitchen light", {"level": ""})])
        assert values(recorded.entities[0]) == {"state": '"on"'}

    async def test_keeps_values_byte_for_byte(self, store):
        texts = ["9007199254740993", "1.50", '{"b": 1,  "a": [1e2]}', '"\\u00fc"', '"ü"']
        seen = Observation("thing", "x", {str(i): text for i, text in enumerate(texts)})
        await store.observe("", [seen])
        page = await store.query(Wanted(name="x"))
        assert list(values(page.entities[0]).values()) == texts

    async def test_facts_come_newest_first_and_each_once(self, store):
        for text in ["in the drawer", "on the table", "in the drawer"]:
            recorded = await store.observe("", [Observation("memory", "key", facts=(text,))])
        assert [fact.text for fact in recorded.entities[0].facts] == [
            "in the drawer",
            "on the table",
        ]

    async def test_the_first_of_several_facts_is_the_newest(self, store):
        recorded = await store.observe("", [Observation("memory", "key", facts=("b", "a"))])
        assert [fact.text for fact in recorded.entities[0].facts] == ["b", "a"]

    async def test_the_oldest_facts_make_room(self, store):
        facts = tuple(str(number) for number in range(MAX_FACTS))
        await store.observe("", [Observation("memory", "key", facts=facts)])
        recorded = await store.observe("", [Observation("memory", "key", facts=("new",))])
        texts = [fact.text for fact in recorded.entities[0].facts]
        assert len(texts) == MAX_FACTS
        assert texts[0] == "new"
        assert texts[-1] == str(MAX_FACTS - 2)

    async def test_all_of_an_observation_or_nothing(self, store):
        good = Observation("device", "lamp", {"state": '"on"'})
        bad = Observation("device", "fan", {"state": "on"})
        with pytest.raises(InvalidArgumentError, match="not JSON"):
            await store.observe("r", [good, bad])
        assert (await store.query(Wanted())).entities == ()
        assert await store.head() == 0
        assert (await store.observe("r", [good])).sequence == 1

    @pytest.mark.parametrize("value", ["nan", "NaN", "{", "[" * 5000, "1e9999999999999999999"])
    async def test_refuses_what_is_not_json(self, store, value):
        with pytest.raises(InvalidArgumentError):
            await store.observe("", [Observation("device", "x", {"v": value})])

    async def test_refuses_an_entity_that_grows_too_large(self, store):
        many = {f"a{number}": "1" for number in range(MAX_ATTRIBUTES)}
        await store.observe("", [Observation("device", "x", many)])
        with pytest.raises(InvalidArgumentError, match="attributes"):
            await store.observe("", [Observation("device", "x", {"one more": "1"})])
        big = json.dumps("x" * 60_000)
        with pytest.raises(InvalidArgumentError, match="bytes"):
            await store.observe("", [Observation("device", "y", {f"a{n}": big for n in range(20)})])
        assert len((await store.query(Wanted())).entities) == 1

    async def test_same_request_same_answer(self, store):
        first = await store.observe("r", [light("on"), Observation("device", "fan")])
        await store.observe("", [light("off")])
        again = await store.observe("r", [light("on")])
        assert again == first
        assert await store.head() == 3
        now = (await store.query(Wanted(name="kitchen light"))).entities[0]
        assert values(now) == {"state": '"off"'}

    async def test_names_are_one_in_any_case(self, store):
        await store.observe("", [Observation("person", "Zoë Müller", {"age": "3"})])
        await store.observe("", [Observation("person", "zoë MÜLLER", {"size": "4"})])
        (entity,) = (await store.query(Wanted("person", "ZOË müller"))).entities
        assert entity.name == "Zoë Müller"
        assert values(entity) == {"age": "3", "size": "4"}

    @pytest.mark.parametrize(
        ("stored", "asked", "found"),
        [
            ("1", "1.0", True),
            ("1.50", "15e-1", True),
            ("0", "-0.0", True),
            ("9007199254740993", "9007199254740992", False),
            ('{"a": 1, "b": [2]}', '{"b":[2.0],"a":1}', True),
            ("true", "1", False),
            ('"1"', "1", False),
            ('{"": "1"}', "1", False),
            ('"\\u00fc"', '"ü"', True),
            ("null", "null", True),
            ('"on"', '"On"', False),
        ],
    )
    async def test_attributes_are_compared_as_values(self, store, stored, asked, found):
        await store.observe("", [Observation("device", "x", {"v": stored})])
        page = await store.query(Wanted(attributes_json={"v": asked}))
        assert bool(page.entities) is found

    async def test_an_old_value_no_longer_matches(self, store):
        await store.observe("", [light("on")])
        await store.observe("", [light("off")])
        page = await store.query(Wanted(attributes_json={"state": '"on"'}))
        assert page.entities == ()

    async def test_every_word_must_occur_in_name_or_facts(self, store):
        await store.observe("", [Observation("memory", "Car key", facts=("In the blue drawer.",))])
        for text, found in [
            ("drawer", True),
            ("KEY blue", True),
            ("draw", False),
            ("key red", False),
            ("blue, drawer!", True),
        ]:
            assert bool((await store.query(Wanted(text=text))).entities) is found, text

    async def test_pages_are_complete_and_in_order(self, store):
        names = [f"n{number:03}" for number in range(25)]
        await store.observe("", [Observation("b", name) for name in reversed(names)])
        await store.observe("", [Observation("a", "z")])
        found, token = [], ""
        while True:
            page = await store.query(Wanted(limit=7, page_token=token))
            assert len(page.entities) <= 7
            found += [(entity.kind, entity.name) for entity in page.entities]
            token = page.next_page_token
            if not token:
                break
        assert found == [("a", "z"), *(("b", name) for name in names)]

    async def test_a_page_is_no_larger_than_a_message(self, store):
        text = json.dumps("x" * 60_000)
        for number in range(80):
            await store.observe("", [Observation("big", f"n{number:02}", {"v": text})])
        sizes, token = [], ""
        while True:
            page = await store.query(Wanted(limit=1000, page_token=token))
            sizes.append(len(page.entities))
            token = page.next_page_token
            if not token:
                break
        assert sum(sizes) == 80
        assert len(sizes) > 1

    @pytest.mark.parametrize("token", ["x", "bm9wZQ==", "é"])
    async def test_refuses_a_token_of_somebody_else(self, store, token):
        with pytest.raises(InvalidArgumentError):
            await store.query(Wanted(page_token=token))

    async def test_what_is_removed_is_not_found_and_starts_afresh(self, store):
        seen = Observation("device", "lamp", {"a": "1"}, ("fact",))
        await store.observe("", [seen])
        removed = await store.observe("", [Observation("device", "lamp", removed=True)])
        assert removed.entities[0].removed
        assert (await store.query(Wanted())).entities == ()
        assert (await store.query(Wanted(text="lamp"))).entities == ()
        await store.observe("", [Observation("device", "lamp", {"b": "2"})])
        (entity,) = (await store.query(Wanted())).entities
        assert values(entity) == {"b": "2"}
        assert entity.facts == ()

    async def test_each_change_shows_the_entity_as_it_was(self, store):
        await store.observe("", [light("on"), Observation("device", "fan", {"state": "1"})])
        await store.observe("", [light("off", level="3")])
        await store.observe("", [Observation("memory", "key", facts=("here",))])
        await store.observe("", [Observation("device", "kitchen light", removed=True)])
        await store.observe("", [light("on")])
        found = await store.changes(0, "", 100)
        assert [change.sequence for change in found.changes] == [1, 2, 3, 4, 5, 6]
        assert found.upto == 6
        lights = [c.entity for c in found.changes if c.entity.name == "kitchen light"]
        assert [values(entity) for entity in lights] == [
            {"state": '"on"'},
            {"state": '"off"', "level": "3"},
            {},
            {"state": '"on"'},
        ]
        assert [entity.removed for entity in lights] == [False, False, True, False]

    async def test_changes_of_one_kind_and_in_parts(self, store):
        for number in range(10):
            kind = "a" if number % 2 else "b"
            await store.observe("", [Observation(kind, "x", {"n": str(number)})])
        after, found = 0, []
        while True:
            part = await store.changes(after, "a", 2)
            after = part.upto
            if not part.changes:
                break
            found += [values(change.entity)["n"] for change in part.changes]
        assert found == ["1", "3", "5", "7", "9"]
        assert after == 10

    async def test_waits_for_a_change(self, store):
        assert not await store.wait(0, 0.01)
        waiting = asyncio.create_task(store.wait(0, 30))
        await asyncio.sleep(0)
        await store.observe("", [light("on")])
        assert await waiting

    async def test_who_gives_up_waiting_still_has_it_recorded_and_told(self, store):
        waiting = asyncio.create_task(store.wait(0, 30))
        observing = asyncio.create_task(store.observe("", [light("on")]))
        await asyncio.sleep(0)
        observing.cancel()
        assert await waiting
        assert len((await store.query(Wanted())).entities) == 1

    async def test_many_at_once_each_get_a_sequence_of_their_own(self, store):
        recorded = await asyncio.gather(
            *(store.observe("", [Observation("n", str(number))]) for number in range(200))
        )
        assert sorted(result.sequence for result in recorded) == list(range(1, 201))

    async def test_erases_whole_what_only_one_person_recorded(self, store):
        seen = Observation("memory", "secret illness", {"a": "1"}, ("very ill",))
        await store.observe("r", [seen], "anna")
        await store.observe("", [Observation("memory", "key", facts=("here",))], "ben")
        await store.observe("", [Observation("memory", "secret illness", {"b": "2"})])
        head = await store.head()
        erased = await store.erase("anna", ["memory"], {})
        assert (erased.entities, erased.sequence) == (1, head + 1)
        (left,) = (await store.query(Wanted())).entities
        assert left.name == "key"
        assert not (await store.query(Wanted(text="ill"))).entities
        assert not (await store.query(Wanted("memory", "secret illness"))).entities
        changes = (await store.changes(0, "", 100)).changes
        assert [change.sequence for change in changes] == [1, 2, 3, 4]
        for change in changes:
            if change.sequence != 2:
                assert change.entity.removed
                assert (change.entity.name, change.entity.attributes) == ("", ())
                assert change.entity.facts == ()
        # What is recorded under the name later is something new.
        await store.observe("", [Observation("memory", "secret illness")], "anna")
        assert len((await store.query(Wanted())).entities) == 2
        again = await store.erase("ben", ["memory"], {})
        assert again.entities == 1

    async def test_erases_only_the_share_of_one_person(self, store):
        for who, fact in [("anna", "in the drawer"), ("ben", "on the table")]:
            seen = Observation("memory", "key", {who: "1"}, (fact,))
            await store.observe("", [seen], who)
        await store.erase("anna", ["memory"], {})
        (entity,) = (await store.query(Wanted())).entities
        assert [fact.text for fact in entity.facts] == ["on the table"]
        assert values(entity) == {"ben": "1"}
        assert not (await store.query(Wanted(text="drawer"))).entities
        for change in (await store.changes(0, "", 100)).changes:
            assert "in the drawer" not in [fact.text for fact in change.entity.facts]
        assert (await store.erase("anna", ["memory"], {})).entities == 0

    async def test_of_other_kinds_it_is_forgotten_who_recorded_them(self, store):
        await store.observe("", [light("on")], "anna")
        assert (await store.erase("anna", ["memory"], {})).entities == 0
        assert len((await store.query(Wanted())).entities) == 1
        assert (await store.erase("anna", ["device"], {})).entities == 0

    async def test_erases_only_what_has_or_had_a_value(self, store):
        for name, session in [("x", '"one"'), ("y", '"one"'), ("z", '"two"')]:
            await store.observe("", [Observation("call", name, {"s": session})], "anna")
        await store.observe("", [Observation("call", "x", removed=True)])
        assert (await store.erase("ben", ["call"], {"s": '"one"'})).entities == 0
        assert (await store.erase("anna", ["call"], {"s": '"one"'})).entities == 2
        assert [e.name for e in (await store.query(Wanted())).entities] == ["z"]
        with pytest.raises(InvalidArgumentError):
            await store.erase("anna", ["call"], {"s": "one"})

    async def test_a_request_of_before_an_erasure_is_still_known(self, store):
        await store.observe("r", [Observation("call", "x", {"claim": "1"})], "anna")
        await store.erase("anna", ["call"], {})
        again = await store.observe("r", [Observation("call", "x", {"claim": "2"})], "anna")
        assert values(again.entities[0]) == {}
        assert not (await store.query(Wanted())).entities

    async def test_who_waits_hears_of_an_erasure(self, store):
        await store.observe("", [light("on")], "anna")
        waiting = asyncio.create_task(store.wait(1, 30))
        await asyncio.sleep(0)
        await store.erase("anna", ["device"], {})
        assert await waiting

    async def test_erases_more_than_one_transaction_takes(self, store):
        seen = [Observation("n", str(number)) for number in range(250)]
        await store.observe("", seen, "anna")
        assert (await store.erase("anna", ["n"], {})).entities == 250
        assert not (await store.query(Wanted())).entities

    async def test_what_was_removed_long_ago_is_forgotten(self, store):
        for name in ("old", "kept"):
            seen = Observation("call", name, {"result": '"x"'}, ("a fact",))
            await store.observe(f"{name}:seen", [seen], "anna")
        await store.observe("old:gone", [Observation("call", "old", removed=True)])
        assert await store.forget_removed(1) == 0
        assert len((await store.changes(0, "", 10)).changes) == 3
        # The last change of all stays, whatever it is about: the next one is counted from it.
        assert await store.forget_removed(1 << 62) == 0
        recorded = await store.observe("", [light("on")])
        assert await store.forget_removed(1 << 62) == 1
        assert await store.forget_removed(1 << 62) == 0
        changes = (await store.changes(0, "", 10)).changes
        assert [change.entity.name for change in changes] == ["kept", "kitchen light"]
        assert await store.head() == recorded.sequence
        # It is new again: neither its history nor its request is known.
        again = await store.observe("old:seen", [Observation("call", "old", facts=("new",))])
        assert again.sequence == recorded.sequence + 1
        assert [fact.text for fact in again.entities[0].facts] == ["new"]
        known = await store.observe("kept:seen", [Observation("call", "kept")])
        assert values(known.entities[0]) == {"result": '"x"'}

    async def test_what_came_back_after_its_removal_is_not_forgotten(self, store):
        await store.observe("", [light("on")])
        await store.observe("", [Observation("device", "kitchen light", removed=True)])
        await store.observe("", [light("off")])
        await store.observe("", [Observation("device", "lamp")])
        assert await store.forget_removed(1 << 62) == 0
        assert len((await store.changes(0, "", 10)).changes) == 4

    async def test_much_that_was_removed_is_forgotten_in_one_go(self, store):
        for first in range(0, 250, 50):
            names = [f"{number}" for number in range(first, first + 50)]
            await store.observe("", [Observation("call", name) for name in names])
            await store.observe("", [Observation("call", name, removed=True) for name in names])
        await store.observe("", [light("on")])
        assert await store.forget_removed(1 << 62) == 250
        assert len((await store.changes(0, "", 1000)).changes) == 1
