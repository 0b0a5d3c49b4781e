"""The settings of the process itself, whatever services it runs."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal, Self

import msgspec

from ensemble.core.errors import ConfigurationError
from ensemble.runtime.settings import load
from ensemble.runtime.tier import Tier, node_tier

_PREFIX: Final = "ENSEMBLE_"
# Other units have variables of their own under the same prefix; within these groups every name
# is ours, so a misspelt one can be told.
_GROUPS: Final = tuple(
    _PREFIX + group for group in ("TLS_", "MAX_", "DRAIN_", "START_", "LOG_", "TRACES", "METRICS")
)

Seconds = Annotated[float, msgspec.Meta(ge=0, le=3600)]


class RuntimeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Read from ``ENSEMBLE_<NAME>``; ``tier`` from ``NODE_ROLE``, ``consul_address`` from
    ``CONSUL_HTTP_ADDR``.
    """

    tls_cert: Path | None = None
    """PEM certificate chain of this process. With it every TCP listener speaks TLS, and peers that
    ask for a client's certificate get it."""
    tls_key: Path | None = None
    """PEM private key of ``tls_cert``."""
    tls_client_ca: Path | None = None
    """PEM roots of client certificates; when set, clients must show one (mTLS)."""
    tls_ca: Path | None = None
    """PEM roots that this process trusts when it dials; when set, TCP peers are dialled by TLS."""

    max_message_bytes: Annotated[int, msgspec.Meta(ge=1024, le=1 << 30)] = 4 << 20
    """Largest message, in either direction."""
    max_concurrent_calls: Annotated[int, msgspec.Meta(ge=1)] = 4096
    """Calls and streams open at once on one listener; more are refused."""

    start_wait_seconds: Seconds = 10.0
    """How long a call waits for a service whose engines are still loading."""
    drain_notice_seconds: Seconds = 1.5
    """How long a draining node still accepts, so that discovery notices. Only with Consul:
    its check runs every second, and a blocking query hears of it within 0.5 s."""
    drain_streams_seconds: Seconds = 10.0
    """How long open streams may take to end, over all services together."""
    drain_grace_seconds: Seconds = 0.5
    """How long a server waits for what is still open before it cancels."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe level that is written."""
    log_format: Literal["auto", "json", "text"] = "auto"
    """JSON lines, text for people, or text on a terminal and JSON elsewhere."""
    traces: str = "none"
    """``none``, ``file:PATH`` (a JSON line a span) or ``otlp`` (to where
    ``OTEL_EXPORTER_OTLP_ENDPOINT`` says)."""
    metrics_listen: str = ""
    """``host:port`` where Prometheus may scrape; empty for none."""

    advertise_host: str = ""
    """Host under which other nodes reach the listeners; needed when they bind to all addresses."""
    consul_address: str = ""
    """``host:port`` of the Consul agent; empty for none."""
    tier: Tier = Tier.STANDALONE
    """What kind of node this is."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read the settings.

        Raises:
            ConfigurationError: A name is misspelt, a value is wrong or does not fit another.
        """
        foreign = [name.removeprefix(_PREFIX) for name in environ if not name.startswith(_GROUPS)]
        settings = load(cls, _PREFIX, environ, ignore=foreign)
        settings = msgspec.structs.replace(
            settings,
            tier=node_tier(environ),
            consul_address=environ.get("CONSUL_HTTP_ADDR", "").strip(),
        )
        settings.check()
        return settings

    def check(self) -> None:
        """Raise ConfigurationError where two settings do not fit each other."""
        if bool(self.tls_cert) != bool(self.tls_key):
            missing = "ENSEMBLE_TLS_KEY" if self.tls_cert else "ENSEMBLE_TLS_CERT"
            raise ConfigurationError(
                f"ENSEMBLE_TLS_CERT and ENSEMBLE_TLS_KEY go together; {missing} is not set.",
                metadata={"variable": missing},
            )
        if self.tls_client_ca and not self.tls_cert:
            raise ConfigurationError(
                "ENSEMBLE_TLS_CLIENT_CA has no effect without ENSEMBLE_TLS_CERT and "
                "ENSEMBLE_TLS_KEY; set them too."
            )
        kind, _, rest = self.traces.partition(":")
        if kind not in ("none", "file", "otlp") or (kind == "file") != bool(rest):
            raise ConfigurationError(
                f"ENSEMBLE_TRACES: {self.traces!r} is not accepted; it takes none, "
                "file:PATH or otlp.",
                metadata={"variable": "ENSEMBLE_TRACES"},
            )
