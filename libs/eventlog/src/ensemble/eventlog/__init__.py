"""Append-only event log with group commit."""

from ensemble.eventlog.event_log import Append, Event, EventLog, Head, StreamKey
from ensemble.eventlog.sqlite_event_log import SqliteEventLog

__all__ = ["Append", "Event", "EventLog", "Head", "SqliteEventLog", "StreamKey"]
