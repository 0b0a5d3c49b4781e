"""Append-only event log with group commit."""
