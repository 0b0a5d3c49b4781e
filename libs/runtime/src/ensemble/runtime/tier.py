"""What kind of node this is (DESIGN §7)."""

import enum
import os
from collections.abc import Mapping
from typing import Final

from ensemble.core.errors import ConfigurationError

_GIB: Final = 1 << 30
# Halfway between the tiers of DESIGN §7, so that a machine sold as "8 GB" that shows 7.7 to the
# kernel, or a virtual machine with one core missing, still lands where it belongs.
_STANDALONE_CORES: Final = 4
_STANDALONE_BYTES: Final = 11 * _GIB
_CORE_CORES: Final = 24
_CORE_BYTES: Final = 48 * _GIB


class Tier(enum.Enum):
    """A size of node."""

    EDGE = "edge"
    STANDALONE = "standalone"
    CORE = "core"


def node_tier(environ: Mapping[str, str] = os.environ) -> Tier:
    """Return ``NODE_ROLE`` where it is set, else what the machine's cores and memory say.

    Raises:
        ConfigurationError: ``NODE_ROLE`` names no tier.
    """
    role = environ.get("NODE_ROLE", "").strip()
    if role:
        try:
            return Tier(role.lower())
        except ValueError:
            accepted = ", ".join(tier.value for tier in Tier)
            raise ConfigurationError(
                f"NODE_ROLE: {role!r} is not accepted; it takes one of {accepted}.",
                metadata={"variable": "NODE_ROLE"},
            ) from None
    return tier_of(cores=len(os.sched_getaffinity(0)), memory=_memory())


def tier_of(*, cores: int, memory: int) -> Tier:
    """Return the tier of a machine with this many cores and bytes of memory."""
    if cores >= _CORE_CORES and memory >= _CORE_BYTES:
        return Tier.CORE
    if cores >= _STANDALONE_CORES and memory >= _STANDALONE_BYTES:
        return Tier.STANDALONE
    return Tier.EDGE


def _memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
