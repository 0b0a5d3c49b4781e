"""A conversation on a terminal: tokens as they come, Ctrl-C stops an answer, twice leaves."""

import asyncio
import signal
import sys
import threading

from ensemble.client import Conversation, EnsembleClient
from ensemble.core.errors import PeerLostError
from ensemble.launcher.announce import say
from ensemble.launcher.blame import SILENT
from ensemble.launcher.gap_notice import GapNotice
from ensemble.launcher.plain import plain
from ensemble.transport.status import from_status
from ensemble.v1 import common_pb2, session_events_pb2

HINT = """\
Try:  turn on the kitchen light  ·  is the kitchen light on  ·  set a timer for 5 minutes
      what is 12 times 7  ·  remember that the car key is in the drawer  ·  where is the car key
Ctrl-C stops an answer; Ctrl-C twice, Ctrl-D or /quit leaves."""

_PROMPT = "> "
_PATIENCE_S = 60.0
"""Seconds for which a lost connection is tried again: a person may leave earlier."""


class Chat:
    """Reads lines, prints answers. A lost connection is resumed where it broke off.

    Args:
        client: An entered client.
        session_id: Session to go on with; empty makes one.
        patience: Seconds for which the assistant is tried when it cannot be reached; None for
            a minute once it was reached, and once at first.
    """

    def __init__(
        self, client: EnsembleClient, *, session_id: str = "", patience: float | None = None
    ) -> None:
        self._client = client
        self._session = session_id
        self._patience = _PATIENCE_S if patience is None else patience
        self._connect_within = patience or 0.0
        self._gaps = GapNotice(self._tell)
        self._lines: asyncio.Queue[str | None] = asyncio.Queue(16)
        self._answering = False
        self._stopping = False
        self._fresh_line = True
        # A script that pipes its lines waits for each answer; a person may interrupt one.
        self._person = sys.stdin.isatty()
        self._idle = asyncio.Event()
        self._idle.set()
        self._conversation: Conversation | None = None
        self._leave = asyncio.Event()

    async def run(self) -> int:
        """Talk until the person leaves; return the exit status."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self._interrupt)
        # A daemon thread, because a blocked read of a terminal cannot be cancelled.
        reader = threading.Thread(target=self._read_lines, args=(loop,), daemon=True)
        reader.start()
        try:
            await self._talk()
        finally:
            self._gaps.end()
            self._end_line()
            if self._conversation is not None:
                name = self._conversation.session_id
                say(f"to go on with this conversation: ensemble chat --session {name}")
            loop.remove_signal_handler(signal.SIGINT)
        return 0

    async def _talk(self) -> None:
        async with self._client.converse(
            session_id=self._session,
            patience=self._patience,
            connect_within=self._connect_within,
            on_lost=self._gaps.lost,
            on_gap=self._gaps.back,
        ) as conversation:
            self._conversation = conversation
            tasks = [
                asyncio.create_task(self._print_events(conversation)),
                asyncio.create_task(self._send_lines(conversation)),
                asyncio.create_task(self._leave.wait()),
            ]
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _send_lines(self, conversation: Conversation) -> None:
        while True:
            if not self._answering:
                self._prompt()
            line = await self._lines.get()
            self._fresh_line = True
            if line is None or line.strip() in ("/quit", "/exit"):
                if not self._person:
                    await self._idle.wait()
                self._leave.set()
                return
            if line.strip():
                if not self._person:
                    await self._idle.wait()
                self._answering = True
                self._idle.clear()
                await conversation.send_text(line.strip())

    async def _print_events(self, conversation: Conversation) -> None:
        async for event in conversation:
            self._show(event)
        raise PeerLostError("The conversation was ended by the other side.")

    def _show(self, event: session_events_pb2.ServerEvent) -> None:
        kind = event.WhichOneof("event")
        if kind == "response_text_delta":
            self._write(plain(event.response_text_delta.text))
        elif kind == "response_tool_call":
            self._write(f"[{plain(event.response_tool_call.call.name)}] ")
        elif kind == "response_done":
            self._finish(event.response_done)
        elif kind == "notice":
            self._end_line()
            self._write(f"* {plain(event.notice.text)}\n")
            if not self._answering:
                self._prompt()
        elif kind == "error":
            self._end_line()
            print(f"[{plain(event.error.message)}]", file=sys.stderr)

    def _finish(self, done: session_events_pb2.ResponseDone) -> None:
        if done.stop_reason == common_pb2.STOP_REASON_CANCELLED:
            self._write(" [stopped]")
        elif done.HasField("error"):
            hint = " See 'ensemble status'." if isinstance(from_status(done.error), SILENT) else ""
            self._write(f"[{plain(done.error.message)}{hint}]")
        self._end_line()
        if done.begins_anew:
            return
        self._answering = self._stopping = False
        self._idle.set()
        self._prompt()

    def _interrupt(self) -> None:
        if not self._answering or self._stopping or self._conversation is None:
            self._leave.set()
            return
        self._stopping = True
        task = asyncio.ensure_future(self._conversation.cancel_response())
        # The queue behind it is bounded and drained by the open stream, or cancelled with it.
        task.add_done_callback(lambda done: done.cancelled() or done.exception())

    def _read_lines(self, loop: asyncio.AbstractEventLoop) -> None:
        for line in sys.stdin:
            asyncio.run_coroutine_threadsafe(self._lines.put(line), loop).result()
        asyncio.run_coroutine_threadsafe(self._lines.put(None), loop).result()

    def _write(self, text: str) -> None:
        if text:
            sys.stdout.write(text)
            sys.stdout.flush()
            self._fresh_line = text.endswith("\n")

    def _tell(self, line: str) -> None:
        self._end_line()
        print(line, file=sys.stderr, flush=True)
        if not self._answering:
            self._prompt()

    def _prompt(self) -> None:
        if self._person:
            self._write(_PROMPT)

    def _end_line(self) -> None:
        if not self._fresh_line:
            self._write("\n")
