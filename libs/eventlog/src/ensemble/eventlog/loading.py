"""What loading records into an empty store asks and writes, the same on both stores."""

from collections.abc import Iterator
from typing import Final

from ensemble.core.errors import StorageCorruptError, StorageNotEmptyError
from ensemble.eventlog.records import TABLES, Batch, Row

DEAD: Final = "UPDATE instances SET buried = true"


def by_table(batch: Batch) -> Iterator[tuple[str, tuple[str, ...], list[Row]]]:
    """Yield the tables of a batch, each with its columns and rows; first those that others
    refer to."""
    for name, table in TABLES.items():
        rows = [row for kind, row in batch if kind == name]
        if rows:
            yield name, table.columns, rows


def not_empty(where: str) -> StorageNotEmptyError:
    """Return what to raise for a store that has something."""
    return StorageNotEmptyError(
        f"{where} is not empty; a backup is only restored into a new log.",
        metadata={"log": where},
    )


def not_the_same(where: str) -> StorageCorruptError:
    """Return what to raise for a store that does not give back what was written."""
    return StorageCorruptError(
        f"{where} did not give back what was written; nothing was restored. Check its disk.",
        metadata={"log": where},
    )
