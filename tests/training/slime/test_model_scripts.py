"""Our model arguments beside slime's scripts: stand-ins here, its own with SLIME_HOME set."""

import os
from pathlib import Path

import pytest
from model_configs import SIZES, config

from tau2_agent.training.megatron.model_args import ModelConfigError
from tau2_agent.training.slime.model_scripts import check_against_slime, script_arguments

SCRIPTS = Path(__file__).parents[2] / "slime_stand_in" / "scripts" / "models"


@pytest.mark.parametrize("name", ["Qwen3-0.6B", "Qwen3-4B", "Qwen3-4B-Instruct-2507"])
def test_slime_agrees(name):
    found = check_against_slime(config(name), SCRIPTS, f"Qwen/{name}")
    assert found.lower() == name.lower()
    assert check_against_slime(config(name), SCRIPTS) == found  # by shape alone, as for a folder


def test_the_rotary_base_of_another_release_is_an_error():
    wrong = config(rope_theta=1_000_000)
    with pytest.raises(ModelConfigError, match="--rotary-base: 1000000 here, 5000000 there"):
        check_against_slime(wrong, SCRIPTS, "Qwen/Qwen3-4B-Instruct-2507")


def test_every_difference_is_listed():
    wrong = config(vocab_size=151669, tie_word_embeddings=False)
    with pytest.raises(ModelConfigError) as error:
        check_against_slime(wrong, SCRIPTS, "Qwen3-4B-Instruct-2507")
    assert "--vocab-size" in str(error.value)
    assert "--untie-embeddings-and-output-weights: set here, absent there" in str(error.value)


def test_a_model_that_slime_has_no_script_for():
    assert check_against_slime(config("Qwen3-8B"), SCRIPTS, "Qwen/Qwen3-8B") is None
    assert check_against_slime(config(hidden_size=512), SCRIPTS) is None


def test_the_users_variables_do_not_leak_into_slimes_scripts(monkeypatch):
    monkeypatch.setenv("MODEL_ARGS_ROTARY_BASE", "7")
    assert script_arguments(SCRIPTS / "qwen3-4B.sh")["--rotary-base"] == "1000000"


def test_a_script_that_fails_is_named(tmp_path):
    (tmp_path / "qwen3-x.sh").write_text("source nowhere.sh\n")
    with pytest.raises(ModelConfigError, match=r"qwen3-x\.sh"):
        script_arguments(tmp_path / "qwen3-x.sh")


@pytest.mark.skipif("SLIME_HOME" not in os.environ, reason="needs slime's source folder")
@pytest.mark.parametrize("name", [name for name in SIZES if name != "Llama-3.2-1B-Instruct"])
def test_slimes_own_scripts_agree(name):
    """By the hub's name, and for those that slime has a script for."""
    scripts = Path(os.environ["SLIME_HOME"]) / "scripts" / "models"
    found = check_against_slime(config(name), scripts, f"owner/{name}")
    if name.startswith("SmolLM2") or name == "Qwen2.5-14B-Instruct":
        assert found is None
    else:
        same = name.lower().removesuffix("-2507").removesuffix("-instruct")
        assert found.lower().replace("llama", "llama-").startswith(same)
