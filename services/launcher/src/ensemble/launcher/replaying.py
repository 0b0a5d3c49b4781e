"""``ensemble sessions replay``: a record played again as it happened; no model is called."""

import argparse
import asyncio
import datetime
import json

from google.protobuf import json_format

from ensemble.client import EnsembleClient
from ensemble.launcher.plain import plain
from ensemble.launcher.stored import resolve
from ensemble.launcher.transcript import clock
from ensemble.v1 import session_events_pb2


async def replay(gateway: EnsembleClient, options: argparse.Namespace) -> int:
    """Print the events of a session with the time that lay between them."""
    session_id = await resolve(gateway, options.session)
    screen = _Screen()
    pace = _Pace(options.speed, options.longest_pause)
    async for event in gateway.replay_session(session_id):
        passed = await pace.wait(event.created_at.ToNanoseconds() / 1e9)
        if options.json:
            print(json.dumps(json_format.MessageToDict(event), ensure_ascii=False), flush=True)
            continue
        if passed:
            screen.pause(passed)
        screen.show(event)
    screen.end_line()
    return 0


class _Pace:
    """Waits for as long as it took, or less.

    Args:
        speed: Times faster; 0 does not wait.
        longest: Seconds to which longer pauses are cut; None for none.
    """

    def __init__(self, speed: float, longest: float | None) -> None:
        self._speed = speed
        self._longest = float("inf") if longest is None else longest
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._last = 0.0
        self._played = 0.0

    async def wait(self, at: float) -> float:
        """Wait until an event of time ``at`` is due; return how long it took if less is waited."""
        passed = max(at - (self._last or at), 0.0)
        self._last = at
        if not self._speed:
            return 0.0
        self._played += min(passed, self._longest)
        # Against the start, so that the time for printing does not add up.
        due = self._began + self._played / self._speed
        await asyncio.sleep(max(due - self._loop.time(), 0))
        return passed if passed > self._longest else 0.0


class _Screen:
    """Prints events of a record as a conversation shows them while it happens."""

    def __init__(self) -> None:
        self._open = False

    def show(self, event: session_events_pb2.ServerEvent) -> None:
        """Print one event."""
        at = clock(event.created_at.ToDatetime(datetime.UTC))
        match event.WhichOneof("event"):
            case "input_committed":
                said = event.input_committed
                text = "(not understood)" if said.rejected else plain(said.text)
                self._line(f"{at}  > {text}")
            case "response_text_delta":
                self._write(plain(event.response_text_delta.text))
            case "response_tool_call":
                call = event.response_tool_call.call
                self._line(f"{at}  · {plain(call.name)} {plain(call.arguments_json)}")
            case "response_tool_done":
                result = event.response_tool_done.result
                text = result.error.message if result.HasField("error") else result.result_json
                self._line(f"{at}  · → {plain(text)}")
            case "response_resumed":
                self._line(f"{at}  · goes on after a loss")
            case "response_model_substituted":
                substitution = event.response_model_substituted.substitution
                self._line(f"{at}  · {substitution.to_model} takes over")
            case "notice":
                self._line(f"{at}  * {plain(event.notice.text)}")
            case "response_done":
                if event.response_done.HasField("error"):
                    self._write(f" [{plain(event.response_done.error.message)}]")
                self.end_line()

    def pause(self, seconds: float) -> None:
        """Say that more time passed than was waited."""
        whole = datetime.timedelta(seconds=round(seconds))
        self._line(f"          ({whole} later)")

    def end_line(self) -> None:
        """Leave the line that is begun."""
        if self._open:
            print(flush=True)
            self._open = False

    def _line(self, text: str) -> None:
        self.end_line()
        print(text, flush=True)

    def _write(self, text: str) -> None:
        print(text, end="", flush=True)
        self._open = True
