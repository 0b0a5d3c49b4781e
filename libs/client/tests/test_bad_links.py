"""Whatever the link does, a conversation is one stream of events, each once."""

import asyncio
import contextlib
import time
from pathlib import Path

import grpc
import pytest
from scripted_gateway import BadLink, Event, Gateway, Session, serving

from ensemble.client import EnsembleClient
from ensemble.client.conversation import Gap
from ensemble.core.errors import (
    CancelledError,
    DrainingError,
    EnsembleError,
    FencedOffError,
    RateLimitedError,
    ServiceUnavailableError,
    SessionBusyError,
    SessionMovedError,
    SessionNotFoundError,
    StorageUnavailableError,
    TooManyStreamsError,
)
from ensemble.testkit.ports import free_port

pytestmark = pytest.mark.unit

CERTIFICATES = Path(__file__).parents[3] / "tests" / "contract" / "certificates"


def client_of(*addresses, **rest):
    return EnsembleClient(",".join(addresses), api_key="k", **rest)


@contextlib.asynccontextmanager
async def talking(*addresses, **rest):
    async with (
        client_of(*addresses) as client,
        client.converse(session_id="ses_1", resume_from_sequence=0, **rest) as talk,
    ):
        yield talk


async def read(talk, until):
    """Returns the sequenced events up to number `until`."""
    seen = []
    async with asyncio.timeout(30):
        async for event in talk:
            if event.sequence:
                seen.append(event)
                if event.sequence >= until:
                    return seen
    raise AssertionError("it ended")


def audio(response_id, offset, samples):
    event = Event()
    event.response_audio_delta.response_id = response_id
    event.response_audio_delta.offset_samples = offset
    event.response_audio_delta.pcm = b"".join(
        number.to_bytes(2, "little") for number in range(offset, offset + samples)
    )
    return event


@pytest.mark.parametrize("first", [1, 20, 60, 100, 150, 200, 260, 330, 400, 500, 601, 702, 803])
async def test_a_cut_at_any_byte_to_the_client(first):
    session = Session()
    for number in range(60):
        session.say(f"word {number} " * 8)
    gaps: list[Gap] = []
    gateway = Gateway(session)
    async with serving(gateway) as port:
        link = BadLink(port, [*range(first, first + 2500, 531), 10**9], down=True)
        async with (
            link.open() as address,
            talking(address, on_gap=gaps.append, connect_within=20) as talk,
        ):
            seen = await read(talk, 60)
    assert [event.sequence for event in seen] == list(range(1, 61))
    assert link.cuts >= 3
    assert all(gap.reason in ("SERVICE_UNAVAILABLE", "PEER_LOST") for gap in gaps)


@pytest.mark.parametrize("first", [250, 300, 351, 402, 460, 505])
async def test_a_cut_at_any_byte_from_the_client(first):
    session = Session()
    gateway = Gateway(session)
    async with serving(gateway) as port:
        link = BadLink(port, [*range(first, first + 1200, 257), 10**9], down=False)
        async with link.open() as address, talking(address, connect_within=20) as talk:
            reading = asyncio.create_task(read(talk, 30))
            for number in range(30):
                await talk.send_text(f"text {number}")
                await asyncio.sleep(0.01)
            seen = await reading
    assert session.texts == [f"text {number}" for number in range(30)]
    assert [event.sequence for event in seen] == list(range(1, 31))
    assert link.cuts >= 3


async def test_a_sender_does_not_wait_for_a_link_that_is_gone():
    """Far more than the link's queue holds, while nobody takes it."""
    session = Session()
    gateway = Gateway(session)
    async with serving(gateway) as port:
        link = BadLink(port, [2000, 4000, 10**9], down=False)
        async with link.open() as address, talking(address) as talk:
            reading = asyncio.create_task(read(talk, 500))
            async with asyncio.timeout(30):
                for number in range(500):
                    await talk.send_text(f"text {number}")
                await reading
    assert session.texts == [f"text {number}" for number in range(500)]


async def test_input_is_taken_while_the_link_is_down():
    session = Session()
    gateway = Gateway(session)
    lost = asyncio.Event()
    async with serving(gateway) as port:
        link = BadLink(port, [10**9], down=True)
        async with link.open() as address, talking(address, on_lost=lambda _: lost.set()) as talk:
            reading = asyncio.create_task(read(talk, 21))
            await talk.send_text("before")
            while not session.texts:
                await asyncio.sleep(0.01)
            gateway.end = ServiceUnavailableError()
            gateway.refuse = [ServiceUnavailableError()] * 3
            session.news.set()
            await lost.wait()
            gateway.end = None
            async with asyncio.timeout(1):
                for number in range(20):
                    await talk.send_text(f"{number}")
            await reading
    assert session.texts == ["before", *map(str, range(20))]


@pytest.mark.parametrize(
    "error",
    [
        CancelledError(),
        FencedOffError(),
        RateLimitedError(retry_after=0.05),
        StorageUnavailableError(),
        DrainingError(),
        SessionMovedError(metadata={"owner": "10.0.0.1:7702"}),
        TooManyStreamsError(),
    ],
)
async def test_whatever_a_server_that_ends_may_say_is_a_loss(error):
    session = Session()
    session.say("a")
    gateway = Gateway(session)
    gateway.end = error
    lost: list[EnsembleError] = []
    gaps: list[Gap] = []
    async with (
        serving(gateway) as port,
        talking(f"127.0.0.1:{port}", on_lost=lost.append, on_gap=gaps.append) as talk,
    ):
        await read(talk, 1)
        gateway.refuse = [error]
        reading = asyncio.create_task(read(talk, 2))
        while len(gateway.starts) < 2:
            await asyncio.sleep(0.01)
        gateway.end = None
        session.say("b")
        await reading
    assert [each.reason for each in lost] == [error.reason]
    assert [(gap.reason, gap.tries > 1) for gap in gaps] == [(error.reason, True)]


@pytest.mark.parametrize("code", [grpc.StatusCode.CANCELLED, grpc.StatusCode.INTERNAL])
async def test_what_only_grpc_says_is_a_loss(code):
    session = Session()
    session.say("a")
    gateway = Gateway(session)
    gateway.end = lambda context: context.abort(code, "Received RST_STREAM with error code 8")
    async with serving(gateway) as port, talking(f"127.0.0.1:{port}") as talk:
        await read(talk, 1)
        reading = asyncio.create_task(read(talk, 2))
        while len(gateway.starts) < 2:
            await asyncio.sleep(0.01)
        gateway.end = None
        session.say("b")
        await reading


async def test_a_gateway_that_stands_still_is_left_for_another(monkeypatch):
    monkeypatch.setattr("ensemble.client.link._SILENCE", 0.7)
    session = Session()
    session.say("a")
    frozen, other = Gateway(session), Gateway(session)
    frozen.end = lambda context: asyncio.sleep(60)
    gaps: list[Gap] = []
    async with serving(frozen) as here, serving(other) as there:
        addresses = f"127.0.0.1:{here}", f"127.0.0.1:{there}"
        async with talking(*addresses, on_gap=gaps.append) as talk:
            await read(talk, 1)
            reading = asyncio.create_task(read(talk, 2))
            while not other.starts:
                await asyncio.sleep(0.01)
            session.say("b")
            await reading
    assert [gap.reason for gap in gaps] == ["PEER_LOST"]
    assert other.starts[0].resume_from_sequence == 1


async def test_a_refusal_while_it_is_taken_up_ends_it():
    session = Session()
    session.say("a")
    gateway = Gateway(session)
    gateway.end = ServiceUnavailableError()
    async with serving(gateway) as port, talking(f"127.0.0.1:{port}") as talk:
        await read(talk, 1)
        gateway.refuse = [SessionBusyError()]
        with pytest.raises(SessionBusyError):
            await read(talk, 2)


async def test_streams_that_open_and_break_at_once_end_with_the_patience():
    session = Session()
    session.say("a")
    gateway = Gateway(session)
    gateway.end = ServiceUnavailableError("over and over")
    lost: list[EnsembleError] = []
    async with (
        serving(gateway) as port,
        talking(f"127.0.0.1:{port}", patience=1.5, on_lost=lost.append) as talk,
    ):
        begun = time.monotonic()
        with pytest.raises(ServiceUnavailableError, match="over and over"):
            await read(talk, 2)
        assert 1.0 < time.monotonic() - begun < 15
    # Not as fast as it can: it rests longer each time.
    assert 3 < len(gateway.starts) < 20
    assert len(lost) == 1


async def test_a_gateway_that_goes_away_is_left_at_once_for_one_that_it_names():
    session = Session()
    first, second = Gateway(session), Gateway(session)
    gaps: list[Gap] = []
    async with serving(first) as here, serving(second) as there:
        away = Event()
        away.going_away.gateways.extend(
            ["10.0.0.1:7700", f"127.0.0.1:{free_port()}", f"127.0.0.1:{there}"]
        )
        first.first = [[away]]
        async with talking(f"127.0.0.1:{here}", on_gap=gaps.append) as talk:
            reading = asyncio.create_task(read(talk, 1))
            while not second.starts:
                await asyncio.sleep(0.01)
            await talk.send_text("hello")
            await reading
    assert session.texts == ["hello"]
    assert len(first.starts) == 1
    assert [gap.reason for gap in gaps] == ["DRAINING"]


async def test_a_gateway_that_goes_away_alone_is_heard_to_its_end():
    session = Session()
    gateway = Gateway(session)
    away = Event()
    away.going_away.gateways.append("10.0.0.1:7700")
    gateway.first = [[away]]
    async with serving(gateway) as port, talking(f"127.0.0.1:{port}") as talk:
        await talk.send_text("hello")
        await read(talk, 1)
    assert len(gateway.starts) == 1


async def test_audio_comes_once_and_whole():
    session = Session()
    gateway = Gateway(session)
    gateway.first = [
        [audio("r", 0, 100), audio("r", 100, 100)],
        [audio("r", 50, 50), audio("r", 100, 150), audio("r", 250, 50), audio("s", 0, 10)],
    ]
    gateway.end = ServiceUnavailableError()
    heard: dict[str, bytes] = {}
    async with serving(gateway) as port, talking(f"127.0.0.1:{port}") as talk:
        async for event in talk:
            delta = event.response_audio_delta
            pcm = heard.setdefault(delta.response_id, b"")
            assert delta.offset_samples == len(pcm) // 2
            heard[delta.response_id] = pcm + delta.pcm
            if delta.response_id == "s":
                break
            if delta.offset_samples == 100 and len(heard["r"]) == 400:
                # Fifty were played; the rest of what came waits to be.
                await talk.report_playback("r", 50)
                gateway.end = None if len(gateway.starts) > 1 else gateway.end
    assert heard["r"] == audio("r", 0, 300).response_audio_delta.pcm
    assert gateway.starts[1].playback.played_samples == 50


def response(kind):
    event = Event()
    getattr(event, f"response_{kind}").response_id = "r1"
    return event


async def test_who_never_reports_has_heard_what_came():
    session = Session()
    session.add(response("started"))
    gateway = Gateway(session)
    async with serving(gateway) as port, talking(f"127.0.0.1:{port}") as talk:
        await read(talk, 1)
        gateway.first = [[audio("r1", 0, 70)], [audio("r1", 70, 10)]]
        gateway.end = ServiceUnavailableError()
        heard = []
        async for event in talk:
            heard.append(event.response_audio_delta.offset_samples)
            if len(heard) == 2:
                break
            session.news.set()
    assert heard == [0, 70]
    assert [start.playback.played_samples for start in gateway.starts] == [0, 0, 70]


async def test_who_reports_and_has_heard_nothing_yet_says_so():
    session = Session()
    session.add(response("started"))
    gateway = Gateway(session)
    async with serving(gateway) as port, talking(f"127.0.0.1:{port}") as talk:
        await talk.report_playback("r0", 50)
        await read(talk, 1)
        gateway.end = ServiceUnavailableError()
        session.news.set()
        reading = asyncio.create_task(read(talk, 2))
        while len(gateway.starts) < 2:
            await asyncio.sleep(0.01)
        gateway.end = None
        session.add(response("done"))
        await reading
    playback = gateway.starts[1].playback
    assert (playback.response_id, playback.played_samples) == ("r1", 0)


async def test_a_cancel_outlives_the_loss_that_swallowed_it():
    session = Session()
    session.add(response("started"))
    gateway = Gateway(session)
    async with serving(gateway) as port:
        link = BadLink(port, [10**9], down=False)
        async with link.open() as address, talking(address) as talk:
            await read(talk, 1)
            gateway.end = ServiceUnavailableError()
            session.news.set()
            await talk.cancel_response()
            reading = asyncio.create_task(read(talk, 2))
            while len(gateway.starts) < 2:
                await asyncio.sleep(0.01)
            gateway.end = None
            gateway.got.clear()
            while "response_cancel" not in gateway.kinds():
                await asyncio.sleep(0.01)
            (cancel,) = [each for each in gateway.got if each.HasField("response_cancel")]
            assert cancel.response_cancel.response_id == "r1"
            session.add(response("done"))
            await reading
            gateway.got.clear()
            gateway.end = ServiceUnavailableError()
            reading = asyncio.create_task(read(talk, 3))
            while len(gateway.starts) < 4:
                await asyncio.sleep(0.01)
            gateway.end = None
            session.say("later")
            await reading
    assert "response_cancel" not in gateway.kinds()


async def test_the_result_of_a_tool_of_an_answer_that_is_over_is_not_sent_again():
    session = Session()
    session.add(response("started"))
    gateway = Gateway(session)
    async with serving(gateway) as port, talking(f"127.0.0.1:{port}") as talk:
        await talk.send_tool_result("c1", result_json="1")
        session.add(response("done"))
        await read(talk, 2)
        gateway.end = ServiceUnavailableError()
        await talk.send_tool_result("c2", result_json="2")
        reading = asyncio.create_task(read(talk, 3))
        while len(gateway.starts) < 2:
            await asyncio.sleep(0.01)
        gateway.got.clear()
        gateway.end = None
        while "tool_result" not in gateway.kinds():
            await asyncio.sleep(0.01)
        session.say("x")
        await reading
    assert {e.tool_result.call_id for e in gateway.got if e.HasField("tool_result")} == {"c2"}


async def test_a_new_session_begins_at_the_gateway_that_is_there_and_only_once():
    session = Session()
    gateway = Gateway(session)
    gateway.refuse = [DrainingError()]
    async with serving(gateway) as port:
        addresses = [f"127.0.0.1:{free_port()}", f"127.0.0.1:{port}"]
        async with client_of(*addresses) as client, client.converse(connect_within=10) as talk:
            assert talk.session_id == "ses_1"
    assert len(gateway.starts) == 2
    assert len({start.request_id for start in gateway.starts}) == 1
    assert gateway.starts[0].request_id


async def test_who_cannot_be_reached_at_first_is_told_at_once():
    async with client_of(f"127.0.0.1:{free_port()}") as client:
        begun = time.monotonic()
        with pytest.raises(ServiceUnavailableError, match="No Ensemble answers"):
            await client.ask("hello")
        assert time.monotonic() - begun < 5


async def test_other_calls_go_to_a_gateway_that_is_there():
    session = Session()
    gateway = Gateway(session)
    for number in range(5):
        session.say(f"{number}")
    async with serving(gateway) as port:
        async with client_of(f"127.0.0.1:{free_port()}", f"127.0.0.1:{port}") as client:
            assert (await client.get_session("s")).session_id == "s"
        async with client_of(f"127.0.0.1:{free_port()}", f"127.0.0.1:{port}") as client:
            events = [event.sequence async for event in client.replay_session("s")]
            assert events == [1, 2, 3, 4, 5]


async def test_a_replay_goes_on_where_it_was_cut():
    session = Session()
    for number in range(3):
        session.say(f"{number}")
    gateway = Gateway(session)
    gateway.end = ServiceUnavailableError()
    async with serving(gateway) as port, client_of(f"127.0.0.1:{port}") as client:
        seen = []
        async for event in client.replay_session("s", follow=True):
            seen.append(event.sequence)
            if len(seen) == 3:
                session.say("more")
                gateway.end = None
        assert seen == [1, 2, 3, 4]
        gateway.end = SessionNotFoundError()
        with pytest.raises(SessionNotFoundError):
            async for _ in client.replay_session("s"):
                pass


async def test_a_certificate_of_a_private_authority_is_trusted_when_it_is_given():
    keys = [((CERTIFICATES / f"server{end}.pem").read_bytes()) for end in (".key", "")]
    credentials = grpc.ssl_server_credentials([(keys[0], keys[1])])
    roots = (CERTIFICATES / "authority.pem").read_bytes()
    async with serving(Gateway(Session()), credentials) as port:
        async with client_of(f"localhost:{port}", root_certificates=roots) as client:
            assert (await client.get_session("s")).session_id == "s"
        async with client_of(f"localhost:{port}") as client:
            with pytest.raises(ServiceUnavailableError):
                await client.get_session("s")
