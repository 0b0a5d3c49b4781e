"""Which voices there are, and which one speaks."""

from typing import Any

import grpc
import pytest

from ensemble.testkit.fixtures.scripted_synthesizer import ScriptedSynthesizer
from ensemble.testkit.fixtures.synthesis_caller import Serve
from ensemble.transport.status import from_rpc_error
from ensemble.v1 import tts_service_pb2

pytestmark = pytest.mark.contract


async def listed(stub: Any, size: int) -> list[list[str]]:
    pages = []
    token = ""
    while True:
        page = await stub.ListVoices(
            tts_service_pb2.ListVoicesRequest(page_size=size, page_token=token)
        )
        pages.append([voice.name for voice in page.voices])
        token = page.next_page_token
        if not token:
            return pages


async def test_voices_come_in_pages_the_default_first(serve: Serve) -> None:
    served = await serve(engine="espeak-ng", voice="en-gb")
    whole = (await listed(served.stub, 1000))[0]
    pages = await listed(served.stub, 30)

    assert [name for page in pages for name in page] == whole
    assert {len(page) for page in pages[:-1]} == {30}
    assert whole[0] == "en-gb"
    assert whole[1:] == sorted(whole[1:])
    assert {"en-us", "de", "fr-fr", "cmn"} <= set(whole)
    assert len(whole) == len(set(whole))


async def test_a_page_token_that_was_never_given_is_refused(serve: Serve) -> None:
    served = await serve(ScriptedSynthesizer())
    for token in ("!", "bm9ib2R5"):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await served.stub.ListVoices(tts_service_pb2.ListVoicesRequest(page_token=token))
        assert from_rpc_error(caught.value).reason == "INVALID_ARGUMENT"


@pytest.mark.parametrize(
    ("start", "voice"),
    [
        ({}, "en-us"),
        ({"voice": "de"}, "de"),
        ({"voice": "EN_GB"}, "en-gb"),
        ({"voice": "en-us+F3"}, "en-us+f3"),
        ({"voice": "de", "language": "fr"}, "de"),
        ({"language": "en"}, "en-us"),
        ({"language": "en-US"}, "en-us"),
        ({"language": "en-GB"}, "en-gb"),
        ({"language": "de-AT"}, "de"),
        ({"language": "pt_BR"}, "pt-br"),
    ],
)
async def test_a_voice_is_chosen_by_name_or_language(
    serve: Serve, start: dict[str, str], voice: str
) -> None:
    served = await serve(engine="espeak-ng")
    caller = served.caller(**start)
    assert (await caller.open()).started.voice == voice
    await caller.input_end()
    await caller.rest()


@pytest.mark.parametrize("voice", ["en-us+nobody", "xx", "../en", "en-us+"])
async def test_a_voice_that_is_not_there_is_refused(serve: Serve, voice: str) -> None:
    served = await serve(engine="espeak-ng")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await served.caller(voice=voice).open()
    assert from_rpc_error(caught.value).reason == "VOICE_NOT_FOUND"
