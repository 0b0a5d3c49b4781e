"""Scripted peers behind the real server chain, in this process or in one of their own.

``python -m tests.bench.scripted_node`` serves them over TCP, prints their addresses, then for
each line it reads what happened since the last one, each as ``[what, monotonic seconds]``.
"""

import asyncio
import itertools
import json
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any, Final

import grpc

from ensemble.runtime.admission import Admission, State
from ensemble.runtime.garbage import relax_collector
from ensemble.runtime.interceptors import server_chain
from ensemble.runtime.interceptors.validation import Validation
from ensemble.testkit.scripted import (
    Reply,
    ScriptedModelRouter,
    ScriptedStt,
    ScriptedToolServer,
    ScriptedTts,
    ScriptedWorldModel,
)
from ensemble.transport import InProcessServer, open_channel
from ensemble.transport.options import SERVER_OPTIONS
from ensemble.v1 import (
    model_router_service_pb2_grpc,
    stt_service_pb2_grpc,
    tool_server_service_pb2_grpc,
    tts_service_pb2_grpc,
    world_model_service_pb2_grpc,
)

Mark = Callable[[str], None]

_ADD: Final[dict[str, Callable[[Any, Any], None]]] = {
    "model-router": model_router_service_pb2_grpc.add_ModelRouterServiceServicer_to_server,
    "tool-server": tool_server_service_pb2_grpc.add_ToolServerServiceServicer_to_server,
    "stt": stt_service_pb2_grpc.add_SttServiceServicer_to_server,
    "tts": tts_service_pb2_grpc.add_TtsServiceServicer_to_server,
    "world-model": world_model_service_pb2_grpc.add_WorldModelServiceServicer_to_server,
}
_NUMBERS: Final = itertools.count(1)

TRANSCRIPT: Final = "turn on the kitchen light"


class _Stt(ScriptedStt):
    """Understands the same sentence every time, and tells when it hears somebody."""

    def __init__(self, mark: Mark) -> None:
        super().__init__()
        self._mark = mark

    def understand(self) -> Any:
        self.heard.clear()
        self.heard.append(bytearray())
        self.transcripts.append(TRANSCRIPT)
        return super().understand()

    async def Recognize(self, request_iterator: Any, context: Any) -> AsyncIterator[Any]:
        async for event in super().Recognize(request_iterator, context):
            if event.WhichOneof("event") == "speech_started":
                self._mark("decision")
            yield event


class _Tts(ScriptedTts):
    """Tells when it is cancelled."""

    def __init__(self, mark: Mark) -> None:
        super().__init__(frames_a_word=1)
        self._mark = mark

    async def Synthesize(self, request_iterator: Any, context: Any) -> AsyncIterator[Any]:
        requests = _telling(request_iterator, "tts_cancelled", self._mark)
        async for event in super().Synthesize(requests, context):
            yield event


class _ModelRouter(ScriptedModelRouter):
    """Says the same every time, and tells when it is cancelled."""

    def __init__(self, mark: Mark, reply: Reply) -> None:
        super().__init__(default=reply)
        self._mark = mark

    async def Chat(self, request_iterator: Any, context: Any) -> AsyncIterator[Any]:
        requests = _telling(request_iterator, "model_cancelled", self._mark)
        async for event in super().Chat(requests, context):
            yield event


async def _telling(requests: AsyncIterator[Any], what: str, mark: Mark) -> AsyncIterator[Any]:
    async for request in requests:
        if request.WhichOneof("event") == "cancel":
            mark(what)
        yield request


class ScriptedNode:
    """Serves the five peers. Implements ``Channels``. Used as a context manager.

    Args:
        transport: ``inproc`` or ``tcp``.
        reply: What the model says to everything.
        router: Another model router than the scripted one.
        tools: Another tool server than the scripted one.
    """

    def __init__(
        self,
        transport: str,
        reply: Reply | None = None,
        *,
        router: Any = None,
        tools: Any = None,
    ) -> None:
        self.marks: list[tuple[str, float]] = []
        self._transport = transport
        self._peers: dict[str, Any] = {
            "stt": _Stt(self._mark),
            "tts": _Tts(self._mark),
            "model-router": router or _ModelRouter(self._mark, reply or Reply()),
            "tool-server": tools or ScriptedToolServer(),
            "world-model": ScriptedWorldModel(),
        }
        self.addresses: dict[str, str] = {}
        self._stack = AsyncExitStack()

    def _mark(self, what: str) -> None:
        self.marks.append((what, time.monotonic()))

    async def __aenter__(self) -> "ScriptedNode":
        for name, peer in self._peers.items():
            self.addresses[name] = await serve(
                name,
                lambda server, n=name, p=peer: _ADD[n](p, server),
                self._transport,
                self._stack,
            )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()


async def serve(
    name: str, add_to: Callable[[Any], None], transport: str, stack: AsyncExitStack
) -> str:
    """Serve behind the real chain until ``stack`` is closed; return the address."""
    admission = Admission(name, 1.0)
    admission.change(State.SERVING)
    chain = list(server_chain(name, admission=admission, check=Validation()))
    server: Any
    if transport == "inproc":
        label = f"bench-{next(_NUMBERS)}-{name}"
        address, server = f"inproc:{label}", InProcessServer(label, interceptors=chain)
    else:
        server = grpc.aio.server(interceptors=chain, options=SERVER_OPTIONS)
        address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    add_to(server)
    await server.start()
    stack.push_async_callback(server.stop, 0.2)
    return address


class Dialled:
    """Channels to peers at ``addresses``; closed with ``stack``. Implements ``Channels``."""

    def __init__(self, addresses: dict[str, str], stack: AsyncExitStack) -> None:
        self._addresses = addresses
        self._channels = {name: open_channel(address) for name, address in addresses.items()}
        for channel in self._channels.values():
            stack.push_async_callback(channel.close)

    def get(self, peer: str) -> grpc.aio.Channel:
        """Return the channel to ``peer``."""
        return self._channels[peer]

    def address_of(self, peer: str) -> str:
        """Return where ``peer`` is; empty for one that is not a peer."""
        return self._addresses.get(peer, "")


class NodeProcess:
    """A ``ScriptedNode`` over TCP in a process of its own. Used as a context manager.

    Args:
        words: How many the model says.
        pause: Seconds between two of its words.
    """

    def __init__(self, words: int, pause: float) -> None:
        self._arguments = (str(words), str(pause))
        self.addresses: dict[str, str] = {}

    async def __aenter__(self) -> "NodeProcess":
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.bench.scripted_node",
            *self._arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        self.addresses = await self._line()
        return self

    async def marks(self) -> dict[str, float]:
        """Return when what happened last, since the last time this was asked."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        return dict(await self._line())

    async def _line(self) -> Any:
        assert self._process.stdout is not None
        async with asyncio.timeout(20):
            return json.loads(await self._process.stdout.readline())

    async def __aexit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(5):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


def reply_of(words: int, pause: float) -> Reply:
    """Return an answer of so many words, with so many seconds between two."""
    return Reply([f" word{number}" for number in range(words)], token_s=pause)


async def _main(words: int, pause: float) -> None:
    async with ScriptedNode("tcp", reply_of(words, pause)) as node:
        relax_collector()  # as a process that serves does
        print(json.dumps(node.addresses), flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            print(json.dumps(node.marks), flush=True)
            node.marks.clear()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), float(sys.argv[2])))
