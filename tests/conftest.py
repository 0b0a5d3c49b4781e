"""One test body, every topology: ``--topology inproc,unix,tcp`` (default) or ``consul``."""

import contextlib
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from ensemble.testkit.consul import ConsulAgent
from ensemble.testkit.stack import TOPOLOGIES, Stack


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--topology",
        default="inproc,unix,tcp",
        help=f"comma-separated, of: {', '.join(TOPOLOGIES)}",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "topology" in metafunc.fixturenames:
        # A module whose subject needs one placement says so; the others run in each.
        if only := getattr(metafunc.module, "TOPOLOGY", ""):
            metafunc.parametrize("topology", [only], scope="session")
            return
        chosen = metafunc.config.getoption("--topology").split(",")
        unknown = [name for name in chosen if name not in TOPOLOGIES]
        if unknown:
            raise pytest.UsageError(f"--topology: no {unknown[0]!r}; known: {TOPOLOGIES}")
        metafunc.parametrize("topology", chosen, scope="session")


@pytest.fixture(scope="session")
def consul_binary() -> Path:
    """The Consul agent that `make cluster-tools` builds."""
    built = subprocess.run(
        [Path(__file__).parents[1] / ".ci" / "cluster-tools"],
        check=True,
        text=True,
        stdout=subprocess.PIPE,
    )
    return Path(built.stdout.strip())


@contextlib.contextmanager
def _agent(topology: str, folder: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """Run an agent for one stack: two stacks at one agent would find each other's services."""
    if topology != "consul":
        yield ""
        return
    agent = ConsulAgent(request.getfixturevalue("consul_binary"), folder)
    agent.start()
    try:
        yield agent.address
    finally:
        agent.stop()


@pytest.fixture
def consul_agent(consul_binary: Path, tmp_path: Path) -> Iterator[ConsulAgent]:
    """A real Consul agent of the test's own."""
    agent = ConsulAgent(consul_binary, tmp_path)
    agent.start()
    yield agent
    agent.stop()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stack(
    topology: str, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> AsyncIterator[Stack]:
    """A running Ensemble, shared by the tests of a topology."""
    folder = tmp_path_factory.mktemp(topology)
    with _agent(topology, folder, request) as consul:
        running = Stack(topology, folder, consul=consul)
        try:
            await running.start()
            yield running
        finally:
            running.close()


@pytest_asyncio.fixture
async def own_stack(
    topology: str, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Stack]:
    """A stack of the test's own, not started: for tests that break things."""
    with _agent(topology, tmp_path, request) as consul:
        private = Stack(topology, tmp_path, consul=consul)
        yield private
        private.close()
