"""How a session stands in the log: words once, work as SQL sees it, state without a fold."""

import sqlite3

import msgspec
import pytest

pytestmark = pytest.mark.unit

WORDS = "one two three four five six"


def query(rig, statement):  # type: ignore[no-untyped-def]
    with sqlite3.connect(f"file:{rig.settings.log}?mode=ro", uri=True) as connection:
        return connection.execute(statement).fetchall()


async def test_words_are_kept_once_and_the_views_show_them(rig) -> None:
    rig.peers.router.say(WORDS)
    async with rig.client() as client:
        await client.say("count")
        await client.until("response_done")
    await rig.service.close()
    words = query(rig, "SELECT token FROM token_stream ORDER BY seq")
    assert "".join(word for (word,) in words) == WORDS
    kept = query(rig, "SELECT payload FROM segments")
    assert not [payload for (payload,) in kept if b"three" in payload]
    work = "SELECT agent, model, status, output_tokens, latency_ms FROM agent_executions"
    ((agent, model, status, tokens, latency),) = query(rig, work)
    assert (agent, model, status) == ("assistant", "scripted", "completed")
    assert tokens == client.of("response_done")[0].usage.output_tokens
    assert latency >= 0
    assert query(rig, "SELECT status FROM collaborations") == [("completed",)]


@pytest.mark.parametrize("before", ["response_text_done", "response_done"])
async def test_a_client_that_missed_the_deltas_gets_the_whole_text(rig, before: str) -> None:
    rig.peers.router.say(WORDS, token_s=0.05)
    async with rig.client() as client:
        await client.say("count")
        last = (await client.until(before)).sequence - 1
        await client.until("response_done")
    await rig.restart()
    async with rig.client(session_id=client.session_id, resume_from_sequence=last) as back:
        await back.until("response_done")
    expected = [done.text for done in client.of("response_text_done")]
    assert [done.text for done in back.of("response_text_done")] == (
        expected if before == "response_text_done" else []
    )


async def test_a_long_session_is_read_from_where_its_history_begins(rig) -> None:
    await rig.stop()
    rig.settings = msgspec.structs.replace(rig.settings, history_messages=6)
    await rig.start()
    read: list[int] = []
    async with rig.client() as client:
        for turn in range(40):
            await client.say(f"turn {turn}")
            await client.until("response_done", turn + 1)
    told = [message.text for message in rig.peers.router.starts[-1].messages]
    assert len(told) == 7, "six of history, and what is said"
    await rig.restart()
    log = rig.service._log
    reading = log.read

    async def counted(stream, after=0, limit=256):  # type: ignore[no-untyped-def]
        events = await reading(stream, after, limit)
        read.append(len(events))
        return events

    log.read = counted
    async with rig.client(session_id=client.session_id) as back:
        started = await back.until("started")
        await back.say("turn 40")
        await back.until("response_done")
    assert started.started.session.turn_count == 40
    assert started.started.session.last_sequence == client.record[-1].sequence
    assert started.started.input.text_items == 40
    again = [message.text for message in rig.peers.router.starts[-1].messages]
    assert again == [*told[2:], told[1], "turn 40"]
    whole = len(client.record)
    assert sum(read) < whole / 1.5, "the record was read from its start"
