"""Peers that follow a script: real gRPC servicers, instant unless told otherwise."""

from ensemble.testkit.scripted.model_router import Reply, ScriptedModelRouter
from ensemble.testkit.scripted.peers import ScriptedPeers
from ensemble.testkit.scripted.stt import ScriptedStt
from ensemble.testkit.scripted.tool_server import ScriptedToolServer
from ensemble.testkit.scripted.tts import ScriptedTts
from ensemble.testkit.scripted.world_model import ScriptedWorldModel

__all__ = [
    "Reply",
    "ScriptedModelRouter",
    "ScriptedPeers",
    "ScriptedStt",
    "ScriptedToolServer",
    "ScriptedTts",
    "ScriptedWorldModel",
]
