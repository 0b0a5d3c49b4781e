"""Events of earlier versions, read as if they had been written today.

What is stored never changes: its chain would break. When the shape of a payload changes, the
``schema_version`` of new events grows by one, and a function is registered that makes the new
payload out of the old one.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Final

from ensemble.core.errors import EventTooNewError, StorageCorruptError
from ensemble.eventlog.event_log import Event

Upcast = Callable[[bytes], bytes]
"""Makes the payload of a version out of that of the version before."""


class Upcasters:
    """Raises events to the newest version of their type, step by step.

    Events of types that are not named here pass as they are, and so do erased ones.

    Args:
        steps: By the type and the version that a step starts from.
        versions: The newest version of types; those that have steps need not be named.

    Raises:
        ValueError: A step is missing between two others, or the last one does not lead to the
            newest version.
    """

    def __init__(
        self,
        steps: Mapping[tuple[str, int], Upcast] | None = None,
        versions: Mapping[str, int] | None = None,
    ) -> None:
        self._steps: Final = dict(steps or {})
        self._newest: Final = dict(versions or {})
        starts: defaultdict[str, list[int]] = defaultdict(list)
        for type_, version in self._steps:
            starts[type_].append(version)
        for type_, found in starts.items():
            newest = self._newest.setdefault(type_, max(found) + 1)
            if sorted(found) != list(range(min(found), newest)):
                raise ValueError(f"steps of {type_} from {sorted(found)} do not lead to {newest}")

    def raised(self, event: Event) -> Event:
        """Return ``event`` in the newest version of its type.

        Raises:
            EventTooNewError: It is of a version that is not known.
            StorageCorruptError: There is no step from its version, or its payload is not what
                the step expects.
        """
        newest = self._newest.get(event.type)
        if newest is None or event.schema_version == newest or event.erased:
            return event
        about = {
            "type": event.type,
            "seq": str(event.seq),
            "version": str(event.schema_version),
            "known": str(newest),
        }
        if event.schema_version > newest:
            raise EventTooNewError(
                f"An event ({event.type}) is of version {event.schema_version}, and this Ensemble "
                f"knows {newest}. Run the version that wrote it.",
                metadata=about,
            )
        payload = event.payload
        for version in range(event.schema_version, newest):
            try:
                payload = self._steps[event.type, version](payload)
            except Exception as exc:
                raise StorageCorruptError(
                    f"An event ({event.type}) of version {version} cannot be read as "
                    f"version {version + 1}.",
                    metadata=about,
                ) from exc
        return replace(event, payload=payload, schema_version=newest)

    def all(self, events: Iterable[Event]) -> list[Event]:
        """Return ``events`` in the newest version of their types; raises as ``raised``."""
        return [self.raised(event) for event in events]
