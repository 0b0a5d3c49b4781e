"""Forgetting what was removed long ago, inside transactions that the caller owns."""

import sqlite3

from ensemble.world_model.adapters.sqlite_reads import head


def forget_removed(connection: sqlite3.Connection, before: int, limit: int) -> int:
    """Delete what was removed before ``before``, ``limit`` entities at most; return how many."""
    removed = connection.execute(
        "SELECT e.id, c.created_at FROM entities e JOIN changes c ON c.sequence = e.sequence "
        # Without its last change the store would count from an earlier one.
        "WHERE e.removed = 1 AND e.sequence < ? ORDER BY e.sequence LIMIT ?",
        (head(connection), limit),
    ).fetchall()
    forgotten = 0
    for entity, removed_at in removed:
        if removed_at >= before:
            break
        _forget(connection, entity)
        forgotten += 1
    return forgotten


def _forget(connection: sqlite3.Connection, entity: int) -> None:
    changes = connection.execute("SELECT sequence FROM changes WHERE entity = ?", (entity,))
    for (sequence,) in changes.fetchall():
        # Made again, a request would be answered with what it recorded then.
        connection.execute(
            "DELETE FROM requests WHERE last_sequence >= :at AND request_id = ("
            "SELECT request_id FROM requests WHERE first_sequence <= :at "
            "ORDER BY first_sequence DESC LIMIT 1)",
            {"at": sequence},
        )
    for table in ("attributes", "facts", "changes"):
        connection.execute(f"DELETE FROM {table} WHERE entity = ?", (entity,))  # noqa: S608
    connection.execute("DELETE FROM entities WHERE id = ?", (entity,))
