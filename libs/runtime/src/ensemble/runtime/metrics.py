"""Prometheus metrics of the process. Made only where they are served: the client library and
its registry cost memory, so ``prometheus_client`` is imported by ``Metrics`` alone.
"""

from typing import Any, Final, Protocol

from ensemble.core.errors import ConfigurationError

# A hop takes 0.04 to 0.5 ms, a model answers in 50 ms to minutes.
_CALL_BUCKETS: Final = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
)  # fmt: skip
_LAG_BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0)


class CallMeter(Protocol):
    """Takes what is measured of calls, by full method name."""

    def begin(self, method: str) -> None:
        """Count a call as open."""

    def end(self, method: str, code: str, seconds: float) -> None:
        """Count a call as done with status ``code`` after ``seconds``."""


class Metrics:
    """The metrics of this process and the port they are read from."""

    def __init__(self) -> None:
        import prometheus_client as prometheus

        self._prometheus = prometheus
        self.registry = prometheus.CollectorRegistry()
        prometheus.ProcessCollector(registry=self.registry)
        prometheus.GCCollector(registry=self.registry)
        self.served = _PrometheusCalls(prometheus, self.registry, "server")
        self.made = _PrometheusCalls(prometheus, self.registry, "client")
        self._lag = prometheus.Histogram(
            "ensemble_event_loop_lag_seconds",
            "How late the event loop runs its timers",
            buckets=_LAG_BUCKETS,
            registry=self.registry,
        )
        self._server: Any = None

    def observe_lag(self, seconds: float) -> None:
        """Take one measurement of the event loop."""
        self._lag.observe(seconds)

    def serve(self, address: str) -> str:
        """Answer scrapes at ``address`` (``HOST:PORT``), in a thread; return the bound address.

        Raises:
            ConfigurationError: The address is not one, or is taken.
        """
        host, _, port = address.rpartition(":")
        try:
            server, _ = self._prometheus.start_http_server(
                int(port), addr=host.strip("[]") or "127.0.0.1", registry=self.registry
            )
        except (OSError, OverflowError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not HOST:PORT"
            raise ConfigurationError(
                f"ENSEMBLE_METRICS_LISTEN: metrics cannot be served on {address} ({reason}); "
                "set it to a free address.",
                metadata={"variable": "ENSEMBLE_METRICS_LISTEN"},
            ) from None
        self._server = server
        return f"{host or '127.0.0.1'}:{server.server_port}"

    def close(self) -> None:
        """Answer no more."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class _PrometheusCalls:
    def __init__(self, prometheus: Any, registry: Any, side: str) -> None:
        self._open = prometheus.Gauge(
            f"ensemble_rpc_{side}_open", "Calls that are open", ["method"], registry=registry
        )
        self._done = prometheus.Counter(
            f"ensemble_rpc_{side}_done", "Calls that ended", ["method", "code"], registry=registry
        )
        self._seconds = prometheus.Histogram(
            f"ensemble_rpc_{side}_seconds",
            "How long calls took",
            ["method"],
            buckets=_CALL_BUCKETS,
            registry=registry,
        )

    def begin(self, method: str) -> None:
        self._open.labels(method).inc()

    def end(self, method: str, code: str, seconds: float) -> None:
        self._open.labels(method).dec()
        self._done.labels(method, code).inc()
        self._seconds.labels(method).observe(seconds)
