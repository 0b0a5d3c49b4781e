"""Puts the orchestrator together."""

import socket

import grpc

from ensemble.core.errors import ConfigurationError
from ensemble.eventlog import PostgresEventLog, SqliteEventLog
from ensemble.orchestrator.adapters.model_router import RouterLanguageModel
from ensemble.orchestrator.adapters.peer_stream import Settling
from ensemble.orchestrator.adapters.speech import SttRecognizer, TtsSynthesizer
from ensemble.orchestrator.adapters.tool_server import ToolServerTools
from ensemble.orchestrator.adapters.world_model import WorldModelWorld
from ensemble.orchestrator.membership import Membership
from ensemble.orchestrator.notices import Notices
from ensemble.orchestrator.records import Records
from ensemble.orchestrator.response import Peers
from ensemble.orchestrator.retention import Retention
from ensemble.orchestrator.servicer import OrchestratorServicer
from ensemble.orchestrator.sessions import Sessions
from ensemble.orchestrator.settings import OrchestratorSettings
from ensemble.orchestrator.stored import UPCASTERS
from ensemble.orchestrator.tool_runner import ToolBox
from ensemble.runtime.addresses import advertised_address
from ensemble.runtime.service import Channels, Service
from ensemble.v1 import orchestrator_service_pb2_grpc


class OrchestratorService(Service):
    """Owns conversations.

    Args:
        settings: How it works.
        channels: Where its peers are.
    """

    name = "orchestrator"

    def __init__(self, settings: OrchestratorSettings, channels: Channels) -> None:
        self._settings = settings
        self._channels = channels
        self._servicer = OrchestratorServicer(settings)
        self._settling = Settling()
        self._log: SqliteEventLog | PostgresEventLog | None = None
        self._membership: Membership | None = None
        self._toolbox: ToolBox | None = None
        self._sessions: Sessions | None = None
        self._notices: Notices | None = None
        self._retention: Retention | None = None

    def add_to(self, server: grpc.aio.Server) -> None:
        """See ``Service.add_to``."""
        orchestrator_service_pb2_grpc.add_OrchestratorServiceServicer_to_server(
            self._servicer, server
        )

    async def start(self) -> None:
        """Open the log, and go on with what the process before this one left open.

        Raises:
            ConfigurationError: ``store`` is no address of a store.
            StorageLockedError: Another process uses the log.
            StorageCorruptError: It is damaged or of a newer version.
            StorageUnavailableError: It cannot be opened.
        """
        try:
            self._log = log = await self._open_log()
            self._membership = membership = self._make_membership(log)
            await membership.join()
            self._sessions = sessions = Sessions(
                log, membership, self._make_peers(), self._settings
            )
            membership.start(sessions.give_up_all)
        except BaseException:
            await self.close()
            raise
        world = WorldModelWorld(self._channels.get("world-model"))
        self._notices = Notices(world, log, sessions, membership)
        self._notices.start()
        sessions.start()
        self._retention = Retention(log, membership, self._settings.keep_days)
        self._retention.start()
        self._servicer.begin(sessions, self._notices, Records(log, sessions))

    async def drain(self) -> None:
        """See ``Service.drain``."""
        if self._membership is not None:
            self._membership.leave_soon()
        await self._servicer.drain()

    async def close(self) -> None:
        """See ``Service.close``."""
        await self._servicer.close()
        if self._retention is not None:
            await self._retention.close()
        if self._notices is not None:
            await self._notices.close()
        if self._sessions is not None:
            await self._sessions.close()
        if self._toolbox is not None:
            await self._toolbox.close()
        await self._settling.close()
        if self._membership is not None:
            await self._membership.close()
        if self._log is not None:
            await self._log.close()
            self._log = None

    async def _open_log(self) -> SqliteEventLog | PostgresEventLog:
        store = self._settings.store
        if not store:
            return await SqliteEventLog.open(self._settings.log_path(), upcasters=UPCASTERS)
        if not store.startswith(("postgresql://", "postgres://")):
            raise ConfigurationError(
                "ENSEMBLE_ORCHESTRATOR_STORE is not a postgresql:// URL. Leave it empty for a "
                "file of this machine.",
                metadata={"variable": "ENSEMBLE_ORCHESTRATOR_STORE"},
            )
        return await PostgresEventLog.open(store, upcasters=UPCASTERS)

    def _make_membership(self, log: SqliteEventLog | PostgresEventLog) -> Membership:
        address = self._settings.advertise or advertised_address(
            self.name, self._channels.address_of(self.name)
        )
        alone = not self._settings.store
        # A file has one user at a time: whoever opens it is the next of the same slot.
        slot = "file" if alone else self._settings.slot or address or socket.gethostname()
        return Membership(log.ownership, slot, address, alone=alone, load=self._load)

    def _load(self) -> int:
        if self._sessions is None:
            return 0
        # Those that are only kept in case somebody comes back are no work.
        return sum(not live.is_idle for live in self._sessions.live)

    @property
    def commits(self) -> int:
        """Transactions of the log so far."""
        return self._log.commits if self._log is not None else 0

    def _make_peers(self) -> Peers:
        patience = self._settings.peer_wait_s
        get = self._channels.get
        tools = ToolServerTools(get("tool-server"), self._settling, patience)
        self._toolbox = ToolBox(tools)
        return Peers(
            model=RouterLanguageModel(get("model-router"), self._settling, patience),
            toolbox=self._toolbox,
            recognizer=SttRecognizer(get("stt"), self._settling),
            synthesizer=TtsSynthesizer(get("tts"), self._settling),
        )


def build(settings: OrchestratorSettings, channels: Channels) -> OrchestratorService:
    """Return the orchestrator, not started."""
    return OrchestratorService(settings, channels)
