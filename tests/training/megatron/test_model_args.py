"""Megatron's arguments and the number of weights, from config.json, for every family."""

import json

import pytest
from model_configs import LLAMA, QWEN2, QWEN3, QWEN3_MOE, SIZES, config
from transformers import AutoConfig

from tau2_agent.training.megatron.model_args import (
    NEEDED,
    ModelConfigError,
    model_arguments,
    moe_layers,
    read_config,
)
from tau2_agent.training.megatron.model_size import (
    expert_parameters,
    parameter_count,
    parameters_on_a_gpu,
)
from tau2_agent.training.slime.model_scripts import as_mapping

SUPPORTED = [name for name in SIZES if name != "Llama-3.2-1B-Instruct"]


@pytest.mark.parametrize("name", SUPPORTED)
def test_every_size(name):
    layers, hidden, ffn, heads, groups, tied, base, _ = SIZES[name]
    flags = as_mapping(model_arguments(config(name)))
    assert flags["--num-layers"] == str(layers)
    assert flags["--hidden-size"] == str(hidden)
    assert flags["--ffn-hidden-size"] == str(ffn)
    assert flags["--num-attention-heads"] == str(heads)
    assert flags["--num-query-groups"] == str(groups)
    assert flags["--rotary-base"] == str(base)
    assert int(flags["--vocab-size"]) == config(name)["vocab_size"]
    assert float(flags["--norm-epsilon"]) == config(name)["rms_norm_eps"]
    assert ("--untie-embeddings-and-output-weights" in flags) is not tied
    assert {"--swiglu", "--disable-bias-linear"} <= set(flags)


@pytest.mark.parametrize("name", SIZES)
def test_the_number_of_weights_is_the_hubs(name):
    assert parameter_count(config(name)) == SIZES[name][-1]


@pytest.mark.parametrize(
    ("names", "has"),
    [
        (LLAMA, set()),
        (QWEN2, {"--add-qkv-bias"}),
        (QWEN3, {"--qk-layernorm"}),
        (QWEN3_MOE, {"--qk-layernorm"}),
    ],
)
def test_each_family_has_its_own_attention(names, has):
    for name in set(names) & set(SUPPORTED):
        flags = set(model_arguments(config(name)))
        assert flags & {"--add-qkv-bias", "--qk-layernorm"} == has
        assert ("--use-rope-scaling" in flags) == (name == "Llama-3.1-8B-Instruct")
        assert ("--num-experts" in flags) == (names is QWEN3_MOE)


def test_the_width_of_a_head_is_the_models_or_follows_from_the_heads():
    assert as_mapping(model_arguments(config("Qwen3-0.6B")))["--kv-channels"] == "128"
    small = config(head_dim=None, num_key_value_heads=None)
    flags = as_mapping(model_arguments(small))
    assert (flags["--kv-channels"], flags["--num-query-groups"]) == ("80", "32")


def test_both_generations_of_transformers_say_the_same():
    new = config(rope_theta=None, rope_parameters={"rope_type": "default", "rope_theta": 5e6})
    del new["rope_theta"], new["rope_scaling"]
    assert model_arguments(new) == model_arguments(config())
    old = config("Llama-3.1-8B-Instruct")
    new = {**old, "rope_parameters": {**old["rope_scaling"], "rope_theta": 5e5}}
    del new["rope_theta"], new["rope_scaling"]
    assert model_arguments(new) == model_arguments(old)


# --- mixtures of experts


def test_experts():
    flags = as_mapping(model_arguments(config("Qwen3-30B-A3B")))
    assert (flags["--num-experts"], flags["--moe-router-topk"]) == ("128", "8")
    assert flags["--moe-ffn-hidden-size"] == "768"
    assert flags["--moe-layer-freq"] == f"[{','.join('1' * 48)}]"
    assert {"--moe-grouped-gemm", "--moe-permute-fusion"} <= set(flags)


def test_dense_layers_among_the_experts():
    mixed = config("Qwen3-30B-A3B", num_hidden_layers=6, mlp_only_layers=[1], decoder_sparse_step=2)
    assert moe_layers(mixed) == [0, 0, 0, 1, 0, 1]
    all_sparse = config("Qwen3-30B-A3B", num_hidden_layers=6)
    one_mlp, one_layer = 3 * 2048 * 6144, 3 * 2048 * 768 * 128 + 2048 * 128
    assert parameter_count(all_sparse) - parameter_count(mixed) == 4 * (one_layer - one_mlp)


def test_experts_are_shared_by_expert_parallelism_the_rest_by_tensor_parallelism():
    moe = config("Qwen3-30B-A3B")
    experts = expert_parameters(moe)
    assert experts / parameter_count(moe) == pytest.approx(0.95, abs=0.01)
    rest = parameter_count(moe) - experts
    assert parameters_on_a_gpu(moe, tensor=4, expert=8) == (rest / 4, experts / 8)
    assert parameters_on_a_gpu(config(), tensor=2, pipeline=2) == (parameter_count(config()) / 4, 0)


# --- refusals


PARTLY = {"rope_type": "default", "partial_rotary_factor": 0.5}


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("Qwen3-4B", {"model_type": "qwen3_next"}, "qwen3_next.*only llama, qwen2"),
        ("Qwen3-4B", {"model_type": "gemma3"}, "gemma3"),
        ("Qwen3-4B", {"attention_bias": True}, "attention_bias"),
        ("SmolLM2-135M-Instruct", {"attention_bias": True}, "attention_bias"),
        ("SmolLM2-135M-Instruct", {"mlp_bias": True}, "mlp_bias"),
        ("SmolLM2-135M-Instruct", {"rope_interleaved": True}, "rope_interleaved"),
        ("Qwen2.5-7B-Instruct", {"use_sliding_window": True}, "sliding"),
        ("Qwen2.5-7B-Instruct", {"layer_types": ["sliding_attention"] * 28}, "sliding"),
        ("Qwen2.5-7B-Instruct", {"use_mrope": True}, "mrope"),
        ("Qwen3-4B", {"quantization_config": {"quant_method": "fp8"}}, "quantization"),
        ("Qwen3-4B", {"rope_scaling": {"rope_type": "yarn", "factor": 4}}, "yarn"),
        ("Qwen3-4B", {"rope_parameters": {"rope_type": "linear", "rope_theta": 1e6}}, "linear"),
        ("Qwen3-4B", {"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, "llama3"),
        ("Qwen3-4B", {"rope_theta": 1000000.5}, "whole number"),
        ("Qwen3-4B", {"hidden_act": "gelu"}, "gelu"),
        ("Qwen3-4B", {"partial_rotary_factor": 0.5}, "partial_rotary_factor"),
        ("Qwen3-4B", {"rope_parameters": PARTLY}, "partial_rotary_factor"),
        ("Qwen3-4B", {"rope_parameters": {"rope_theta": 1e6, "factor": 4.0}}, "rope type None"),
        ("Qwen3-4B", {"rope_scaling": {"factor": 4.0}}, "rope type None"),
        ("Qwen3-4B", {"rope_scaling": "linear"}, "by no object"),
        ("Qwen3-4B", {"rope_parameters": {"rope_theta": 1e4}}, "two values of rope_theta, 10000"),
        ("Qwen3-4B", {"rope_theta": "1e6"}, "no rope_theta that is a number"),
        ("Qwen3-4B", {"rope_theta": float("inf")}, "whole number"),
        ("Qwen3-4B", {"layer_types": ["full_attention", "chunked_attention"]}, "chunked"),
        ("Qwen3-4B", {"compression_config": {"bits": 4}}, "quantization_config"),
        ("Qwen3-4B", {"num_key_value_heads": 5}, "32 attention heads for 5"),
        ("Qwen3-4B", {"rms_norm_eps": "1e-6"}, "rms_norm_eps '1e-6'"),
        ("SmolLM2-135M-Instruct", {"hidden_size": 577}, "9 heads do not share hidden_size 577"),
        ("Qwen3-30B-A3B", {"norm_topk_prob": False}, "norm_topk_prob"),
        ("Qwen3-30B-A3B", {"decoder_sparse_step": 0}, "decoder_sparse_step 0"),
        ("Qwen3-30B-A3B", {"num_experts": None}, "num_experts None"),
        ("Llama-3.2-1B-Instruct", {}, "factor 32.0.*slime hands on only.*takes 8"),
    ],
)
def test_what_the_flags_cannot_say_is_refused(name, changes, said):
    with pytest.raises(ModelConfigError, match=said):
        model_arguments(config(name, **changes))


@pytest.mark.parametrize(
    ("key", "value"), [("low_freq_factor", 2.0), ("original_max_position_embeddings", 4096)]
)
def test_another_scaling_than_llama_31s_is_refused(key, value):
    other = config("Llama-3.1-8B-Instruct")
    other["rope_scaling"] = {**other["rope_scaling"], key: value}
    with pytest.raises(ModelConfigError, match=key):
        model_arguments(other)


@pytest.mark.parametrize(
    ("name", "key"),
    [("Qwen3-4B", "intermediate_size"), ("Qwen3-30B-A3B", "moe_intermediate_size")],
)
def test_a_missing_key_is_named(name, key):
    broken = config(name)
    del broken[key]
    with pytest.raises(ModelConfigError, match=f"no {key}"):
        model_arguments(broken)


@pytest.mark.parametrize("value", [None, 0, -1, "36", 36.0, [36], True])
@pytest.mark.parametrize("key", [key for key in NEEDED if key != "rms_norm_eps"])
def test_what_is_no_number_of_anything_is_refused(key, value):
    with pytest.raises(ModelConfigError, match=f"has {key} .*no whole number above 0"):
        model_arguments(config(**{key: value}))


@pytest.mark.parametrize("name", ["SmolLM2-1.7B-Instruct", "Qwen3-0.6B", "Qwen3-30B-A3B"])
@pytest.mark.parametrize("left_out", [["head_dim"], ["num_key_value_heads"], ["mlp_only_layers"]])
def test_where_a_config_is_silent_transformers_defaults_hold(name, left_out):
    ours = config(name, num_attention_heads=32, hidden_size=2048)
    ours = {key: value for key, value in ours.items() if key not in left_out}
    theirs = AutoConfig.for_model(**ours)
    flags = as_mapping(model_arguments(ours))
    width = getattr(theirs, "head_dim", None) or 2048 // 32
    assert flags["--kv-channels"] == str(width)
    assert flags["--num-query-groups"] == str(theirs.num_key_value_heads)


@pytest.mark.parametrize("name", [name for name in SUPPORTED if "0.6B" in name or "7B" in name])
def test_what_transformers_saves_means_what_it_read(name, tmp_path):
    said = config(name, max_position_embeddings=32768)
    AutoConfig.for_model(**said).save_pretrained(tmp_path)
    assert model_arguments(read_config(tmp_path)) == model_arguments(said)


def test_what_transformers_saves_of_experts_and_scaled_positions(tmp_path):
    for name in ("Qwen3-30B-A3B", "Llama-3.1-8B-Instruct"):
        said = config(name, max_position_embeddings=131072)
        AutoConfig.for_model(**said).save_pretrained(tmp_path)
        saved = read_config(tmp_path)
        assert model_arguments(saved) == model_arguments(said)
        assert parameter_count(saved) == parameter_count(said)


def test_of_both_generations_keys_the_one_that_transformers_takes_counts():
    both = config(
        "Llama-3.1-8B-Instruct", rope_parameters={"rope_type": "default", "rope_theta": 500000.0}
    )
    assert AutoConfig.for_model(**both).rope_parameters["rope_type"] == "llama3"
    assert "--use-rope-scaling" in model_arguments(both)


def test_a_folder_without_a_model(tmp_path):
    with pytest.raises(ModelConfigError, match="not a Hugging Face model folder"):
        read_config(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": ')
    with pytest.raises(ModelConfigError, match="not valid JSON"):
        read_config(tmp_path)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(ModelConfigError, match="holds no JSON object"):
        read_config(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(config()))
    assert read_config(tmp_path)["model_type"] == "qwen3"
