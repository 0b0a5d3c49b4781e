"""Counts and times each call, on the side that serves it and on the side that makes it."""

import time
from typing import Final

import grpc

from ensemble.runtime.interceptors.chain import Call, Layer
from ensemble.runtime.metrics import CallMeter
from ensemble.transport.outgoing import Begun, Outgoing

_STARTED: Final = object()


class ServedCalls(Layer):
    """Measures the calls that are served."""

    def __init__(self, meter: CallMeter) -> None:
        self._meter = meter

    def enter(self, call: Call) -> None:
        """Count the call as open."""
        call.values[_STARTED] = time.perf_counter()
        self._meter.begin(call.method)

    def leave(self, call: Call) -> None:
        """Count the call as done."""
        took = time.perf_counter() - call.values[_STARTED]
        self._meter.end(call.method, call.code.name, took)


class MadeCalls:
    """Measures the calls that are made; a client interceptor of ``ensemble.transport``."""

    def __init__(self, meter: CallMeter) -> None:
        self._meter = meter

    def intercept(self, outgoing: Outgoing) -> Begun:
        """Count the call as open, and as done when it is."""
        started = time.perf_counter()
        method = outgoing.method
        self._meter.begin(method)

        def end(code: grpc.StatusCode) -> None:
            self._meter.end(method, code.name, time.perf_counter() - started)

        def begun(call: grpc.aio.Call | None) -> None:
            if call is None:
                end(grpc.StatusCode.INTERNAL)
            else:
                call.add_done_callback(lambda done: end(code_of_done(done)))

        return begun


def code_of_done(call: grpc.aio.Call) -> grpc.StatusCode:
    """Return the status of a call that has ended, without waiting for it."""
    answer = call.code()
    try:
        answer.send(None)
    except StopIteration as stop:
        code: grpc.StatusCode = stop.value
        return code
    answer.close()
    return grpc.StatusCode.UNKNOWN
