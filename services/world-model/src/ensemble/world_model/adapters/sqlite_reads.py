"""Reading the world model's tables."""

import base64
import binascii
import json
import sqlite3
from dataclasses import dataclass
from typing import Any

from ensemble.core.errors import InvalidArgumentError
from ensemble.world_model.entities import (
    MAX_RESPONSE_BYTES,
    Attribute,
    Change,
    Changes,
    Entity,
    Fact,
    Page,
    Wanted,
    name_key,
    words,
)
from ensemble.world_model.json_values import digest


def head(connection: sqlite3.Connection) -> int:
    """Return the sequence of the last change."""
    return int(connection.execute("SELECT coalesce(max(sequence), 0) FROM changes").fetchone()[0])


def query(connection: sqlite3.Connection, wanted: Wanted) -> Page:
    """Return one page of the entities that match, as of one moment."""
    sql, parameters = _select(wanted)
    connection.execute("BEGIN")
    try:
        rows = connection.execute(sql, parameters).fetchall()
        sequence = head(connection)
        found: list[Entity] = []
        size = 0
        for identity, kind, name, changed in rows[: wanted.limit]:
            fold = Fold.load(connection, identity, changed)
            entity = fold.entity(kind, name, changed, removed=False)
            size += entity.size()
            if found and size > MAX_RESPONSE_BYTES:
                break
            found.append(entity)
    finally:
        connection.execute("COMMIT")
    more = len(found) < len(rows)
    token = _token(found[-1]) if more else ""
    return Page(tuple(found), token, sequence)


def changes(
    connection: sqlite3.Connection,
    after: int,
    kind: str,
    limit: int,
    *,
    max_bytes: int = MAX_RESPONSE_BYTES,
) -> Changes:
    """Return the next changes after ``after``, each with its entity as it was then."""
    of_kind = "AND c.kind = ?" if kind else ""
    parameters: list[Any] = [after, kind, limit] if kind else [after, limit]
    connection.execute("BEGIN")
    try:
        upto = head(connection)
        rows = connection.execute(
            "SELECT c.sequence, c.created_at, c.removed, c.entity, e.kind, e.name "  # noqa: S608
            "FROM changes c JOIN entities e ON e.id = c.entity "
            f"WHERE c.sequence > ? {of_kind} ORDER BY c.sequence LIMIT ?",
            parameters,
        ).fetchall()
        found, complete = _replay(connection, rows, max_bytes)
    finally:
        connection.execute("COMMIT")
    if not complete or len(rows) == limit:
        upto = found[-1].sequence
    return Changes(tuple(found), upto)


def entities_of(connection: sqlite3.Connection, first: int, last: int) -> tuple[Entity, ...]:
    """Return the entities that the changes ``first`` to ``last`` left, in their order."""
    rows = connection.execute(
        "SELECT c.sequence, c.created_at, c.removed, c.entity, e.kind, e.name "
        "FROM changes c JOIN entities e ON e.id = c.entity "
        "WHERE c.sequence BETWEEN ? AND ? ORDER BY c.sequence",
        (first, last),
    ).fetchall()
    found, complete = _replay(connection, rows, MAX_RESPONSE_BYTES)
    if not complete:
        raise InvalidArgumentError(
            "The entities are too large for one response together; observe fewer at a time.",
            violations={"entities": "too large together"},
        )
    return tuple(change.entity for change in found)


def _replay(
    connection: sqlite3.Connection, rows: list[Any], max_bytes: int
) -> tuple[list[Change], bool]:
    folds: dict[int, Fold] = {}
    found: list[Change] = []
    size = 0
    for sequence, created_at, removed, identity, kind, name in rows:
        fold = folds.get(identity)
        if fold is None:
            fold = folds[identity] = Fold.load(connection, identity, sequence)
        else:
            fold.advance(connection, sequence)
        entity = fold.entity(kind, name, sequence, removed=bool(removed))
        size += entity.size()
        if found and size > max_bytes:
            return found, False
        found.append(Change(sequence, created_at, entity))
    return found, True


@dataclass
class Fold:
    """One entity's attributes and facts as of one change."""

    identity: int
    attributes: dict[str, Attribute]
    facts: dict[int, Fact]

    @classmethod
    def load(cls, connection: sqlite3.Connection, identity: int, sequence: int) -> "Fold":
        """Return the state after the change ``sequence``."""
        fold = cls(identity, {}, {})
        # Rows still valid and rows that ended later: both come from an index, so what is far
        # in the past of a busy entity costs nothing.
        for condition in ("until_sequence IS NULL", "until_sequence > :at"):
            fold._add(connection, f"sequence <= :at AND {condition}", sequence)
        return fold

    def advance(self, connection: sqlite3.Connection, sequence: int) -> None:
        """Apply the entity's next change."""
        at = {"entity": self.identity, "at": sequence}
        for (name,) in connection.execute(
            "SELECT name FROM attributes WHERE entity = :entity AND until_sequence = :at", at
        ):
            self.attributes.pop(name, None)
        for (row,) in connection.execute(
            "SELECT id FROM facts WHERE entity = :entity AND until_sequence = :at", at
        ):
            self.facts.pop(row, None)
        begun = "sequence = :at AND (until_sequence IS NULL OR until_sequence > :at)"
        self._add(connection, begun, sequence)

    def entity(self, kind: str, name: str, sequence: int, *, removed: bool) -> Entity:
        """Return the entity in this state."""
        return Entity(
            kind,
            name,
            tuple(self.attributes[key] for key in sorted(self.attributes)),
            tuple(self.facts[row] for row in sorted(self.facts, reverse=True)),
            sequence,
            removed,
        )

    def _add(self, connection: sqlite3.Connection, condition: str, sequence: int) -> None:
        at = {"entity": self.identity, "at": sequence}
        for name, value, observed_at in connection.execute(
            "SELECT name, value_json, observed_at FROM attributes "  # noqa: S608
            f"WHERE entity = :entity AND {condition}",
            at,
        ):
            self.attributes[name] = Attribute(name, value, observed_at)
        for row, fact_id, text, observed_at in connection.execute(
            "SELECT id, fact_id, text, observed_at FROM facts "  # noqa: S608
            f"WHERE entity = :entity AND {condition}",
            at,
        ):
            self.facts[row] = Fact(fact_id, text, observed_at)


def _select(wanted: Wanted) -> tuple[str, list[Any]]:
    conditions = ["removed = 0"]
    parameters: list[Any] = []
    if wanted.kind:
        conditions.append("kind = ?")
        parameters.append(wanted.kind)
    if wanted.name:
        conditions.append("name_key = ?")
        parameters.append(name_key(wanted.name))
    for word in words(wanted.text):
        conditions.append("instr(search, ?) > 0")
        parameters.append(f" {word} ")
    for name, value in wanted.attributes_json.items():
        conditions.append(
            "EXISTS (SELECT 1 FROM attributes a WHERE a.entity = entities.id AND a.name = ? "
            "AND a.digest = ? AND a.until_sequence IS NULL)"
        )
        parameters += [name, wanted_digest(name, value)]
    if wanted.page_token:
        conditions.append("(kind, name_key) > (?, ?)")
        parameters += _position(wanted.page_token)
    where = " AND ".join(conditions)
    parameters.append(wanted.limit + 1)
    return (
        f"SELECT id, kind, name, sequence FROM entities WHERE {where} "  # noqa: S608
        "ORDER BY kind, name_key LIMIT ?",
        parameters,
    )


def wanted_digest(name: str, value: str) -> bytes:
    """Return what the value asked for of attribute ``name`` is compared by."""
    try:
        return digest(value)
    except ValueError as exc:
        raise InvalidArgumentError(
            f"The value wanted for attribute {name!r} is not JSON.",
            violations={f"attributes_json[{name!r}]": str(exc)},
        ) from exc


def _token(last: Entity) -> str:
    text = json.dumps([last.kind, name_key(last.name)])
    return base64.urlsafe_b64encode(text.encode()).decode()


def _position(token: str) -> list[str]:
    try:
        kind, key = json.loads(base64.urlsafe_b64decode(token.encode()))
        return [str(kind), str(key)]
    except (ValueError, TypeError, binascii.Error) as exc:
        raise InvalidArgumentError(
            "The page token is not one of this service.", violations={"page_token": "unknown"}
        ) from exc
