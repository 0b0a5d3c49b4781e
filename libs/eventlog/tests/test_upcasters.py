"""Events of earlier versions are read as if of the newest, on both stores."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest
from event_log_contract import ONE, TWO

from ensemble.core.errors import EventTooNewError, StorageCorruptError
from ensemble.eventlog import Append, EventLog, PostgresEventLog, SqliteEventLog, Upcasters
from ensemble.testkit.postgres import shared_postgres

pytestmark = pytest.mark.contract


def _word_to_words(payload: bytes) -> bytes:
    return json.dumps({"words": [json.loads(payload)["word"]]}).encode()


def _words_to_text(payload: bytes) -> bytes:
    return json.dumps({"text": " ".join(json.loads(payload)["words"])}).encode()


SAID = Upcasters({("said", 1): _word_to_words, ("said", 2): _words_to_text}, versions={"other": 1})


@pytest.fixture(params=["sqlite", "postgres"])
async def log(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[EventLog]:
    opened: EventLog
    if request.param == "sqlite":
        opened = await SqliteEventLog.open(tmp_path / "log.db", upcasters=SAID)
        yield opened
        await opened.close()
        return
    server = await asyncio.to_thread(shared_postgres)
    async with server.database() as dsn:
        opened = await PostgresEventLog.open(dsn, upcasters=SAID)
        yield opened
        await opened.close()


def said(version: int, **payload: object) -> Append:
    return Append(ONE, "said", json.dumps(payload).encode(), schema_version=version)


async def test_every_version_is_read_as_the_newest(log: EventLog) -> None:
    await log.append(
        [
            said(1, word="one"),
            said(2, words=["one", "two"]),
            said(3, text="three"),
            Append(ONE, "unknown", b"as it is", schema_version=7),
        ]
    )
    events = await log.read(ONE)
    texts = [json.loads(item.payload)["text"] for item in events[:3]]
    assert texts == ["one", "one two", "three"]
    assert [item.schema_version for item in events] == [3, 3, 3, 7]
    assert events[3].payload == b"as it is"
    async with aclosing(log.tail(ONE)) as followed:
        assert [await anext(followed) for _ in events] == events
        live = asyncio.ensure_future(anext(followed))
        await asyncio.sleep(0)
        await log.append([said(1, word="live")])
        assert json.loads((await asyncio.wait_for(live, 20)).payload) == {"text": "live"}
    # What is stored has not changed.
    assert (await log.audit(ONE)).intact


async def test_a_newer_event_is_refused_and_the_message_says_what_to_do(log: EventLog) -> None:
    await log.append([said(3, text="ok"), said(4, text="later")])
    await log.append([Append(TWO, "other", b"x", schema_version=2)])
    assert len(await log.read(ONE, limit=1)) == 1
    for key, known in ((ONE, "3"), (TWO, "1")):
        with pytest.raises(EventTooNewError, match="Run the version that wrote it") as caught:
            await log.read(key)
        assert caught.value.metadata["known"] == known
    async with aclosing(log.tail(ONE)) as events:
        assert (await anext(events)).seq == 1
        with pytest.raises(EventTooNewError):
            await anext(events)


async def test_an_erased_event_of_an_earlier_version_stays_empty(log: EventLog) -> None:
    await log.append([said(1, word="one")])
    await log.erase([ONE])
    (found,) = await log.read(ONE)
    assert (found.payload, found.schema_version, found.erased) == (b"", 1, True)


async def test_a_payload_that_a_step_does_not_understand_is_damage(log: EventLog) -> None:
    await log.append([said(1, nothing="here")])
    with pytest.raises(StorageCorruptError, match="version 1"):
        await log.read(ONE)


async def test_an_event_older_than_all_steps_is_damage() -> None:
    from ensemble.eventlog import Event

    late = Upcasters({("said", 2): _words_to_text})
    with pytest.raises(StorageCorruptError):
        late.raised(Event(ONE, 1, "said", b"{}", 1, 0))


@pytest.mark.parametrize(
    ("starts", "versions"), [((1, 3), {}), ((1,), {"said": 3}), ((2,), {"said": 2})]
)
def test_steps_without_a_way_to_the_newest_are_refused(
    starts: tuple[int, ...], versions: dict[str, int]
) -> None:
    with pytest.raises(ValueError, match="said"):
        Upcasters({("said", start): _words_to_text for start in starts}, versions)
