"""Settings are read once, and a mistake in them is named with what would be right."""

import dataclasses
import enum
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import pytest

from ensemble.core.errors import ConfigurationError
from ensemble.runtime.runtime_settings import RuntimeSettings
from ensemble.runtime.settings import load
from ensemble.runtime.tier import Tier, node_tier, tier_of

pytestmark = pytest.mark.unit


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Everything(msgspec.Struct, frozen=True, kw_only=True):
    text: str = "a"
    count: Annotated[int, msgspec.Meta(ge=1, le=9)] = 1
    share: float = 0.5
    on: bool = False
    where: Path = Path("/tmp")
    colour: Colour = Colour.RED
    engine: Literal["auto", "piper"] = "auto"
    names: tuple[str, ...] = ()
    numbers: tuple[int, ...] = ()
    limit: float | None = None


@dataclasses.dataclass(frozen=True)
class Needed:
    path: Path
    size: int = 3


def read(**environ):
    return load(Everything, "ENSEMBLE_X_", {f"ENSEMBLE_X_{k}": v for k, v in environ.items()})


def mistake(**environ):
    with pytest.raises(ConfigurationError) as caught:
        read(**environ)
    return caught.value.message


def test_nothing_set_gives_the_defaults():
    assert read() == Everything()
    assert read(TEXT="  ", COUNT="") == Everything()


def test_every_kind_of_value_is_read():
    assert read(
        TEXT=" hello ",
        COUNT="7",
        SHARE="0.25",
        ON="Yes",
        WHERE="~/x",
        COLOUR="blue",
        ENGINE="piper",
        NAMES="a, b,,c",
        NUMBERS="1,2",
        LIMIT="3.5",
    ) == Everything(
        text="hello",
        count=7,
        share=0.25,
        on=True,
        where=Path.home() / "x",
        colour=Colour.BLUE,
        engine="piper",
        names=("a", "b", "c"),
        numbers=(1, 2),
        limit=3.5,
    )


@pytest.mark.parametrize(
    ("name", "value", "accepted"),
    [
        ("COUNT", "many", "a whole number"),
        ("COUNT", "1.5", "a whole number"),
        ("COUNT", "10", "<= 9"),
        ("SHARE", "half", "a number"),
        ("SHARE", "nan", "a finite number"),
        ("ON", "maybe", "true or false"),
        ("COLOUR", "green", "one of red, blue"),
        ("ENGINE", "festival", "one of auto, piper"),
        ("NUMBERS", "1,x", "a whole number"),
        ("LIMIT", "inf", "a finite number"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_accepted(name, value, accepted):
    message = mistake(**{name: value})
    assert message.startswith(f"ENSEMBLE_X_{name}: ")
    assert accepted in message


def test_an_unknown_name_is_refused_with_the_nearest_known_one():
    assert mistake(CONUT="1") == (
        "ENSEMBLE_X_CONUT is not a setting; did you mean ENSEMBLE_X_COUNT?"
    )
    assert "ENSEMBLE_X_TEXT" in mistake(QQQQQQQQ="1")


def test_addresses_belong_to_the_runtime():
    assert read(LISTEN="127.0.0.1:1", ADDRESS="127.0.0.1:1") == Everything()


def test_a_secret_is_not_repeated():
    class Secret(msgspec.Struct, frozen=True):
        api_key: int = 0

    with pytest.raises(ConfigurationError) as caught:
        load(Secret, "ENSEMBLE_Y_", {"ENSEMBLE_Y_API_KEY": "swordfish"})
    assert "swordfish" not in caught.value.message


def test_a_setting_without_a_default_must_be_there():
    assert load(Needed, "ENSEMBLE_N_", {"ENSEMBLE_N_PATH": "/x"}) == Needed(Path("/x"))
    with pytest.raises(ConfigurationError, match="ENSEMBLE_N_PATH must be set"):
        load(Needed, "ENSEMBLE_N_", {})


def test_the_process_reads_its_own_settings_beside_those_of_others():
    settings = RuntimeSettings.from_environment(
        {
            "ENSEMBLE_HOME": "/x",
            "ENSEMBLE_STT_ENGINE": "auto",
            "ENSEMBLE_DRAIN_STREAMS_SECONDS": "3",
            "ENSEMBLE_LOG_FORMAT": "json",
            "CONSUL_HTTP_ADDR": "127.0.0.1:8500",
            "NODE_ROLE": "edge",
        }
    )
    assert settings.drain_streams_seconds == 3
    assert settings.log_format == "json"
    assert settings.consul_address == "127.0.0.1:8500"
    assert settings.tier is Tier.EDGE


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"ENSEMBLE_TLS_CRET": "x"}, "ENSEMBLE_TLS_CERT"),
        ({"ENSEMBLE_TLS_CERT": "x"}, "ENSEMBLE_TLS_KEY is not set"),
        ({"ENSEMBLE_TLS_KEY": "x"}, "ENSEMBLE_TLS_CERT is not set"),
        ({"ENSEMBLE_TLS_CLIENT_CA": "x"}, "ENSEMBLE_TLS_CLIENT_CA"),
        ({"ENSEMBLE_TRACES": "jaeger"}, "ENSEMBLE_TRACES"),
        ({"ENSEMBLE_TRACES": "file"}, "file:PATH"),
        ({"ENSEMBLE_LOG_LEVEL": "loud"}, "one of debug, info"),
        ({"NODE_ROLE": "moon"}, "NODE_ROLE"),
    ],
)
def test_mistakes_in_the_settings_of_the_process_are_named(environ, named):
    with pytest.raises(ConfigurationError, match=named):
        RuntimeSettings.from_environment(environ)


@pytest.mark.parametrize(
    ("cores", "gib", "tier"),
    [
        (2, 7.7, Tier.EDGE),
        (8, 8, Tier.EDGE),
        (2, 64, Tier.EDGE),
        (8, 15.5, Tier.STANDALONE),
        (16, 32, Tier.STANDALONE),
        (32, 63, Tier.CORE),
    ],
)
def test_the_tier_is_read_off_the_machine(cores, gib, tier):
    assert tier_of(cores=cores, memory=int(gib * (1 << 30))) is tier


def test_the_role_decides_the_tier_where_it_is_set():
    assert node_tier({"NODE_ROLE": "core"}) is Tier.CORE
    assert node_tier({}) in Tier
