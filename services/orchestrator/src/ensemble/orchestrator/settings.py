"""What can be set about conversations, by ``ENSEMBLE_ORCHESTRATOR_*``."""

from pathlib import Path
from typing import Annotated

import msgspec

from ensemble.core.paths import home


class OrchestratorSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the orchestrator.

    Attributes:
        store: Where the event log is: a ``postgresql://`` URL, shared by any number of
            orchestrators; empty for the file ``log``, which one process uses at a time.
        log: File of the event log.
        keep_days: Days after its last event for which a conversation is kept; 0 keeps it.
        slot: What this process runs as among those that share a store, one process at a time;
            a restart under the same slot takes over at once. Empty for its address.
        advertise: Where gateways reach this process among those that share a store; empty for
            the address that its own node dials.
        instructions: What the model is told about itself where a session says nothing.
        history_messages: Messages of history that a model is given; older ones are left out.
        apology: What is said to speech that could not be understood.
        output_sample_rate: Samples a second of speech where a session says nothing.
        playback_lead_ms: How far speech is sent ahead of what the client has played.
        report_wait_ms: How long an interruption waits to learn what was heard.
        speech_limit_s: Speech of one turn after which the turn is taken as it is.
        away_s: How long a conversation waits in the middle of an answer for its client.
        client_tool_s: How long a client may take for a tool of its own.
        tool_s: How long a tool server may take for a tool.
        tool_rounds: How often a model may ask for tools in one turn.
        sessions_in_memory: Conversations kept folded while nobody is attached to them.
        drain_s: How long clients have to leave when the process ends.
        resume_wait_s: How long an answer that is taken up after a restart waits for peers that
            are starting as well.
        peer_wait_s: How long a call waits for a peer that is just restarting.
    """

    store: str = ""
    log: Path | None = None
    keep_days: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    slot: str = ""
    advertise: str = ""
    instructions: str = ""
    history_messages: int = 200
    apology: str = "Sorry, I did not understand that."
    output_sample_rate: int = 22050
    playback_lead_ms: int = 400
    report_wait_ms: int = 200
    speech_limit_s: float = 30.0
    away_s: float = 30.0
    client_tool_s: float = 30.0
    tool_s: float = 30.0
    tool_rounds: int = 8
    sessions_in_memory: int = 1024
    drain_s: float = 5.0
    resume_wait_s: float = 30.0
    peer_wait_s: float = 2.0

    def log_path(self) -> Path:
        """Return the file of the event log."""
        return self.log or home() / "orchestrator" / "log.db"
