"""A model behind another model router's ``Chat``."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Any

import grpc

from ensemble.core.errors import CancelledError, PeerLostError
from ensemble.core.services import HEARTBEAT_INTERVAL
from ensemble.model_router.convert import event_from, start_from
from ensemble.model_router.domain import Call, Finished, ModelEvent, StopReason, TokenUsage
from ensemble.transport.heartbeat import watch
from ensemble.transport.status import from_rpc_error
from ensemble.transport.streams import stream
from ensemble.v1 import model_router_service_pb2 as pb
from ensemble.v1 import model_router_service_pb2_grpc as pb_grpc

SILENCE = 1.5
"""Seconds of silence after which the child counts as frozen. More than between machines:
a child that dies is noticed at once by its socket, and one on a busy machine may be late."""

_RESTARTING = "The model's engine is being restarted."


class EngineLostError(Exception):
    """The process behind the channel is gone or frozen."""


async def chat_over(channel: grpc.aio.Channel, call: Call) -> AsyncGenerator[ModelEvent, None]:
    """Answer ``call`` over ``channel``; see ``Model.chat``.

    Raises:
        EngineLostError: The other side is gone or silent; the message says which.
        EnsembleError: What the other side failed with.
    """
    stub: Any = pb_grpc.ModelRouterServiceStub(channel)
    done = asyncio.Event()
    responses = stub.Chat(_requests(call, done))
    try:
        async with stream(responses), contextlib.aclosing(watch(responses, SILENCE)) as heard:
            async for response in heard:
                event = event_from(response)
                if event is not None:
                    yield event
                if isinstance(event, Finished):
                    return
    except grpc.RpcError as error:
        failure = from_rpc_error(error)
        if isinstance(failure, CancelledError):
            if call.cancelled.is_set():
                yield Finished(StopReason.CANCELLED, TokenUsage())
                return
            # As below: a channel that is closed under a call may also end it with a status.
            raise EngineLostError(_RESTARTING) from None
        if error.code() is grpc.StatusCode.UNAVAILABLE:
            raise EngineLostError("The model's engine crashed; it is being restarted.") from None
        raise failure from None
    except PeerLostError:
        raise EngineLostError("The model's engine stopped answering.") from None
    except asyncio.CancelledError:
        # A channel that is closed under a call cancels it: that is not our own cancellation.
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise EngineLostError(_RESTARTING) from None
    finally:
        done.set()


async def _requests(call: Call, done: asyncio.Event) -> AsyncGenerator[pb.ChatRequest, None]:
    yield pb.ChatRequest(start=start_from(call))
    cancelled = asyncio.ensure_future(call.cancelled.wait())
    ended = asyncio.ensure_future(done.wait())
    try:
        told = False
        while not ended.done():
            waiting = {ended} if told else {ended, cancelled}
            await asyncio.wait(
                waiting, timeout=HEARTBEAT_INTERVAL, return_when=asyncio.FIRST_COMPLETED
            )
            if ended.done():
                return
            if cancelled.done() and not told:
                told = True
                yield pb.ChatRequest(cancel={})
            else:
                heartbeat = pb.ChatRequest()
                heartbeat.heartbeat.sent_at.GetCurrentTime()
                yield heartbeat
    finally:
        cancelled.cancel()
        ended.cancel()
