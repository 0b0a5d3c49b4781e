"""Which models there are: from a YAML file, or from what is found.

A file looks like this; the order of the models is the order in which they are tried::

    currency: USD
    models:
      - name: house
        adapter: llama.cpp
        path: house.gguf            # beside this file unless absolute
        capabilities: [tools]
      - name: big
        adapter: openai
        url: https://llm.example/v1
        model: big-2                # the provider's name; its first model when left out
        api_key_env: BIG_API_KEY    # name of the variable that holds the key
        context: 128000
        input_price: "0.15"         # a million tokens
        output_price: "0.60"
        fallback: [house]           # all others, in order, when left out

Without a file there are: the server at ``LLM_URL``, each GGUF in the models folder, and the
embedded household model.
"""

import re
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from ensemble.core.errors import ConfigurationError
from ensemble.model_router.settings import Settings

EMBEDDED = "household"
_LATER_PART = re.compile(r"-(?!00001)\d{5}-of-\d{5}$")
Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:/@-]{0,127}$")]
Context = Annotated[int, msgspec.Meta(ge=64, le=10_000_000)]


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One model of the registry.

    ``name`` may be empty only for the server at ``LLM_URL``, which is asked for it.
    """

    name: Name | Literal[""]
    adapter: Literal["llama.cpp", "openai"]
    path: str = ""
    url: str = ""
    model: str = ""
    api_key_env: str = ""
    api_key: str = ""
    capabilities: tuple[Name, ...] = ("tools",)
    context: Context | None = None
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None
    input_price: Decimal = Decimal(0)
    output_price: Decimal = Decimal(0)
    currency: str = "USD"
    fallback: tuple[Name, ...] | None = None


class _Model(Entry, frozen=True, forbid_unknown_fields=True, kw_only=True):
    priority: int = 0


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    models: Annotated[tuple[_Model, ...], msgspec.Meta(min_length=1)]
    currency: Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{3}$")] = "USD"


def entries(settings: Settings) -> tuple[Entry, ...]:
    """Return the models in the order in which they are tried.

    Raises:
        ConfigurationError: The file cannot be read or is wrong; the message names the file,
            the key and what it takes.
    """
    found = _from_file(settings.registry) if settings.registry else _discovered(settings)
    return tuple(e for e in found if settings.local or e.adapter != "llama.cpp")


def _discovered(settings: Settings) -> list[Entry]:
    found = []
    if settings.llm_url:
        found.append(
            Entry(
                name="",
                adapter="openai",
                url=settings.llm_url,
                api_key=settings.llm_api_key,
                # Tools want the likeliest answer, and most servers default to another one;
                # OpenAI's own takes no such wish from some models.
                temperature=None if "api.openai.com" in settings.llm_url else 0.0,
            )
        )
    folder = settings.models
    dropped = sorted(folder.glob("*.gguf")) if folder is not None and folder.is_dir() else []
    for path in dropped:
        name = re.sub(r"[^A-Za-z0-9_.-]+", "-", path.stem).lstrip("-._")[:128]
        if name and not name.startswith("mmproj") and not _LATER_PART.search(name):
            found.append(Entry(name=name, adapter="llama.cpp", path=str(path)))
    taken = any(entry.name == EMBEDDED for entry in found)
    embedded = resources.files("ensemble.model_router") / "embedded" / f"{EMBEDDED}.gguf"
    name = f"embedded-{EMBEDDED}" if taken else EMBEDDED
    found.append(Entry(name=name, adapter="llama.cpp", path=str(embedded)))
    return found


def _from_file(path: Path) -> list[Entry]:
    # Only where there is such a file: it costs every other start 5 % of its imports.
    import yaml

    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise _wrong(path, f"cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise _wrong(path, "is not UTF-8 text") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark is not None else ""
        raise _wrong(path, f"is not YAML{where}") from None
    try:
        file = msgspec.convert(document, _File)
    except msgspec.ValidationError as error:
        problem, _, where = str(error).partition(" - at `$")
        key = where.rstrip("`").lstrip(".") or "the top level"
        raise _wrong(path, f"at {key}: {problem}") from None
    models = sorted(file.models, key=lambda model: -model.priority)
    _check(path, file.models)
    return [_entry(path, model, file.currency) for model in models]


def _check(path: Path, models: tuple[_Model, ...]) -> None:
    names = [model.name for model in models]
    for at, model in enumerate(models):
        key = f"models[{at}]"
        needed = "path" if model.adapter == "llama.cpp" else "url"
        if not model.name:
            raise _wrong(path, f"at {key}.name: it must not be empty")
        if names.index(model.name) != at:
            raise _wrong(path, f"at {key}.name: another model is called {model.name}, too")
        if not getattr(model, needed):
            raise _wrong(path, f"at {key}.{needed}: adapter {model.adapter} needs it")
        if model.url and not model.url.startswith(("http://", "https://")):
            raise _wrong(path, f"at {key}.url: it takes http://… or https://…")
        if model.api_key:
            raise _wrong(path, f"at {key}.api_key: name a variable in api_key_env instead")
        for price in ("input_price", "output_price"):
            amount = getattr(model, price)
            if not amount.is_finite() or amount < 0 or amount != round(amount, 9):
                raise _wrong(path, f"at {key}.{price}: it takes an amount from 0, such as '0.15'")
        for other in model.fallback or ():
            if other not in names:
                raise _wrong(path, f"at {key}.fallback: no model is called {other}")


def _entry(path: Path, model: _Model, currency: str) -> Entry:
    values: dict[str, Any] = {name: getattr(model, name) for name in Entry.__struct_fields__}
    if model.path:
        values["path"] = str((path.parent / Path(model.path).expanduser()).absolute())
    values["currency"] = currency
    return Entry(**values)


def _wrong(path: Path, problem: str) -> ConfigurationError:
    return ConfigurationError(
        f"ENSEMBLE_MODEL_ROUTER_REGISTRY: {path} {problem}.",
        metadata={"variable": "ENSEMBLE_MODEL_ROUTER_REGISTRY", "file": str(path)},
    )
