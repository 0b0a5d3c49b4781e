"""Any server that speaks OpenAI's chat completions."""

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator, Awaitable
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

import structlog

from ensemble.core.errors import (
    ConfigurationError,
    ContextTooLongError,
    EngineFailedError,
    EnsembleError,
    InvalidArgumentError,
    RateLimitedError,
)
from ensemble.model_router.adapters.openai_events import StreamReader, malformed, request_body
from ensemble.model_router.domain import Call, ModelEvent
from ensemble.model_router.ports import Condition, State

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

_log = structlog.get_logger(__name__)

_CONNECT_TIMEOUT = 5.0
_ASK_TIMEOUT = 5.0
_ASK_AGAIN = 2.0
_ATTEMPTS = 3
_PAUSE = 0.1
_LONGEST_PAUSE = 2.0
_RETRIED = frozenset({408, 429, 500, 502, 503, 504})
_EVENT_LIMIT = 1_048_576


class _CancelledInBand(Exception):  # noqa: N818 - no failure
    """The caller wants no more."""


class OpenAiModel:
    """A model of an OpenAI-compatible server.

    Args:
        name: Name in the registry; empty to take over the provider's.
        url: Base address, with or without ``/v1``.
        model: The provider's name of the model; its first model when empty.
        api_key: Sent as a bearer token; empty for none.
        context: Tokens it reads and writes together; 0 where not known.
        temperature: Randomness where a call names none; None for the server's own.
        timeout: Seconds of silence after which the server counts as dead.
    """

    engine = "openai"
    can_continue = False

    def __init__(
        self, name: str, url: str, *, model: str = "", api_key: str = "", context: int = 0,
        temperature: float | None = None, timeout: float = 60.0,
    ) -> None:  # fmt: skip
        self._name = name
        self._url = _base(url)
        self._fixed_model = model
        self._model = model
        self._api_key = api_key
        self._context = context
        self._temperature = temperature
        self._timeout = timeout
        self._client: httpx.AsyncClient | None = None
        self._calls_as_text = False
        self._condition = Condition(State.STARTING, "The model's server is being asked.")
        self._asking: asyncio.Task[None] | None = None
        self._asked = asyncio.Event()

    @property
    def name(self) -> str:
        """Name in the registry."""
        return self._name or _short(self._model) or "llm"

    @property
    def context_tokens(self) -> int:
        """Tokens it can read and write together; 0 where not known."""
        return self._context

    def condition(self) -> Condition:
        """Return whether it can answer now, as far as is known without asking."""
        return self._condition

    async def start(self) -> None:
        """Ask the server for its model, unless that is given; goes on asking until it answers."""
        if self._client is None:
            import httpx

            host = urlsplit(self._url).hostname or ""
            self._client = httpx.AsyncClient(
                base_url=self._url,
                headers={"authorization": f"Bearer {self._api_key}"} if self._api_key else {},
                timeout=httpx.Timeout(self._timeout, connect=_CONNECT_TIMEOUT),
                # A proxy in the environment is for the outside.
                trust_env=host not in ("localhost", "127.0.0.1", "::1"),
            )
        if self._fixed_model:
            self._condition = Condition(State.READY)
            return
        self._ask()
        await self.ready(_ASK_TIMEOUT)

    async def ready(self, timeout: float) -> bool:
        """Wait for the server's first answer or refusal."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._asked.wait(), timeout)
        return self._condition.state is State.READY

    async def close(self) -> None:
        """Close the connections."""
        if self._asking is not None:
            self._asking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._asking
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def chat(self, call: Call) -> AsyncGenerator[ModelEvent, None]:
        """Answer over HTTP; tries again as long as nothing came. See ``Model.chat``."""
        body = request_body(
            call, self._model, temperature=self._temperature, calls_as_text=self._calls_as_text
        )
        reader = StreamReader(call)
        try:
            response = await self._response(call, body)
            try:
                lines = _events(response)
                async with contextlib.aclosing(lines):
                    while (data := await _unless(call.cancelled, anext(lines, None))) is not None:
                        if data == "[DONE]":
                            break
                        for event in reader.chunk(data):
                            yield event
                        if reader.may_stop:
                            break
            finally:
                await response.aclose()
        except _CancelledInBand:
            for event in reader.end(cancelled=True):
                yield event
            return
        if not reader.finished and not reader.may_stop:
            raise EngineFailedError("The model's server ended its answer in the middle.")
        last = list(reader.end())
        self._calls_as_text |= reader.called_in_text
        for event in last:
            yield event

    async def _response(self, call: Call, body: dict[str, object]) -> "httpx.Response":
        """Return the response of the first attempt that is answered."""
        import httpx

        client = self._client
        if client is None:
            raise EngineFailedError("The model's server is not connected.")
        error: EnsembleError = EngineFailedError()
        for attempt in range(_ATTEMPTS):
            if attempt:
                pause = min(_LONGEST_PAUSE, error.retry_after or _PAUSE * 2**attempt)
                await _unless(call.cancelled, asyncio.sleep(pause * random.uniform(0.5, 1)))
            request = client.build_request("POST", "chat/completions", json=body)
            try:
                response = await _unless(call.cancelled, client.send(request, stream=True))
            except httpx.HTTPError as problem:
                _log.warning("model server not reached", error=type(problem).__name__)
                error = EngineFailedError("The model's server cannot be reached.")
                continue
            if response.status_code == 200:
                return response
            error = await _refusal(response)
            if response.status_code == 404 and not self._fixed_model:
                self._ask()
            if response.status_code not in _RETRIED:
                raise error
        raise error

    def _ask(self) -> None:
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._find_model())

    async def _find_model(self) -> None:
        """Ask for the server's models until it names one."""
        import httpx

        while self._client is not None:
            try:
                response = await self._client.get("models", timeout=_ASK_TIMEOUT)
                self._model = str(response.raise_for_status().json()["data"][0]["id"])
                self._condition = Condition(State.READY)
                _log.info("model server found", model=self.name)
                return
            except httpx.HTTPStatusError as error:
                status = error.response.status_code
                reason = f"The model's server refuses to list its models (status {status})."
            except httpx.HTTPError:
                reason = "The model's server cannot be reached."
            except (ValueError, LookupError, TypeError):
                reason = "The model's server lists no models."
            finally:
                self._asked.set()
            self._condition = Condition(State.UNAVAILABLE, reason)
            await asyncio.sleep(_ASK_AGAIN)


async def _refusal(response: "httpx.Response") -> EnsembleError:
    """Return the error for a status other than 200; the server's own text stays inside."""
    status = response.status_code
    text = ""
    with contextlib.suppress(Exception):
        async for chunk in response.aiter_text():
            text += chunk
            if len(text) > 10_000:
                break
    await response.aclose()
    after = response.headers.get("retry-after", "")
    wait = float(after) if after.replace(".", "", 1).isdigit() else None
    if status == 429:
        return RateLimitedError(
            "The model's server takes no more calls at present.", retry_after=wait
        )
    if status in (401, 403):
        return ConfigurationError("The model's server refuses the API key.")
    if status in (400, 413) and "context" in text.lower():
        return ContextTooLongError()
    if status in (400, 422):
        return InvalidArgumentError("The model's server refuses this request.")
    return EngineFailedError(f"The model's server failed with status {status}.", retry_after=wait)


async def _events(response: "httpx.Response") -> AsyncGenerator[str, None]:
    """Yield the data of each server-sent event."""
    import httpx

    buffer = bytearray()
    data: list[str] = []
    try:
        async for chunk in response.aiter_bytes():
            buffer += chunk
            *lines, rest = buffer.split(b"\n")
            for line in lines:
                text = line.rstrip(b"\r").decode("utf-8")
                if text.startswith("data:"):
                    data.append(text[5:].removeprefix(" "))
                elif not text and data:
                    yield "\n".join(data)
                    data = []
            buffer = rest
            if len(buffer) + sum(map(len, data)) > _EVENT_LIMIT:
                raise malformed()
    except UnicodeDecodeError:
        raise malformed() from None
    except httpx.TimeoutException:
        raise EngineFailedError("The model's server fell silent.") from None
    except httpx.HTTPError:
        raise EngineFailedError("The connection to the model's server broke.") from None
    if data:
        yield "\n".join(data)


async def _unless(cancelled: asyncio.Event, wanted: Awaitable[T]) -> T:
    """Wait for ``wanted``, but no longer than until the caller cancels."""
    work = asyncio.ensure_future(wanted)
    stop = asyncio.ensure_future(cancelled.wait())
    try:
        await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
        if work.done() and not stop.done():
            return work.result()
        raise _CancelledInBand
    finally:
        for task in (work, stop):
            if not task.done():
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await task


def _base(url: str) -> str:
    """Return ``url`` as the address under which ``chat/completions`` lies."""
    path = urlsplit(url).path.rstrip("/")
    return f"{url.rstrip('/')}/" if path else f"{url.rstrip('/')}/v1/"


def _short(model: str) -> str:
    """Return a provider's name for a model without the folder and ending of its file."""
    return model.rpartition("/")[2].removesuffix(".gguf") if model.endswith(".gguf") else model
