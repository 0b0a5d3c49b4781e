"""Puts services into this process: which, where they listen, how they are built."""

import importlib
import os
import typing
from collections.abc import Collection, Mapping
from typing import Any

from ensemble.core.errors import ConfigurationError
from ensemble.core.services import DEFAULT_PORTS, SERVICE_NAMES, environment_prefix
from ensemble.runtime.addresses import listen_addresses
from ensemble.runtime.host import Build, Host
from ensemble.runtime.runtime_settings import RuntimeSettings
from ensemble.runtime.service import Channels, Service
from ensemble.runtime.settings import load
from ensemble.runtime.tier import Tier

_EDGE = ("gateway", "orchestrator", "tool-server", "stt", "tts")


def services_of(tier: Tier, environ: Mapping[str, str] = os.environ) -> tuple[tuple[str, ...], str]:
    """Return the services that ``tier`` colocates, and a remark for the operator.

    A tier whose remote peers are not configured colocates them (DESIGN §7).
    """
    if tier is not Tier.EDGE:
        return SERVICE_NAMES, ""
    missing = tuple(
        name
        for name in SERVICE_NAMES
        if name not in _EDGE
        and not environ.get(f"{environment_prefix(name)}ADDRESS")
        and not environ.get("CONSUL_HTTP_ADDR")
    )
    remark = ""
    if missing:
        names = " and ".join(missing)
        remark = f"{names} run here too, because no address and no Consul is set for them"
    return tuple(n for n in SERVICE_NAMES if n in _EDGE or n in missing), remark


def host_of(
    names: Collection[str],
    *,
    alone: bool,
    settings: RuntimeSettings,
    environ: Mapping[str, str] = os.environ,
) -> Host:
    """Return a host of the services ``names``.

    Args:
        names: Which ones.
        alone: Each listens at its address; otherwise only the gateway and those with a
            ``_LISTEN`` of their own do.
        settings: Of the process.
        environ: Where the settings of the services are read.

    Raises:
        ConfigurationError: A setting is wrong, or a service is not installed here.
    """
    refuse_strangers(environ)
    builds: dict[str, Build] = {}
    for name in names:
        app = _app(name)
        builds[name] = _build(app, _settings(app, name, environ))
    return Host(
        builds,
        settings,
        listen={
            name: listen_addresses(name, environ, always=alone or name == "gateway")
            for name in names
        },
        environ=environ,
    )


def _app(name: str) -> Any:
    module = f"ensemble.{name.replace('-', '_')}.app"
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not module.startswith(error.name):
            raise
        raise ConfigurationError(
            f"{name} is not installed here; install ensemble-{name}."
        ) from error


def _settings(app: Any, name: str, environ: Mapping[str, str]) -> Any:
    """Read the settings that ``app.build`` takes; an app with aliases reads its own."""
    if hasattr(app, "from_environment"):
        return app.from_environment(environ)
    return load(typing.get_type_hints(app.build)["settings"], environment_prefix(name), environ)


def _build(app: Any, settings: Any) -> Build:
    def build(channels: Channels) -> Service:
        service: Service = app.build(settings, channels)
        return service

    return build


_ENDS = ("_ADDRESS", "_LISTEN")


def refuse_strangers(environ: Mapping[str, str]) -> None:
    """Raise ConfigurationError for an address of a service that does not exist."""
    prefixes = [environment_prefix(name).removesuffix("_") for name in DEFAULT_PORTS]
    known = {"ENSEMBLE_METRICS_LISTEN", *(prefix + end for prefix in prefixes for end in _ENDS)}
    for name in environ:
        if name.startswith("ENSEMBLE_") and name.endswith(_ENDS) and name not in known:
            raise ConfigurationError(
                f"{name}: there is no such service; known are {', '.join(SERVICE_NAMES)}."
            )
