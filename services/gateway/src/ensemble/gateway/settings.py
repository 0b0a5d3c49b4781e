"""Settings of the gateway, from ``ENSEMBLE_GATEWAY_*``."""

from pathlib import Path

import msgspec

from ensemble.core import paths


class GatewaySettings(msgspec.Struct, frozen=True):
    """How the door is guarded.

    Attributes:
        api_key_file: File with one key a line, made with a fresh key when absent.
        requests_per_second: Calls and client events that one principal may send, sustained.
        burst: How many of them may come at once.
        max_streams: Conversations that one principal may have open.
        first_answer: Seconds in which an orchestrator has to show that it lives when a conversation
            is to begin there; then the next one is tried.
        peer_silence: Seconds without an event from the orchestrator after which it is lost.
        drain_seconds: How long open conversations may go on after they were told to leave.
        peers: Addresses of other gateways, named to clients that are told to leave.
    """

    api_key_file: Path = msgspec.field(default_factory=lambda: paths.home() / "api-key")
    requests_per_second: float = 200.0
    burst: int = 400
    max_streams: int = 64
    first_answer: float = 0.3
    peer_silence: float = 0.6
    drain_seconds: float = 2.0
    peers: tuple[str, ...] = ()
