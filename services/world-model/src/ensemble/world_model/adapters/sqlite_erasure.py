"""Erasing what was recorded for one person, inside transactions that the caller owns."""

import sqlite3
from collections.abc import Mapping, Sequence

from ensemble.world_model.adapters.sqlite_reads import head, wanted_digest
from ensemble.world_model.adapters.sqlite_writes import search_text


def entities_of_person(
    connection: sqlite3.Connection,
    principal: str,
    kinds: Sequence[str],
    attributes_json: Mapping[str, str],
) -> list[int]:
    """Return the entities of ``kinds`` that hold something of ``principal``."""
    conditions = [f"c.principal = ? AND c.kind IN ({', '.join('?' * len(kinds))})"]
    parameters: list[object] = [principal, *kinds]
    for name, value in attributes_json.items():
        conditions.append(
            "EXISTS (SELECT 1 FROM attributes a WHERE a.entity = c.entity AND a.name = ? "
            "AND a.digest = ?)"
        )
        parameters += [name, wanted_digest(name, value)]
    rows = connection.execute(
        "SELECT DISTINCT c.entity FROM changes c "  # noqa: S608
        f"WHERE {' AND '.join(conditions)} ORDER BY c.entity",
        parameters,
    )
    return [row[0] for row in rows]


def erase(connection: sqlite3.Connection, principal: str, entities: Sequence[int], now: int) -> int:
    """Erase what ``principal`` recorded of ``entities``; return the last change made for it."""
    sequence = head(connection)
    for entity in entities:
        sequence += 1
        others = connection.execute(
            "SELECT 1 FROM changes WHERE entity = ? AND principal NOT IN ('', ?) LIMIT 1",
            (entity, principal),
        ).fetchone()
        if others:
            _erase_part(connection, principal, entity)
        else:
            _erase_whole(connection, entity)
        connection.execute(
            "UPDATE changes SET principal = '' WHERE entity = ? AND principal = ?",
            (entity, principal),
        )
        connection.execute(
            "INSERT INTO changes SELECT ?, ?, kind, id, removed, '' FROM entities WHERE id = ?",
            (sequence, now, entity),
        )
        connection.execute("UPDATE entities SET sequence = ? WHERE id = ?", (sequence, entity))
    return sequence


def forget_who(connection: sqlite3.Connection, principal: str, limit: int) -> int:
    """Take the name of ``principal`` off ``limit`` changes at most; return off how many."""
    return connection.execute(
        "UPDATE changes SET principal = '' WHERE sequence IN "
        "(SELECT sequence FROM changes WHERE principal = ? AND principal != '' LIMIT ?)",
        (principal, limit),
    ).rowcount


def _erase_whole(connection: sqlite3.Connection, entity: int) -> None:
    for table in ("attributes", "facts"):
        connection.execute(f"DELETE FROM {table} WHERE entity = ?", (entity,))  # noqa: S608
    connection.execute("UPDATE changes SET removed = 1 WHERE entity = ?", (entity,))
    connection.execute(
        "UPDATE entities SET name = '', name_key = ?, search = '', removed = 1 WHERE id = ?",
        # No name is longer than 256 characters, so no entity is ever found by this one.
        (f"{entity}".zfill(300), entity),
    )


def _erase_part(connection: sqlite3.Connection, principal: str, entity: int) -> None:
    for table in ("attributes", "facts"):
        connection.execute(
            f"DELETE FROM {table} WHERE entity = :entity AND sequence IN "  # noqa: S608
            "(SELECT sequence FROM changes WHERE entity = :entity AND principal = :principal)",
            {"entity": entity, "principal": principal},
        )
    connection.execute(
        "UPDATE entities SET search = ? WHERE id = ?", (search_text(connection, entity), entity)
    )
