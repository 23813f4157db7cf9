"""Megatron's arguments from config.json, for every dense Qwen3 size, and slime's scripts beside."""

import json
import os
from pathlib import Path

import pytest
from qwen3_configs import SIZES, config

from tau2_agent.training.megatron.model_args import (
    ModelConfigError,
    as_mapping,
    check_against_slime,
    model_arguments,
    parameter_count,
    read_config,
    script_arguments,
)

SCRIPTS = Path(__file__).parents[2] / "slime_stand_in" / "scripts" / "models"

# Published configurations: layers, hidden, ffn, heads, groups, tied; rotary base; parameters (1e9).


@pytest.mark.parametrize("name", SIZES)
def test_every_size(name):
    layers, hidden, ffn, heads, groups, tied, base, billions = SIZES[name]
    flags = as_mapping(model_arguments(config(name)))
    assert flags["--num-layers"] == str(layers)
    assert flags["--hidden-size"] == str(hidden)
    assert flags["--ffn-hidden-size"] == str(ffn)
    assert flags["--num-attention-heads"] == str(heads)
    assert flags["--num-query-groups"] == str(groups)
    assert flags["--rotary-base"] == str(base)
    assert flags["--kv-channels"] == "128"
    assert flags["--vocab-size"] == "151936"
    assert float(flags["--norm-epsilon"]) == 1e-6
    assert ("--untie-embeddings-and-output-weights" in flags) is not tied
    assert {"--qk-layernorm", "--swiglu", "--disable-bias-linear"} <= set(flags)
    assert parameter_count(config(name)) / 1e9 == pytest.approx(billions, abs=0.002)


def test_both_generations_of_transformers_say_the_same():
    new = config(rope_theta=None, rope_parameters={"rope_type": "default", "rope_theta": 5e6})
    del new["rope_theta"], new["rope_scaling"]
    assert model_arguments(new) == model_arguments(config())


def test_absent_head_dim_and_groups_follow_from_the_heads():
    small = config(head_dim=None, num_key_value_heads=None)
    flags = as_mapping(model_arguments(small))
    assert (flags["--kv-channels"], flags["--num-query-groups"]) == ("80", "32")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model_type": "qwen3_moe"}, "qwen3_moe"),
        ({"model_type": "llama"}, "llama"),
        ({"attention_bias": True}, "attention_bias"),
        ({"use_sliding_window": True}, "sliding"),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 4}}, "yarn"),
        ({"rope_parameters": {"rope_type": "linear", "rope_theta": 1e6}}, "linear"),
        ({"rope_theta": 1000000.5}, "whole number"),
        ({"hidden_act": "gelu"}, "gelu"),
    ],
)
def test_what_the_flags_cannot_say_is_refused(changes, said):
    with pytest.raises(ModelConfigError, match=said):
        model_arguments(config(**changes))


def test_a_missing_key_is_named():
    broken = config()
    del broken["intermediate_size"]
    with pytest.raises(ModelConfigError, match="intermediate_size"):
        model_arguments(broken)


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


def test_a_folder_without_a_model(tmp_path):
    with pytest.raises(ModelConfigError, match="not a Hugging Face model folder"):
        read_config(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": ')
    with pytest.raises(ModelConfigError, match="not valid JSON"):
        read_config(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(config()))
    assert read_config(tmp_path)["model_type"] == "qwen3"


@pytest.mark.skipif("SLIME_HOME" not in os.environ, reason="needs slime's source folder")
@pytest.mark.parametrize("name", SIZES)
def test_slimes_own_scripts_agree(name):
    scripts = Path(os.environ["SLIME_HOME"]) / "scripts" / "models"
    assert check_against_slime(config(name), scripts, name).lower() == name.lower()
