"""What the server chain does around a handler, beside what the other tests of calls show."""

import gc

import grpc
import pytest

from ensemble.core.errors import DrainingError
from ensemble.runtime.interceptors.chain import Layer, ServerChain
from ensemble.runtime.interceptors.tracing import TraceContext
from ensemble.transport import InProcessServer, open_channel
from ensemble.transport.interceptors import CallContextInterceptor

pytestmark = pytest.mark.contract

TRACE = {"traceparent": f"00-{1:032x}-{2:016x}-01", "tracestate": "a=b"}


async def passed_on(chain, metadata):
    """Return the metadata of the call that a handler makes when it is called with these."""
    arrived = []

    async def inner(request, context):
        arrived.append(dict(context.invocation_metadata()))
        return b""

    async def outer(request, context):
        return await channel.unary_unary("/t.T/Inner")(b"")

    server = InProcessServer("chained", interceptors=[ServerChain(chain)])
    methods = {"Inner": inner, "Outer": outer}
    handlers = {name: grpc.unary_unary_rpc_method_handler(each) for name, each in methods.items()}
    server.add_registered_method_handlers("t.T", handlers)
    await server.start()
    async with open_channel("inproc:chained", interceptors=[CallContextInterceptor()]) as channel:
        await channel.unary_unary("/t.T/Outer")(b"", metadata=tuple(metadata.items()))
    await server.stop(None)
    return arrived[0]


async def test_a_trace_is_relayed_by_a_process_that_writes_no_spans():
    arrived = await passed_on([TraceContext()], TRACE)
    assert {key: arrived[key] for key in TRACE} == TRACE


@pytest.mark.parametrize("parent", ["", "00-1-2-01", f"00-{1:032x}-{2:016x}-01-x"])
async def test_what_is_no_trace_is_not_relayed(parent):
    arrived = await passed_on([TraceContext()], {"traceparent": parent, "tracestate": "a=b"})
    assert not TRACE.keys() & arrived.keys()


async def test_layers_are_left_in_reverse_and_only_those_that_were_entered():
    told = []

    class Told(Layer):
        def __init__(self, name):
            self.name = name

        def enter(self, call):
            told.append(self.name)

        def leave(self, call):
            told.append(f"-{self.name} {call.code.name}")

    class Refusing(Told):
        def enter(self, call):
            raise DrainingError

    with pytest.raises(grpc.aio.AioRpcError):
        await passed_on([Told("a"), Layer(), Told("b"), Refusing("c"), Told("d")], {})
    assert told == ["a", "b", "-b UNAVAILABLE", "-a UNAVAILABLE"]


@pytest.mark.filterwarnings("error")
async def test_requests_that_a_handler_does_not_read_are_not_begun_to_be_read():
    async def refuse(requests, context):
        raise DrainingError
        yield

    server = grpc.aio.server(interceptors=[ServerChain([], lambda _: None)])
    handlers = {"Echo": grpc.stream_stream_rpc_method_handler(refuse)}
    server.add_registered_method_handlers("t.T", handlers)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with open_channel(f"127.0.0.1:{port}") as channel:
        with pytest.raises(grpc.aio.AioRpcError):
            await channel.stream_stream("/t.T/Echo")().read()
    await server.stop(None)
    gc.collect()
