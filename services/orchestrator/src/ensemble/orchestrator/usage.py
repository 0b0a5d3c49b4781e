"""Sums of what calls used."""

from typing import Final

from google.protobuf import duration_pb2

from ensemble.v1 import common_pb2

_NANOS: Final = 1_000_000_000


def add(total: common_pb2.Usage, more: common_pb2.Usage) -> None:
    """Add ``more`` to ``total``; prices of another currency than the first are left out."""
    total.input_tokens += more.input_tokens
    total.output_tokens += more.output_tokens
    total.cached_input_tokens += more.cached_input_tokens
    for name in ("audio_input", "audio_output"):
        if more.HasField(name):
            _add_duration(getattr(total, name), getattr(more, name))
    if more.HasField("cost"):
        if not total.HasField("cost"):
            total.cost.CopyFrom(more.cost)
        elif total.cost.currency_code == more.cost.currency_code:
            nanos = total.cost.nanos + more.cost.nanos
            total.cost.units += more.cost.units + nanos // _NANOS
            total.cost.nanos = nanos % _NANOS


def _add_duration(total: duration_pb2.Duration, more: duration_pb2.Duration) -> None:
    total.FromNanoseconds(total.ToNanoseconds() + more.ToNanoseconds())
