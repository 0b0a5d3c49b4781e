"""Append-only event log with group commit, hash chains and fenced ownership."""

from ensemble.eventlog.backup import Backup, backup, restore
from ensemble.eventlog.event_log import (
    Append,
    Audit,
    Erased,
    Event,
    EventLog,
    Execution,
    Glance,
    Head,
    Snapshot,
    StreamKey,
)
from ensemble.eventlog.ownership import Instance, Ownership, Peer
from ensemble.eventlog.postgres_event_log import PostgresEventLog
from ensemble.eventlog.sqlite_event_log import SqliteEventLog
from ensemble.eventlog.stored_event_log import Dropped, StoredEventLog
from ensemble.eventlog.upcasters import Upcasters

__all__ = [
    "Append",
    "Audit",
    "Backup",
    "Dropped",
    "Erased",
    "Event",
    "EventLog",
    "Execution",
    "Glance",
    "Head",
    "Instance",
    "Ownership",
    "Peer",
    "PostgresEventLog",
    "Snapshot",
    "SqliteEventLog",
    "StoredEventLog",
    "StreamKey",
    "Upcasters",
    "backup",
    "restore",
]
