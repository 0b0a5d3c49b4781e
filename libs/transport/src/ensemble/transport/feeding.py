"""Sends what an iterator yields over a call."""

import asyncio
import logging
from collections.abc import AsyncIterable, Iterable
from typing import Any

import grpc

_LOG = logging.getLogger(__name__)


def feed(
    call: "grpc.aio.StreamUnaryCall[Any, Any] | grpc.aio.StreamStreamCall[Any, Any]",
    requests: AsyncIterable[Any] | Iterable[Any] | None,
) -> None:
    """Send ``requests`` over ``call`` until they or the call end.

    A network channel that draws from an iterator by itself leaves it waiting for ever
    when the call ends first; here the iterator is closed with the call.
    """
    if requests is None:
        return
    task = asyncio.get_running_loop().create_task(_send_all(call, requests))

    def stop(_: Any) -> None:
        task.cancel()

    call.add_done_callback(stop)


async def _send_all(
    call: "grpc.aio.StreamUnaryCall[Any, Any] | grpc.aio.StreamStreamCall[Any, Any]",
    requests: AsyncIterable[Any] | Iterable[Any],
) -> None:
    try:
        if isinstance(requests, AsyncIterable):
            async for request in requests:
                await call.write(request)
        else:
            for request in requests:
                await call.write(request)
        await call.done_writing()
    except asyncio.CancelledError:
        call.cancel()
        raise
    except (asyncio.InvalidStateError, grpc.aio.AioRpcError):
        _LOG.debug("The call ended while its requests were sent")
    except Exception:
        # As in grpc.aio: who reads the call learns of it by its cancellation.
        _LOG.debug("The iterator of requests failed", exc_info=True)
        call.cancel()
    finally:
        close = getattr(requests, "aclose", None)
        if close is not None:
            await close()
