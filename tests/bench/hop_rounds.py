"""Measures one process's hops: ``python -m tests.bench.hop_rounds traced|untraced SCALE``.

Client and server share one event loop, as colocated services do. Variants take turns in
short rounds, so that whatever else the machine does hits all of them alike. Prints JSON.
"""

import asyncio
import gc
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any, Final

import grpc
from google.protobuf.wrappers_pb2 import BytesValue, Int32Value

from ensemble.runtime.admission import Admission, State
from ensemble.runtime.interceptors import server_chain
from ensemble.runtime.interceptors.validation import Validation
from ensemble.transport import InProcessServer, open_channel
from ensemble.transport.options import SERVER_OPTIONS
from ensemble.v1 import stt_service_pb2
from tests.bench.report import percentile

SERVICE: Final = "bench.v1.EchoService"
PAYLOAD: Final = bytes(range(256)) * 2 + bytes(128)
TRANSPORTS: Final = ("inproc", "unix", "tcp")

_UNARY: Final = 10
_STREAM: Final = 1000
_BIDI: Final = 500

Measure = Callable[[], Awaitable[list[float]]]


async def echo(request: Any, context: Any) -> Any:
    """Give back what came."""
    return BytesValue(value=request.value)


async def count(request: Any, context: Any) -> AsyncIterator[Any]:
    """Send as many payloads as asked for."""
    for _ in range(request.value):
        yield BytesValue(value=PAYLOAD)


async def echo_all(requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
    """Give back each message that comes."""
    async for request in requests:
        yield BytesValue(value=request.value)


async def hear_all(requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
    """Give back the audio of each request of a contract that has rules."""
    async for request in requests:
        yield BytesValue(value=request.audio.data)


def handlers() -> dict[str, Any]:
    """Return the service's methods."""
    out = BytesValue.SerializeToString
    return {
        "Echo": grpc.unary_unary_rpc_method_handler(echo, BytesValue.FromString, out),
        "Count": grpc.unary_stream_rpc_method_handler(count, Int32Value.FromString, out),
        "EchoAll": grpc.stream_stream_rpc_method_handler(echo_all, BytesValue.FromString, out),
        "HearAll": grpc.stream_stream_rpc_method_handler(
            hear_all, stt_service_pb2.RecognizeRequest.FromString, out
        ),
    }


def add(server: Any) -> None:
    """Add the service to a server, as generated code does."""
    methods = handlers()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, methods),))
    server.add_registered_method_handlers(SERVICE, methods)


class Peer:
    """The calls of one variant."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        take = BytesValue.FromString
        names = {"_registered_method": True}
        self._echo: Any = channel.unary_unary(
            f"/{SERVICE}/Echo", BytesValue.SerializeToString, take, **names
        )
        self._count: Any = channel.unary_stream(
            f"/{SERVICE}/Count", Int32Value.SerializeToString, take, **names
        )
        self._echo_all: Any = channel.stream_stream(
            f"/{SERVICE}/EchoAll", BytesValue.SerializeToString, take, **names
        )
        self._hear_all: Any = channel.stream_stream(
            f"/{SERVICE}/HearAll", stt_service_pb2.RecognizeRequest.SerializeToString, take, **names
        )

    async def unary(self) -> list[float]:
        """Return the seconds of each call of a round."""
        took = []
        request = BytesValue(value=PAYLOAD)
        for _ in range(_UNARY):
            begin = time.perf_counter()
            response = await self._echo(request)
            took.append(time.perf_counter() - begin)
            assert len(response.value) == len(PAYLOAD)
        return took

    async def server_stream(self) -> list[float]:
        """Return the rate of a stream of responses."""
        begin = time.perf_counter()
        got = 0
        async for _ in self._count(Int32Value(value=_STREAM)):
            got += 1
        assert got == _STREAM
        return [got / (time.perf_counter() - begin)]

    async def bidi(self) -> list[float]:
        """Return the rate of messages there and back, without waiting for each other."""

        async def requests() -> AsyncIterator[Any]:
            for _ in range(_BIDI):
                yield BytesValue(value=PAYLOAD)

        return await self._round_trips(self._echo_all(requests()))

    async def checked(self) -> list[float]:
        """Return the rate of messages that are held against the rules of the contract."""

        async def requests() -> AsyncIterator[Any]:
            for _ in range(_BIDI):
                yield stt_service_pb2.RecognizeRequest(
                    audio=stt_service_pb2.AudioChunk(data=PAYLOAD)
                )

        return await self._round_trips(self._hear_all(requests()))

    async def _round_trips(self, call: Any) -> list[float]:
        begin = time.perf_counter()
        got = 0
        async for _ in call:
            got += 1
        assert got == _BIDI
        return [got / (time.perf_counter() - begin)]


async def queue_stream() -> list[float]:
    """Return the rate of a queue of one between two tasks that serialises, and nothing else."""
    queue: asyncio.Queue[bytes | None] = asyncio.Queue(1)

    async def produce() -> None:
        for _ in range(_STREAM):
            await queue.put(BytesValue(value=PAYLOAD).SerializeToString())
        await queue.put(None)

    begin = time.perf_counter()
    producing = asyncio.create_task(produce())
    got = 0
    while (data := await queue.get()) is not None:
        BytesValue.FromString(data)
        got += 1
    await producing
    return [got / (time.perf_counter() - begin)]


def trace_everything() -> None:
    """Record spans on both sides and drop them as they end."""
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

    class Dropping(SpanExporter):
        def export(self, spans: Sequence[Any]) -> SpanExportResult:
            return SpanExportResult.SUCCESS

    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(Dropping()))
    trace.set_tracer_provider(provider)


async def start(transport: str, folder: str, stack: AsyncExitStack) -> Peer:
    """Serve behind the real chain and return a peer that calls through the real interceptors."""
    admission = Admission("echo", 1.0)
    admission.change(State.SERVING)
    chain = list(server_chain("echo", admission=admission, check=Validation()))
    server: Any
    if transport == "inproc":
        address = "inproc:bench-echo"
        server = InProcessServer("bench-echo", interceptors=chain, options=SERVER_OPTIONS)
    else:
        server = grpc.aio.server(interceptors=chain, options=SERVER_OPTIONS)
        address = f"unix:{folder}/echo" if transport == "unix" else "127.0.0.1:0"
        port = server.add_insecure_port(address)
        address = address if transport == "unix" else f"127.0.0.1:{port}"
    add(server)
    await server.start()
    stack.push_async_callback(server.stop, None)
    channel = open_channel(address)
    stack.push_async_callback(channel.close)
    return Peer(channel)


async def start_bare(stack: AsyncExitStack) -> Peer:
    """Serve with grpc.aio as it comes, over TCP."""
    server = grpc.aio.server()
    port = server.add_insecure_port("127.0.0.1:0")
    add(server)
    await server.start()
    stack.push_async_callback(server.stop, None)
    channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
    stack.push_async_callback(channel.close)
    return Peer(channel)


async def measure(scale: float) -> dict[str, list[float]]:
    """Return what each variant and shape gave, in seconds a call or messages a second."""
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="ens-"))
        peers = {name: await start(name, folder, stack) for name in TRANSPORTS}
        peers["bare"] = await start_bare(stack)
        rounds: list[tuple[int, dict[str, Measure]]] = [
            (300, {f"{name}.unary": peer.unary for name, peer in peers.items()}),
            (
                24,
                {
                    "queue.server_stream": queue_stream,
                    **{f"{name}.server_stream": peer.server_stream for name, peer in peers.items()},
                },
            ),
            (16, {f"{name}.bidi": peer.bidi for name, peer in peers.items()}),
            (8, {"inproc.bidi_checked": peers["inproc"].checked}),
        ]
        found: dict[str, list[float]] = {}
        for number, measures in rounds:
            for measure_one in measures.values():
                await measure_one()
            gc.collect()
            for _ in range(max(2, round(number * scale))):
                for name, measure_one in measures.items():
                    found.setdefault(name, []).extend(await measure_one())
        return found


def summary(found: dict[str, list[float]]) -> dict[str, float]:
    """Return the figures that are reported: microseconds and messages a second."""
    figures = {}
    for name, samples in found.items():
        if name.endswith(".unary"):
            figures[f"{name}.p50"] = percentile(samples, 0.5) * 1e6
            figures[f"{name}.p99"] = percentile(samples, 0.99) * 1e6
        else:
            figures[name] = percentile(samples, 0.5)
    return figures


def main() -> None:
    """Measure and print."""
    mode, scale = sys.argv[1], float(sys.argv[2])
    if mode == "traced":
        trace_everything()
    print(json.dumps(summary(asyncio.run(measure(scale)))))


if __name__ == "__main__":
    main()
