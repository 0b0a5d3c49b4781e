"""The seven services, by name, and where each is found when nobody says otherwise."""

from typing import Final

DEFAULT_PORTS: Final[dict[str, int]] = {
    "gateway": 7700,
    "orchestrator": 7701,
    "model-router": 7702,
    "tool-server": 7703,
    "stt": 7704,
    "tts": 7705,
    "world-model": 7706,
}
"""Loopback port of each service; the keys are the service names."""

SERVICE_NAMES: Final[tuple[str, ...]] = tuple(DEFAULT_PORTS)

HEARTBEAT_INTERVAL: Final = 0.2
"""Seconds between two heartbeats on a long stream (DESIGN §3)."""

HEARTBEAT_TIMEOUT: Final = 0.6
"""Seconds of silence after which the other side of a long stream counts as dead."""


def environment_prefix(service: str) -> str:
    """Return the prefix of a service's settings, such as ``ENSEMBLE_MODEL_ROUTER_``."""
    return f"ENSEMBLE_{service.upper().replace('-', '_')}_"


def grpc_service_name(service: str) -> str:
    """Return the full gRPC name, such as ``ensemble.v1.ModelRouterService``."""
    return f"ensemble.v1.{''.join(part.title() for part in service.split('-'))}Service"
