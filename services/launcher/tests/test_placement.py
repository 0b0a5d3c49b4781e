"""Which services run where."""

import pytest

from ensemble.core.errors import ConfigurationError
from ensemble.core.services import SERVICE_NAMES
from ensemble.launcher.compose import host_of, refuse_strangers, services_of
from ensemble.runtime.runtime_settings import RuntimeSettings
from ensemble.runtime.tier import Tier

pytestmark = pytest.mark.unit


def test_standalone_is_everything() -> None:
    assert services_of(Tier.STANDALONE, {}) == (SERVICE_NAMES, "")


def test_an_edge_without_peers_runs_them_and_says_so() -> None:
    names, remark = services_of(Tier.EDGE, {})
    assert names == SERVICE_NAMES
    assert "model-router and world-model" in remark


def test_an_edge_with_peers_leaves_them_alone() -> None:
    environ = {
        "ENSEMBLE_MODEL_ROUTER_ADDRESS": "10.0.0.1:7702",
        "ENSEMBLE_WORLD_MODEL_ADDRESS": "10.0.0.1:7706",
    }
    names, remark = services_of(Tier.EDGE, environ)
    assert names == ("gateway", "orchestrator", "tool-server", "stt", "tts")
    assert remark == ""
    assert services_of(Tier.EDGE, {"CONSUL_HTTP_ADDR": "127.0.0.1:8500"})[0] == names


def test_an_address_of_no_service_is_a_mistake() -> None:
    with pytest.raises(ConfigurationError, match="ENSEMBLE_SST_ADDRESS"):
        refuse_strangers({"ENSEMBLE_SST_ADDRESS": "127.0.0.1:1"})
    refuse_strangers({"ENSEMBLE_STT_ADDRESS": "127.0.0.1:1", "ENSEMBLE_METRICS_LISTEN": "x"})


def test_a_setting_that_does_not_exist_is_a_mistake() -> None:
    with pytest.raises(ConfigurationError, match="ENSEMBLE_TTS_VOIC"):
        host_of(
            ("tts",), alone=True, settings=RuntimeSettings(), environ={"ENSEMBLE_TTS_VOIC": "x"}
        )


def test_common_names_of_other_tools_are_honoured() -> None:
    """LLM_URL reaches the model router although it is not under its prefix."""
    with pytest.raises(ConfigurationError, match="RUN_LOCAL_LLM"):
        host_of(
            ("model-router",),
            alone=True,
            settings=RuntimeSettings(),
            environ={"RUN_LOCAL_LLM": "perhaps"},
        )
