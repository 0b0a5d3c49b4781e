"""Which models there are."""

import pytest

from ensemble.core.errors import ConfigurationError
from ensemble.model_router.registry import entries
from ensemble.model_router.settings import Settings, from_environment

pytestmark = pytest.mark.unit


def names(settings):
    return [(entry.name, entry.adapter) for entry in entries(settings)]


def test_what_is_there_is_found_in_order(tmp_path):
    for name in ("b.gguf", "a model.gguf", "c-00001-of-00002.gguf", "c-00002-of-00002.gguf"):
        (tmp_path / name).touch()
    (tmp_path / "mmproj-x.gguf").touch()
    (tmp_path / "readme.txt").touch()
    settings = Settings(models=tmp_path, llm_url="http://localhost:1234", llm_api_key="k")
    assert names(settings) == [
        ("", "openai"),
        ("a-model", "llama.cpp"),
        ("b", "llama.cpp"),
        ("c-00001-of-00002", "llama.cpp"),
        ("household", "llama.cpp"),
    ]
    assert entries(settings)[0].temperature == 0.0


def test_a_dropped_in_model_of_the_same_name_comes_first(tmp_path):
    (tmp_path / "household.gguf").touch()
    assert names(Settings(models=tmp_path)) == [
        ("household", "llama.cpp"),
        ("embedded-household", "llama.cpp"),
    ]


def test_without_local_models_only_servers_are_left(tmp_path):
    (tmp_path / "a.gguf").touch()
    assert names(Settings(models=tmp_path, local=False)) == []
    settings = Settings(models=tmp_path, local=False, llm_url="http://x")
    assert names(settings) == [("", "openai")]


def test_a_file_says_it_all(tmp_path):
    file = tmp_path / "models.yaml"
    file.write_text(
        """
        currency: EUR
        models:
          - {name: small, adapter: llama.cpp, path: small.gguf, context: 1024}
          - name: big
            adapter: openai
            url: https://llm.example/v1
            model: big-2
            api_key_env: BIG_KEY
            capabilities: [tools, reasoning]
            input_price: 0.15
            output_price: "0.60"
            priority: 5
            fallback: [small]
        """
    )
    big, small = entries(Settings(registry=file))
    assert (big.name, big.currency, str(big.input_price), str(big.output_price)) == (
        "big", "EUR", "0.15", "0.60",
    )  # fmt: skip
    assert big.fallback == ("small",)
    assert small.path == str(tmp_path / "small.gguf")
    assert small.fallback is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("models: [", "not YAML in line"),
        ("models: []", "at models: Expected `array` of length >= 1"),
        ("", "the top level"),
        ("models: 3", "at models: Expected `array`"),
        ("models: [{name: a, adapter: gemini}]", "at models[0].adapter: Invalid enum value"),
        ("models: [{name: a, adapter: openai}]", "at models[0].url: adapter openai needs it"),
        ("models: [{name: a, adapter: llama.cpp}]", "at models[0].path: adapter llama.cpp needs"),
        ("models: [{name: '', adapter: llama.cpp, path: x}]", "at models[0].name"),
        ("models: [{name: a, adapter: openai, url: ftp://x}]", "at models[0].url: it takes http"),
        ("models: [{name: a, adapter: llama.cpp, path: x, contxt: 5}]", "unknown field `contxt`"),
        ("models: [{name: a, adapter: llama.cpp, path: x, context: 5}]", "at models[0].context"),
        ("models: [{name: a, adapter: openai, url: http://x, input_price: -1}]", "input_price"),
        ("models: [{name: a, adapter: openai, url: http://x, input_price: abc}]", "input_price"),
        ("models: [{name: a, adapter: openai, url: http://x, api_key: abc}]", "api_key_env"),
        ("models: [{name: a, adapter: openai, url: http://x, fallback: [b]}]", "called b"),
        (
            "models: [{name: a, adapter: openai, url: http://x}, "
            "{name: a, adapter: openai, url: http://x}]",
            "at models[1].name: another model is called a",
        ),
        ("currency: euro\nmodels: [{name: a, adapter: openai, url: http://x}]", "at currency"),
    ],
)
def test_a_wrong_file_is_told_by_file_key_and_what_it_takes(tmp_path, text, problem):
    file = tmp_path / "models.yaml"
    file.write_text(text)
    with pytest.raises(ConfigurationError) as raised:
        entries(Settings(registry=file))
    assert str(file) in raised.value.message
    assert problem in raised.value.message


def test_a_file_that_cannot_be_read_is_told(tmp_path):
    with pytest.raises(ConfigurationError, match="No such file"):
        entries(Settings(registry=tmp_path / "absent.yaml"))
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="UTF-8"):
        entries(Settings(registry=tmp_path / "binary.yaml"))


def test_the_environment_is_read_with_its_common_names(tmp_path):
    settings = from_environment(
        {
            "ENSEMBLE_HOME": str(tmp_path),
            "LLM_URL": "http://localhost:1",
            "LLM_API_KEY": "k",
            "RUN_LOCAL_LLM": "false",
            "ENSEMBLE_MODEL_ROUTER_LLAMA_MODE": "inline",
        }
    )
    assert settings.models == tmp_path / "models"
    assert (settings.llm_url, settings.llm_api_key) == ("http://localhost:1", "k")
    assert not settings.local
    assert settings.llama_mode == "inline"
    with pytest.raises(ConfigurationError, match="RUN_LOCAL_LLM"):
        from_environment({"RUN_LOCAL_LLM": "perhaps"})
