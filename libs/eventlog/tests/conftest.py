"""Lets the test modules of this folder import its contract suite; an empty database."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ensemble.testkit.postgres import shared_postgres

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
async def dsn() -> AsyncIterator[str]:
    server = await asyncio.to_thread(shared_postgres)
    async with server.database() as dsn:
        yield dsn
