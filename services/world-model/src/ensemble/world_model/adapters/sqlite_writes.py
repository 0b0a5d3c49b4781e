"""Writing the world model's tables, inside a transaction that the caller owns."""

import sqlite3
from collections.abc import Sequence

from ensemble.core.errors import InvalidArgumentError
from ensemble.core.ids import new_id
from ensemble.world_model.adapters.sqlite_reads import entities_of, head
from ensemble.world_model.entities import (
    MAX_ATTRIBUTES,
    MAX_ENTITY_BYTES,
    MAX_FACTS,
    Observation,
    Recorded,
    name_key,
    words,
)
from ensemble.world_model.json_values import digest


def observe(
    connection: sqlite3.Connection,
    request_id: str,
    observations: Sequence[Observation],
    now: int,
    principal: str = "",
) -> Recorded:
    """Record ``observations`` as changes with one sequence each, at ``now`` microseconds."""
    if request_id:
        known = connection.execute(
            "SELECT first_sequence, last_sequence FROM requests WHERE request_id = ?",
            (request_id,),
        ).fetchone()
        if known:
            return Recorded(entities_of(connection, *known), known[1])
    first = head(connection) + 1
    sequence = first - 1
    for observation in observations:
        sequence += 1
        _apply(connection, observation, sequence, now, principal)
    if request_id:
        connection.execute("INSERT INTO requests VALUES (?, ?, ?)", (request_id, first, sequence))
    entities = entities_of(connection, first, sequence)
    for entity in entities:
        problem = (
            f"more than {MAX_ATTRIBUTES} attributes"
            if len(entity.attributes) > MAX_ATTRIBUTES
            else f"more than {MAX_ENTITY_BYTES} bytes"
            if entity.size() > MAX_ENTITY_BYTES
            else ""
        )
        if problem:
            raise InvalidArgumentError(
                f"An entity of kind {entity.kind!r} would hold {problem}.",
                violations={"entities": problem},
            )
    return Recorded(entities, sequence)


def _apply(
    connection: sqlite3.Connection,
    observation: Observation,
    sequence: int,
    now: int,
    principal: str,
) -> None:
    identity = _identity(connection, observation, sequence)
    connection.execute(
        "INSERT INTO changes VALUES (?, ?, ?, ?, ?, ?)",
        (sequence, now, observation.kind, identity, int(observation.removed), principal),
    )
    ended = {"until": now, "at": sequence, "entity": identity}
    if observation.removed:
        for table in ("attributes", "facts"):
            connection.execute(
                f"UPDATE {table} SET until = :until, until_sequence = :at "  # noqa: S608
                "WHERE entity = :entity AND until_sequence IS NULL",
                ended,
            )
    else:
        _set_attributes(connection, observation, ended)
        _add_facts(connection, observation, ended)
    connection.execute(
        "UPDATE entities SET sequence = ?, removed = ?, search = ? WHERE id = ?",
        (sequence, int(observation.removed), search_text(connection, identity), identity),
    )


def _identity(connection: sqlite3.Connection, observation: Observation, sequence: int) -> int:
    key = (observation.kind, name_key(observation.name))
    row = connection.execute(
        "SELECT id FROM entities WHERE kind = ? AND name_key = ?", key
    ).fetchone()
    if row:
        return int(row[0])
    cursor = connection.execute(
        "INSERT INTO entities (kind, name_key, name, sequence, removed, search) "
        "VALUES (?, ?, ?, ?, 0, '')",
        (*key, observation.name, sequence),
    )
    return int(cursor.lastrowid or 0)


def _set_attributes(
    connection: sqlite3.Connection, observation: Observation, ended: dict[str, int]
) -> None:
    for name, value in observation.attributes.items():
        connection.execute(
            "UPDATE attributes SET until = :until, until_sequence = :at "
            "WHERE entity = :entity AND name = :name AND until_sequence IS NULL",
            {**ended, "name": name},
        )
        if not value:
            continue
        try:
            fingerprint = digest(value)
        except ValueError as exc:
            raise InvalidArgumentError(
                f"The value of attribute {name!r} is not JSON.",
                violations={f"entities.attributes[{name!r}].value_json": str(exc)},
            ) from exc
        connection.execute(
            "INSERT INTO attributes VALUES (?, ?, ?, ?, ?, ?, NULL, NULL)",
            (ended["entity"], name, value, fingerprint, ended["until"], ended["at"]),
        )


def _add_facts(
    connection: sqlite3.Connection, observation: Observation, ended: dict[str, int]
) -> None:
    # The newest comes first in the observation and gets the highest row.
    for text in reversed(observation.facts):
        connection.execute(
            "UPDATE facts SET until = :until, until_sequence = :at "
            "WHERE entity = :entity AND text = :text AND until_sequence IS NULL",
            {**ended, "text": text},
        )
        connection.execute(
            "INSERT INTO facts (fact_id, entity, text, observed_at, sequence) "
            "VALUES (?, ?, ?, ?, ?)",
            (new_id("fact"), ended["entity"], text, ended["until"], ended["at"]),
        )
    if observation.facts:
        connection.execute(
            "UPDATE facts SET until = :until, until_sequence = :at WHERE id IN ("
            "SELECT id FROM facts WHERE entity = :entity AND until_sequence IS NULL "
            "ORDER BY id DESC LIMIT -1 OFFSET :keep)",
            {**ended, "keep": MAX_FACTS},
        )


def search_text(connection: sqlite3.Connection, identity: int) -> str:
    """Return the words of an entity's name and facts, each between spaces."""
    (name,) = connection.execute("SELECT name FROM entities WHERE id = ?", (identity,)).fetchone()
    facts = connection.execute(
        "SELECT text FROM facts WHERE entity = ? AND until_sequence IS NULL", (identity,)
    )
    return f" {' '.join(words(' '.join([name, *(text for (text,) in facts)])))} "
