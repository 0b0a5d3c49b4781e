"""Traces, metrics, logs and loop lag."""

import asyncio
import io
import json
import logging
import time
import urllib.request

import grpc
import pytest
import structlog

from ensemble.core.errors import ConfigurationError, EntityNotFoundError
from ensemble.runtime import logs
from ensemble.runtime.host import Host
from ensemble.runtime.loop_lag import LoopLag
from ensemble.runtime.runtime_settings import RuntimeSettings
from ensemble.v1 import world_model_service_pb2 as pb
from ensemble.v1 import world_model_service_pb2_grpc as stubs

pytestmark = pytest.mark.contract


async def ask_twice_over_two_hops(scripted, settings, placement, tmp_path):
    outer, inner = scripted("gateway"), scripted("world-model")

    async def watch(request, context):
        stub = stubs.WorldModelServiceStub(host.peers.get("world-model"))
        await stub.Query(pb.QueryRequest())
        yield pb.WatchResponse(sequence=1)
        async for response in stub.Watch(pb.WatchRequest()):
            yield response

    async def missing(request, context):
        raise EntityNotFoundError

    outer.on_watch, outer.on_query = watch, missing
    where, environ = {}, {}
    if placement != "inproc":
        for name in ("gateway", "world-model"):
            address = f"unix:{tmp_path}/{name}" if placement == "unix" else "127.0.0.1:0"
            where[name] = [address]
    services = {"gateway": lambda _: outer, "world-model": lambda _: inner}
    host = Host(services, settings, listen=where, environ=environ)
    async with host:
        for name in where:
            variable = f"ENSEMBLE_{name.upper().replace('-', '_')}_ADDRESS"
            environ[variable] = host.addresses_of(name)[0]
        await host.settled()
        stub = stubs.WorldModelServiceStub(host.peers.get("gateway"))
        assert [r.sequence async for r in stub.Watch(pb.WatchRequest())] == [1, 1]
        with pytest.raises(grpc.aio.AioRpcError):
            await stub.Query(pb.QueryRequest())
        scraped = ""
        if host.metrics_address:
            url = f"http://{host.metrics_address}/metrics"
            async with asyncio.timeout(20):
                # The client hears of the end of a call a moment before the server counts it.
                while 'server_done_total{code="NOT_FOUND"' not in scraped:
                    answer = await asyncio.to_thread(urllib.request.urlopen, url)
                    scraped = answer.read().decode()
        await host.drain()
        return scraped


async def test_one_trace_goes_through_both_hops(scripted, placement, tmp_path):
    path = tmp_path / "spans.jsonl"
    settings = RuntimeSettings(traces=f"file:{path}")
    await ask_twice_over_two_hops(scripted, settings, placement, tmp_path)
    spans = [json.loads(line) for line in path.read_text().splitlines()]
    by_id = {span["span_id"]: span for span in spans}
    roots = [span for span in spans if span["parent_id"] is None]
    watch = next(s for s in roots if s["name"] == "ensemble.v1.WorldModelService/Watch")
    trace = [span for span in spans if span["trace_id"] == watch["trace_id"]]
    # Client and server of the outer call, then of each of the two inner ones.
    assert len(trace) == 6
    for span in trace:
        kinds, at = [span["kind"]], span
        while at["parent_id"] is not None:
            at = by_id[at["parent_id"]]
            kinds.append(at["kind"])
        assert at is watch
        expected = ["CLIENT", "SERVER"] * 2
        assert kinds[::-1] == expected[: len(kinds)]
    assert all(span["end_unix_nano"] >= span["start_unix_nano"] for span in spans)
    failed = [span for span in spans if span["status"] == "ERROR"]
    assert {span["attributes"]["rpc.grpc.status_code"] for span in failed} == {5}
    assert len(failed) == 2


async def test_a_trace_file_that_cannot_be_written_is_named(scripted, tmp_path):
    settings = RuntimeSettings(traces=f"file:{tmp_path}/no/spans.jsonl")
    with pytest.raises(ConfigurationError, match="ENSEMBLE_TRACES"):
        async with Host({"stt": lambda _: scripted("stt")}, settings, environ={}):
            pass


async def test_calls_are_counted_on_both_sides(scripted, placement, tmp_path):
    settings = RuntimeSettings(metrics_listen="127.0.0.1:0")
    scraped = await ask_twice_over_two_hops(scripted, settings, placement, tmp_path)
    metrics = dict(line.rsplit(" ", 1) for line in scraped.splitlines() if not line.startswith("#"))
    query = 'method="/ensemble.v1.WorldModelService/Query"'
    watch = 'method="/ensemble.v1.WorldModelService/Watch"'
    for side in ("server", "client"):
        done = f"ensemble_rpc_{side}_done_total"
        assert metrics[f'{done}{{code="OK",{watch}}}'] == "2.0"
        assert metrics[f'{done}{{code="OK",{query}}}'] == "1.0"
        assert metrics[f'{done}{{code="NOT_FOUND",{query}}}'] == "1.0"
        assert metrics[f"ensemble_rpc_{side}_open{{{watch}}}"] == "0.0"
        assert metrics[f"ensemble_rpc_{side}_seconds_count{{{query}}}"] == "2.0"
    assert "ensemble_event_loop_lag_seconds_count" in metrics


async def test_metrics_on_a_taken_port_are_refused_clearly(scripted):
    settings = RuntimeSettings(metrics_listen="127.0.0.1:0")
    async with Host({"stt": lambda _: scripted("stt")}, settings, environ={}) as first:
        again = RuntimeSettings(metrics_listen=first.metrics_address)
        with pytest.raises(ConfigurationError, match="ENSEMBLE_METRICS_LISTEN"):
            async with Host({"tts": lambda _: scripted("tts")}, again, environ={}):
                pass


async def test_a_stall_of_the_loop_is_seen():
    observed = []
    lag = LoopLag(observed.append)
    assert lag.percentile(0.99) == 0.0
    lag.start()
    await asyncio.sleep(0.15)
    time.sleep(0.3)
    await asyncio.sleep(0.15)
    lag.stop()
    assert lag.longest >= 0.15
    assert lag.percentile(1.0) == pytest.approx(max(observed))
    assert lag.percentile(0.0) <= lag.longest


@pytest.fixture
def output():
    stream = io.StringIO()
    yield stream
    structlog.reset_defaults()
    logs.configure("warning", "json")


def test_libraries_write_the_same_lines(output):
    logs.configure("info", "json", output)
    logging.getLogger("somebody").warning("out of %s", "paper")
    logging.getLogger("asyncio").info("too chatty")
    try:
        raise KeyError("x")
    except KeyError:
        structlog.get_logger().exception("thing.failed", code=7)
    first, second = (json.loads(line) for line in output.getvalue().splitlines())
    assert (first["event"], first["level"]) == ("out of paper", "warning")
    assert (second["event"], second["code"]) == ("thing.failed", 7)
    assert "KeyError" in second["exception"]


def test_people_get_text_and_only_what_they_asked_for(output):
    logs.configure("warning", "text", output)
    structlog.get_logger().info("not.shown")
    structlog.get_logger().warning("shown.here", count=2)
    assert "not.shown" not in output.getvalue()
    assert "shown.here" in output.getvalue()
    assert "count=2" in output.getvalue()
    assert "{" not in output.getvalue()
