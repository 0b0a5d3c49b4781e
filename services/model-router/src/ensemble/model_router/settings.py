"""Settings of the model router."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from ensemble.core import paths
from ensemble.core.services import environment_prefix
from ensemble.runtime.settings import load


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment says, under ``ENSEMBLE_MODEL_ROUTER_``.

    Attributes:
        registry: YAML file with the models; without it they are found (see ``registry``).
        models: Folder of dropped-in GGUFs; the ``models`` folder of the home by default.
        llama_mode: Runs llama.cpp in a child process, or inline in this one.
        llama_threads: Threads of each model; more than one is slower on few cores.
        context: Tokens that a model reads and writes together at most.
        start_wait: Seconds that a call waits for a model that is starting.
        request_timeout: Seconds of silence after which a provider counts as dead.
        llm_url: An OpenAI-compatible server (``LLM_URL``).
        llm_api_key: Its key (``LLM_API_KEY``).
        local: Whether llama.cpp may run (``RUN_LOCAL_LLM``).
    """

    registry: Path | None = None
    models: Path | None = None
    llama_mode: Literal["child", "inline"] = "child"
    llama_threads: Annotated[int, msgspec.Meta(ge=1, le=256)] = 1
    context: Annotated[int, msgspec.Meta(ge=64, le=1_048_576)] = 4096
    start_wait: Annotated[float, msgspec.Meta(ge=0, le=600)] = 5.0
    request_timeout: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 60.0
    llm_url: str = ""
    llm_api_key: str = ""
    local: bool = True


def from_environment(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings, with the names that are common for all tools: ``LLM_URL`` and such.

    Raises:
        ConfigurationError: A value is wrong; the message names the variable.
    """
    prefix = environment_prefix("model-router")
    settings = load(Settings, prefix, environ)
    aliases = {
        f"{prefix}LLM_URL": environ.get("LLM_URL", ""),
        f"{prefix}LLM_API_KEY": environ.get("LLM_API_KEY", ""),
    }
    common = load(Settings, prefix, {k: v for k, v in aliases.items() if v})
    local = load(_Common, "", {k: v for k, v in environ.items() if k == "RUN_LOCAL_LLM"})
    return replace(
        settings,
        llm_url=settings.llm_url or common.llm_url,
        llm_api_key=settings.llm_api_key or common.llm_api_key,
        local=settings.local and local.run_local_llm,
        models=settings.models or paths.models(environ),
    )


@dataclass(frozen=True, slots=True)
class _Common:
    run_local_llm: bool = True
