import pytest

from ensemble.core.errors import ToolFailedError

pytestmark = pytest.mark.unit

LIGHT = {"room": "kitchen", "device": "light"}


async def test_a_device_is_as_it_was_set(assistant):
    assert await assistant.do("get_device", LIGHT) == {**LIGHT, "state": "unknown"}
    set_ = await assistant.do("set_device", {**LIGHT, "state": "on"})
    assert set_ == {**LIGHT, "state": "on"}
    assert await assistant.do("get_device", LIGHT) == {**LIGHT, "state": "on"}
    await assistant.do("set_level", {**LIGHT, "level": 35})
    assert await assistant.do("get_device", LIGHT) == {**LIGHT, "state": "on", "level": 35}
    await assistant.do("set_device", {**LIGHT, "state": "off"})
    assert await assistant.do("get_device", LIGHT) == {**LIGHT, "state": "off"}
    await assistant.do("set_device", {**LIGHT, "state": "on"})
    assert await assistant.do("get_device", LIGHT) == {**LIGHT, "state": "on", "level": 35}
    await assistant.do("set_level", {**LIGHT, "level": 0})
    assert await assistant.do("get_device", LIGHT) == {**LIGHT, "state": "off"}


async def test_results_keep_the_order_of_their_keys(assistant):
    answer = await assistant.answer("set_level", '{"level": 7, "device": "fan", "room": "attic"}')
    assert answer.result.result_json == '{"room": "attic", "device": "fan", "level": 7}'


async def test_all_rooms_at_once(assistant):
    everywhere = {"room": "all", "device": "lamp"}
    assert (await assistant.do("get_device", everywhere))["state"] == "unknown"
    await assistant.do("set_level", {**everywhere, "level": 20})
    for room in ("kitchen", "garden"):
        found = await assistant.do("get_device", {"room": room, "device": "lamp"})
        assert (found["state"], found["level"]) == ("on", 20)
    await assistant.do("set_device", {"room": "attic", "device": "lamp", "state": "off"})
    assert await assistant.do("get_device", everywhere) == {**everywhere, "state": "unknown"}
    await assistant.do("set_level", {"room": "attic", "device": "lamp", "level": 20})
    assert await assistant.do("get_device", everywhere) == {
        **everywhere,
        "state": "on",
        "level": 20,
    }
    await assistant.do("set_level", {"room": "attic", "device": "lamp", "level": 30})
    assert await assistant.do("get_device", everywhere) == {**everywhere, "state": "on"}
    await assistant.do("set_device", {**everywhere, "state": "off"})
    assert await assistant.do("get_device", everywhere) == {**everywhere, "state": "off"}


async def test_time_and_date(assistant):
    assert await assistant.do("get_time") == {"time": "14:00"}
    assert await assistant.do("get_date") == {"date": "Saturday 21 November 2026"}


async def test_sums(assistant):
    answer = await assistant.do("calculate", {"expression": " 12 + 7 "})
    assert answer == {"expression": "12 + 7", "value": "19"}
    failed = await assistant.answer("calculate", {"expression": "1 / 0"})
    assert isinstance(failed.error, ToolFailedError)
    assert failed.error.message == "Nothing can be divided by zero."


async def test_recalls_what_it_was_told(assistant):
    told = {"subject": "My car key", "fact": "in the drawer"}
    assert await assistant.do("remember", told) == told
    for subject in ("car key", "the Car Key", "car keys", "our car key"):
        found = await assistant.do("recall", {"subject": subject})
        assert found == {"subject": subject, "facts": ["in the drawer"]}


async def test_recalls_the_newest_three(assistant):
    for fact in ("one", "two", "three", "four"):
        await assistant.do("remember", {"subject": "list", "fact": fact})
    assert (await assistant.do("recall", {"subject": "list"}))["facts"] == ["four", "three", "two"]


async def test_recalls_by_the_words_where_no_name_fits(assistant):
    await assistant.do("remember", {"subject": "spare key", "fact": "under the mat"})
    await assistant.do("remember", {"subject": "anna", "fact": "likes tulips"})
    for subject, facts in [
        ("spare", ["spare key under the mat"]),
        ("tulips", ["anna likes tulips"]),
        ("piano", []),
        ("?", []),
    ]:
        assert (await assistant.do("recall", {"subject": subject}))["facts"] == facts


async def test_what_is_remembered_twice_is_one_fact(assistant):
    for _ in range(2):
        await assistant.do("remember", {"subject": "code", "fact": "4711"})
    assert (await assistant.do("recall", {"subject": "code"}))["facts"] == ["4711"]
