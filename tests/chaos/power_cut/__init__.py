"""Power cuts under the event log."""
