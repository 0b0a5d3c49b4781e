"""Channel and server options: one place, each number with its reason."""

from collections.abc import Iterable
from typing import Any, Final

Options = tuple[tuple[str, Any], ...]


def merged(*groups: Iterable[tuple[str, Any]]) -> Options:
    """Return the options of all groups, the last value of each name."""
    return tuple({name: value for group in groups for name, value in group}.items())


MESSAGE_LIMIT: Final = 4 * 1024 * 1024
"""Largest message in bytes: gRPC's own default, said aloud so that every transport and
both directions agree. 20 ms of audio or a token segment is a few KiB."""

_LIMITS: Final[Options] = (("grpc.max_receive_message_length", MESSAGE_LIMIT),)

CHANNEL_OPTIONS: Final[Options] = (
    *_LIMITS,
    # gRPC waits 1 s before it dials again and grows that to 2 min; a peer that was
    # restarted answers within tens of milliseconds, and its callers should too.
    ("grpc.initial_reconnect_backoff_ms", 20),
    # Five dials a second are nothing to an absent peer, and one that comes back is found
    # well within the second that a restart may take.
    ("grpc.max_reconnect_backoff_ms", 200),
    # In spite of its name this is how long one attempt to connect may take.
    ("grpc.min_reconnect_backoff_ms", 2_000),
    # Streams notice a dead peer by their heartbeats (0.6 s); this is for idle channels.
    # Keep-alive pings alone do not notice a frozen peer, the ping time-out does.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 2_000),
    ("grpc.http2.ping_timeout_ms", 2_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # Pings on a quiet stream would otherwise stop after two.
    ("grpc.http2.max_pings_without_data", 0),
    # Two channels to one address are two connections: closing or draining one must not
    # touch the other.
    ("grpc.use_local_subchannel_pool", 1),
    # A proxy in the environment is for the outside, never between services.
    ("grpc.enable_http_proxy", 0),
)
"""Options of every channel between services."""

SERVER_OPTIONS: Final[Options] = (
    *_LIMITS,
    # Servers close clients that ping more often than this; the clients above ping every
    # 10 s, and a default server would close them after some time (too_many_pings).
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 2_000),
    ("grpc.http2.ping_timeout_ms", 2_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # Two servers on one port would share its calls; a taken port must be an error.
    ("grpc.so_reuseport", 0),
)
"""Options of every server, the in-process one among them."""
