"""One Ensemble of real processes, to be killed piece by piece."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import asyncpg

from ensemble.client import EnsembleClient
from ensemble.core.errors import EnsembleError
from ensemble.core.services import SERVICE_NAMES, environment_prefix
from ensemble.testkit.chaos.serving import JOURNAL, SABOTAGE, SENSES
from ensemble.testkit.chaos.steady_port import steady_port
from tests.chaos.processes import Kept, Zygote

KEY = "chaos"
_SERVING_SECONDS = 60.0
_HOLDER = (
    "SELECT slot FROM instances JOIN streams USING (fence) WHERE kind = 'session' AND name = $1"
)


@dataclass(frozen=True)
class Kill:
    """One SIGKILL: of what, when by ``time.monotonic``, and in which phase of whose turn."""

    victim: str
    at: float
    phase: str = ""
    client: str = ""


class Stack:
    """A gateway, orchestrators, a model router, a tool server, and what they need.

    Args:
        name: For its folder and messages.
        folder: Where its homes, logs and its journal are.
        zygote: Forks its processes.
        orchestrators: How many; more than one needs ``store``.
        store: ``ENSEMBLE_ORCHESTRATOR_STORE``; empty for SQLite.
        gateways: How many.
        sabotage: What is broken on purpose.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        zygote: Zygote,
        *,
        orchestrators: int = 1,
        store: str = "",
        gateways: int = 1,
        sabotage: str = "",
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.folder = folder
        self.journal = folder / "journal"
        self.kills: list[Kill] = []
        self.freezes: list[Kill] = []
        self.nodes: dict[str, Kept] = {}
        self.store = store
        self._zygote = zygote
        self._logs = folder / "logs"
        self._ports = {name: f"127.0.0.1:{steady_port()}" for name in SERVICE_NAMES}
        self._orchestrators = [f"127.0.0.1:{steady_port()}" for _ in range(orchestrators)]
        self._gateways = [f"127.0.0.1:{steady_port()}" for _ in range(gateways)]
        self.address = ",".join(self._gateways)
        self._key_file = folder / "api-keys"
        common = {
            **{k: v for k, v in os.environ.items() if not k.startswith("ENSEMBLE_")},
            **{f"{environment_prefix(n)}ADDRESS": a for n, a in self._ports.items()},
            "ENSEMBLE_GATEWAY_API_KEY_FILE": str(self._key_file),
            "ENSEMBLE_GATEWAY_REQUESTS_PER_SECOND": "100000",
            "ENSEMBLE_GATEWAY_BURST": "100000",
            "ENSEMBLE_LOG_FORMAT": "json",
            "ENSEMBLE_ORCHESTRATOR_ADDRESS": _any_of(self._orchestrators),
            "GRPC_ENABLE_FORK_SUPPORT": "0",
            JOURNAL: str(self.journal),
            SABOTAGE: sabotage,
            **(environ or {}),
        }
        common.pop("CONSUL_HTTP_ADDR", None)
        self._common = common

    def _add(self, label: str, service: str, **environ: str) -> None:
        home = self.folder / label
        home.mkdir(parents=True, exist_ok=True)
        self.nodes[label] = Kept(
            service,
            {**self._common, "ENSEMBLE_HOME": str(home), **environ},
            self._logs / f"{label}.log",
        )

    def _plan(self) -> None:
        self._add(SENSES, SENSES)
        self._add("model-router", "model-router")
        self._add("tool-server", "tool-server")
        for number, address in enumerate(self._orchestrators, 1):
            own = {"ENSEMBLE_ORCHESTRATOR_LISTEN": address}
            if self.store:
                own |= {
                    "ENSEMBLE_ORCHESTRATOR_STORE": self.store,
                    "ENSEMBLE_ORCHESTRATOR_SLOT": f"slot-{number}",
                    "ENSEMBLE_ORCHESTRATOR_ADVERTISE": address,
                }
            self._add(f"orchestrator-{number}", "orchestrator", **own)
        for number, address in enumerate(self._gateways, 1):
            self._add(f"gateway-{number}", "gateway", ENSEMBLE_GATEWAY_ADDRESS=address)

    async def __aenter__(self) -> Self:
        self._logs.mkdir(parents=True, exist_ok=True)
        self._key_file.write_text(f"{KEY}\n")
        self._key_file.chmod(0o600)
        self._plan()
        for node in self.nodes.values():
            node.begin(self._zygote)
        try:
            await self.serving()
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._end()

    async def _end(self) -> None:
        await asyncio.gather(*(node.end() for node in self.nodes.values()))

    def client(self, address: str = "") -> EnsembleClient:
        """Return a client of its gateways, to be entered."""
        return EnsembleClient(address or self.address, api_key=KEY)

    async def serving(self, seconds: float = _SERVING_SECONDS) -> None:
        """Wait until every service serves."""
        end = time.monotonic() + seconds
        seen: list[str] = []
        while time.monotonic() < end:
            with contextlib.suppress(EnsembleError):
                seen = []
                for address in self._gateways:
                    async with self.client(address) as client:
                        rows = await client.status()
                    seen += [f"{r.name} {r.state} {r.detail}" for r in rows if r.state != "serving"]
                if not seen:
                    return
            await asyncio.sleep(0.05)
        raise AssertionError(f"{self.name} does not serve: {seen}\n{self.log_tail()}")

    async def kill(self, label: str, phase: str = "", client: str = "") -> None:
        """Send SIGKILL to one process and note when."""
        await self.nodes[label].signal(signal.SIGKILL)
        self.kills.append(Kill(label, time.monotonic(), phase, client))

    async def freeze(self, label: str) -> None:
        """Send SIGSTOP to one process and note when."""
        await self.nodes[label].signal(signal.SIGSTOP)
        self.freezes.append(Kill(label, time.monotonic()))

    async def holder(self, session_id: str) -> str:
        """Return the label of the orchestrator that holds a session, or held it last."""
        if not self.store:
            return "orchestrator-1"
        connection = await asyncpg.connect(self.store)
        try:
            slot = await connection.fetchval(_HOLDER, session_id)
        finally:
            await connection.close()
        return f"orchestrator-{(slot or '-1').rpartition('-')[2]}"

    def log_tail(self, size: int = 3000) -> str:
        """Return the end of every log."""
        return "\n".join(
            f"--- {self.name} {log.name}\n{log.read_text(errors='replace')[-size:]}"
            for log in sorted(self._logs.glob("*.log"))
        )


def _any_of(addresses: list[str]) -> str:
    """Return an address behind which calls take turns, or the only one."""
    return f"ipv4:{','.join(addresses)}" if len(addresses) > 1 else addresses[0]
