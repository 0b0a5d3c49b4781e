"""Lets the test modules of this folder import what serves the tools."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from tool_house import Assistant, House


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


@pytest.fixture(params=["inproc", "unix"])
async def assistant(request: Any, house: House) -> AsyncIterator[Assistant]:
    address = f"unix:{house.folder}/t.sock" if request.param == "unix" else ""
    async with house.world(), house.tools(address) as host:
        yield Assistant(host)
