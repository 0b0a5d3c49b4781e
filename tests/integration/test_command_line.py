"""The commands as scripts use them: exit statuses, JSON, messages that help."""

import asyncio
import json
import signal
import subprocess
import sys

import pytest

from ensemble.testkit.stack import Stack

pytestmark = pytest.mark.integration

TOPOLOGY = "inproc"
"""The commands do not know the placement; one is enough."""


@pytest.mark.parametrize(
    "arguments", [[], ["fly"], ["ask"], ["serve", "nothing"], ["up", "--services", "x"], ["talk"]]
)
def test_wrong_usage_exits_with_2(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ensemble.launcher", *arguments],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr


async def test_help_names_every_command(stack: Stack) -> None:
    status, out, _ = await stack.command("--help")
    assert status == 0
    for name in ("up", "serve", "ask", "chat", "talk", "status", "doctor"):
        assert name in out


async def test_a_gateway_that_is_not_there_is_a_clear_failure(own_stack: Stack) -> None:
    status, out, err = await own_stack.command("ask", "--json", "hello")
    assert status == 1
    assert json.loads(out)["error"]["retryable"] is True
    assert own_stack.address in err
    assert "ensemble up" in err


async def test_a_second_instance_on_the_same_home_is_refused(stack: Stack) -> None:
    status, _, err = await stack.command("up")
    assert status == 1
    assert "STORAGE_LOCKED" in err
    assert str(stack.home) in err


async def test_a_taken_port_is_named(stack: Stack, own_stack: Stack) -> None:
    own_stack.environ["ENSEMBLE_GATEWAY_ADDRESS"] = stack.address
    status, _, err = await own_stack.command("up")
    assert status == 1
    assert stack.address in err


async def test_a_bind_to_the_world_without_tls_is_refused(own_stack: Stack) -> None:
    own_stack.environ["ENSEMBLE_GATEWAY_LISTEN"] = "0.0.0.0:0"
    status, _, err = await own_stack.command("up")
    assert status == 1
    assert "TLS" in err


async def test_a_stranger_is_not_let_in(stack: Stack) -> None:
    own = dict(stack.environ)
    try:
        stack.environ["ENSEMBLE_API_KEY"] = "ens_wrong"
        status, _, err = await stack.command("ask", "hello")
    finally:
        stack.environ = own
    assert status == 1
    assert "UNAUTHENTICATED" in err
    assert (stack.home / "api-key").stat().st_mode & 0o077 == 0


async def test_doctor_finds_nothing_broken(stack: Stack) -> None:
    status, out, _ = await stack.command("doctor", "--json")
    assert status == 0, out
    assert {f["name"] for f in json.loads(out)["findings"]} >= {"Python", "llama.cpp", "home"}


async def test_chat_prints_answers_and_leaves_at_the_end_of_input(stack: Stack) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ensemble.launcher", "chat",
        env=stack.environ,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"turn on the attic light\n")
    await process.stdin.drain()
    seen = b""
    async with asyncio.timeout(30):
        while b"attic light" not in seen:
            seen += await process.stdout.read(256)
        process.stdin.close()
        assert await process.wait() == 0


async def test_chat_leaves_on_interrupt(stack: Stack) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ensemble.launcher", "chat",
        env=stack.environ,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"hello\n")
    async with asyncio.timeout(30):
        await process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 0
