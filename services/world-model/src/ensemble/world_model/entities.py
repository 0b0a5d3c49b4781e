"""What the world model keeps: entities, their attributes and facts, and how they changed.

Times are whole microseconds since the Unix epoch. Values are JSON text, kept byte for byte.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

MAX_ATTRIBUTES: Final = 256
"""Attributes of one entity at most."""

MAX_FACTS: Final = 256
"""Facts of one entity at most; the oldest make room for new ones."""

MAX_ENTITY_BYTES: Final = 1 << 20
"""Values and facts of one entity together; four entities fit into one gRPC message."""

MAX_RESPONSE_BYTES: Final = 3 << 20
"""Values and facts of everything one response holds; the rest of a message is names."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """What is known by one name about an entity."""

    name: str
    value_json: str
    observed_at: int


@dataclass(frozen=True, slots=True)
class Fact:
    """A statement about an entity."""

    fact_id: str
    text: str
    observed_at: int


@dataclass(frozen=True, slots=True)
class Entity:
    """An entity as it was after the change ``sequence``: attributes by name, newest fact first."""

    kind: str
    name: str
    attributes: tuple[Attribute, ...] = ()
    facts: tuple[Fact, ...] = ()
    sequence: int = 0
    removed: bool = False

    def size(self) -> int:
        """Return the bytes of its values and facts."""
        return sum(len(attribute.value_json.encode()) for attribute in self.attributes) + sum(
            len(fact.text.encode()) for fact in self.facts
        )


@dataclass(frozen=True, slots=True)
class Observation:
    """What was seen of one entity: attributes to set (an empty value removes), facts to add."""

    kind: str
    name: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    facts: tuple[str, ...] = ()
    removed: bool = False


@dataclass(frozen=True, slots=True)
class Recorded:
    """The entities after an observation, in its order, and the last change it made."""

    entities: tuple[Entity, ...]
    sequence: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entities are wanted: an empty field asks for nothing.

    ``attributes_json`` are values as JSON text; ``text`` are words that must all occur.
    """

    kind: str = ""
    name: str = ""
    attributes_json: Mapping[str, str] = field(default_factory=dict)
    text: str = ""
    limit: int = 100
    page_token: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """Entities in order of kind and name, as of the change ``sequence``."""

    entities: tuple[Entity, ...]
    next_page_token: str
    sequence: int


@dataclass(frozen=True, slots=True)
class Change:
    """One entity as it was after one change."""

    sequence: int
    created_at: int
    entity: Entity


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes in order; nothing that was asked for lies between them and ``upto``."""

    changes: tuple[Change, ...]
    upto: int


@dataclass(frozen=True, slots=True)
class Erased:
    """Entities of which something was erased, and the last change after that."""

    entities: int
    sequence: int


def name_key(name: str) -> str:
    """Return what two spellings of one name have in common."""
    return unicodedata.normalize("NFC", name).casefold()


def words(text: str) -> tuple[str, ...]:
    """Return the words of ``text`` without case and punctuation."""
    folded = unicodedata.normalize("NFC", text).casefold()
    return tuple("".join(c if c.isalnum() else " " for c in folded).split())
