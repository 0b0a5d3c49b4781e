"""Typed async client of the Ensemble gateway."""

from ensemble.client.answers import Answer, ToolUse
from ensemble.client.client import EnsembleClient, ServiceRow
from ensemble.client.conversation import Conversation
from ensemble.client.records import Record, read_record
from ensemble.client.voice import SpokenAnswer, talk

__all__ = [
    "Answer",
    "Conversation",
    "EnsembleClient",
    "Record",
    "ServiceRow",
    "SpokenAnswer",
    "ToolUse",
    "read_record",
    "talk",
]
