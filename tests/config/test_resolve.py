"""Configuration: presets, precedence, coercion, and mistakes reworded for people."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from tau2_agent.config.backend import Backend
from tau2_agent.config.fields import find
from tau2_agent.config.layers import ConfigError, load_preset, merge
from tau2_agent.config.resolve import Resolved, resolve
from tau2_agent.config.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
PRESETS = ROOT / "presets"
PRESET_NAMES = sorted(path.stem for path in PRESETS.glob("*.yaml"))


def on_cpu(wanted: str, wanted_by: str) -> Backend:
    return Backend("cpu" if wanted == "auto" else wanted, wanted_by)


def settle(*layers: dict[str, Any], choose=on_cpu) -> Resolved:
    names = ("config.yaml", "mine.yaml", "--config")
    return resolve(list(zip(names, layers, strict=False)), PRESETS, choose)


@pytest.mark.parametrize(
    ("layer", "asked"),
    [
        ({}, ("auto", "backend in the configuration")),
        ({"backend": "slime"}, ("slime", "backend in the configuration")),
        ({"preset": "demo"}, ("cpu", "preset demo")),
        ({"preset": "qwen3-4b"}, ("slime", "preset qwen3-4b")),
        ({"preset": "demo", "backend": "cpu"}, ("cpu", "backend in the configuration")),
    ],
)
def test_a_backend_is_chosen_for_who_wants_it(layer, asked):
    wishes = []

    def choose(*wish):
        wishes.append(wish)
        return on_cpu(*wish)

    found = settle(layer, choose=choose)
    assert wishes == [asked] and found.backend.reason == asked[1]


def mistakes(*layers: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        settle(*layers)
    return str(caught.value)


@pytest.mark.parametrize("limit", [0, 1, 2, 3])
def test_turns_come_in_a_row_only_if_they_are_two(limit):
    layer = {"grpo": {"repeat_limit": limit}}
    if limit == 1:
        assert "grpo.repeat_limit is 1 " in mistakes(layer)
    else:
        assert settle(layer).config["grpo"]["repeat_limit"] == limit


# --- what is shipped -----------------------------------------------------------------------------


@pytest.mark.parametrize("preset", PRESET_NAMES)
def test_every_preset_is_complete_and_without_mistakes(preset: str) -> None:
    settings = settle({"preset": preset})
    assert settings.preset == preset
    assert settings.backend.name == load_preset(preset, PRESETS)["backend"]


def test_shipped_config_changes_nothing() -> None:
    shipped = yaml.safe_load((ROOT / "config.yaml").read_text())
    assert settle(shipped) == settle({})


# --- precedence ----------------------------------------------------------------------------------


def test_later_layers_win_key_by_key() -> None:
    config = settle(
        {"grpo": {"lr": 0.1, "rollouts": 7}}, {"grpo": {"lr": 0.2}}, {"grpo": {"kl_coef": 0.5}}
    ).config
    assert (config["grpo"]["lr"], config["grpo"]["rollouts"], config["grpo"]["kl_coef"]) == (
        0.2,
        7,
        0.5,
    )
    preset = load_preset("demo", PRESETS)
    assert config["grpo"]["samples_per_prompt"] == preset["grpo"]["samples_per_prompt"]


def test_lists_replace() -> None:
    config = settle(
        {"evaluation": {"splits": ["test", "train"]}}, {"evaluation": {"splits": ["test"]}}
    )
    assert config.config["evaluation"]["splits"] == ["test"]


def test_section_with_everything_commented_out_is_no_value() -> None:
    assert settle({"sft": None}) == settle({})
    assert settle({"runs": None}) == settle({})
    assert settle({}, {}, {"sft": "null"}) == settle({})  # as --config says it


@pytest.mark.parametrize("word", ["null", "~", None])
@pytest.mark.parametrize("key", ["model.name", "slime.extra_args", "grpo.lr", "prompt"])
def test_null_on_the_command_line_is_no_text(key, word) -> None:
    section, _, name = key.rpartition(".")
    given = {section: {name: word}} if section else {name: word}
    assert mistakes({}, {}, given).startswith(f"--config: {key} is null (")


@pytest.mark.parametrize(("backend", "shown"), [(["cpu"], "['cpu']"), (None, "null"), (3, "3")])
def test_a_wrong_backend_of_a_preset_is_that_preset_s(tmp_path, backend, shown) -> None:
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"backend": backend}))
    with pytest.raises(ConfigError) as caught:
        resolve([("config.yaml", {"preset": "mine", "backend": "auto"})], tmp_path, on_cpu)
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"presets/mine.yaml: backend is {shown} (")


def test_preset_follows_the_backend_and_the_backend_the_preset() -> None:
    assert settle({}).preset == "demo"
    assert settle({"backend": "slime"}).preset == "qwen3-4b"
    assert settle({"preset": "gpu-smoke"}).backend.name == "slime"
    assert "preset gpu-smoke" in settle({"preset": "gpu-smoke"}).backend.reason
    assert settle({}).origins["preset"] == "the preset of backend cpu"


def test_extending_preset_lies_over_its_parent() -> None:
    parent, child = load_preset("qwen3-4b", PRESETS), load_preset("qwen3-4b-8gpu", PRESETS)
    assert child["resources"]["gpus"] == 8
    assert child["grpo"] == parent["grpo"]


def test_presets_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("extends: b")
    (tmp_path / "b.yaml").write_text("extends: a")
    with pytest.raises(ConfigError, match="circle: a -> b -> a"):
        load_preset("a", tmp_path)


def test_merge_leaves_its_arguments_alone() -> None:
    low, high = {"a": {"b": [1]}}, {"a": {"c": 2}}
    before = copy.deepcopy((low, high))
    merge(low, high)["a"]["b"].append(3)
    assert (low, high) == before


# --- coercion ------------------------------------------------------------------------------------


def test_number_that_yaml_reads_as_text() -> None:
    assert yaml.safe_load("lr: 1e-6") == {"lr": "1e-6"}
    assert settle({"grpo": {"lr": "1e-6"}}).config["grpo"]["lr"] == 1e-6


def test_texts_of_the_command_line() -> None:
    config = settle(
        {},
        {},
        {
            "seed": "3",
            "model": {"revision": "null"},
            "grpo": {"rollouts": "1e2", "scale_by_group_std": "True", "kl_coef": "0"},
            "sft": {"epochs": 4.0},
            "evaluation": {"keep_tokens": " False"},
        },
    ).config
    assert config["evaluation"]["keep_tokens"] is False
    assert config["seed"] == 3
    assert config["model"]["revision"] is None
    assert (config["grpo"]["rollouts"], config["grpo"]["scale_by_group_std"]) == (100, True)
    assert config["sft"]["epochs"] == 4 and isinstance(config["sft"]["epochs"], int)


def test_options_of_the_command_line_are_read_as_yaml_those_of_a_file_stay() -> None:
    texts = {
        "top_p": "0.9",
        "top_k": "2",
        "seed": "null",
        "extra": {"think": "false", "stop": ["5"]},
    }
    broken = {"a": "[x", "b": "a: b: c", "c": "2026-11-22", "d": "low"}
    read = {"top_p": 0.9, "top_k": 2, "seed": None, "extra": {"think": False, "stop": [5]}}
    config = settle({}, {}, {"user": {"options": texts | broken}}).config
    assert config["user"]["options"] == read | broken
    assert settle({"user": {"options": texts}}).config["user"]["options"] == texts
    # Everywhere else the schema says what is meant.
    revision = {"model": {"name": "x", "source": "a/b", "revision": "123"}}
    assert settle({}, {}, revision).config["model"]["revision"] == "123"


def test_preset_as_a_value_leaves_the_key_to_the_preset() -> None:
    preset = load_preset("demo", PRESETS)
    assert settle({"grpo": {"lr": "preset"}, "prompt": "preset"}) == settle({})
    config = settle({"grpo": {"lr": 0.1, "rollouts": 7}}, {}, {"grpo": {"lr": "preset"}}).config
    assert (config["grpo"]["lr"], config["grpo"]["rollouts"]) == (preset["grpo"]["lr"], 7)
    config = settle({"grpo": {"lr": "preset"}}, {"grpo": {"lr": 0.2}}).config
    assert config["grpo"]["lr"] == 0.2
    options = {"user": {"options": {"x": "preset"}}}  # not a key of ours
    assert settle(options).config["user"]["options"] == {"x": "preset"}
    deep = {"reward": {"weights": {"action": "preset"}}}
    assert settle({"reward": 3}, deep) == settle({})


def test_what_is_handed_over_stays_as_it_is() -> None:
    layers = [{"grpo": {"lr": 0.1, "rollouts": "7"}, "sft": None}, {"grpo": {"lr": "preset"}}]
    before = copy.deepcopy(layers)
    settle(*layers)
    assert layers == before


# --- mistakes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "parts"),
    [
        ({"grop": {}}, ["config.yaml: unknown key grop", "did you mean grpo?"]),
        (
            {"grpo": {"checkpoint": "best", "validation_every": 3}},
            ["grpo.validation_every 3", "must be a multiple of grpo.save_rollouts 2"],
        ),
        (
            {"grpo": {"checkpoint": "best", "validation_every": 0}},
            ["grpo.checkpoint best", "set that to a multiple of grpo.save_rollouts 2"],
        ),
        (
            {"tasks": {"sft": "extra"}},
            ["tasks.sft extra holds extra_dev", "set grpo.validation_every to 0"],
        ),
        ({"grpo": {"learning_rate": 1}}, ["unknown key grpo.learning_rate", "Valid: lr,"]),
        (
            {"grpo": {"std": True}},
            ["config.yaml: grpo.std is now called grpo.scale_by_group_std; rename it"],
        ),
        ({"sft": {"response_length": 5}}, ["sft.response_length is gone", "take it out"]),
        ({"lr": 1}, ["unknown key lr", "did you mean sft.lr or rejection_sampling.lr or grpo.lr?"]),
        (
            {"grpo": {"lr": "fast"}},
            ["grpo.lr is 'fast'", "must be a number, such as 0.1 or 1.0e-6"],
        ),
        ({"grpo": {"lr": 0}}, ["grpo.lr is 0", "more than 0"]),
        ({"grpo": {"rollouts": 2.5}}, ["grpo.rollouts is 2.5", "must be a whole number"]),
        ({"grpo": {"rollouts": True}}, ["grpo.rollouts is true", "must be a whole number"]),
        ({"grpo": {"samples_per_prompt": 1}}, ["at least 2"]),
        ({"grpo": 3}, ["grpo is 3", "must be a section of keys"]),
        ({"sft": {"warmup_ratio": 2}}, ["sft.warmup_ratio is 2", "at most 1"]),
        ({"prompt": "long"}, ["prompt is 'long'", "Valid: tau2, tau2-owners, short"]),
        ({"tasks": {"sft": "tets"}}, ["tasks.sft is 'tets'", "did you mean test?"]),
        (
            {"evaluation": {"splits": ["test", "tran"]}},
            ["evaluation.splits has the entry 'tran'", "did you mean train?"],
        ),
        ({"evaluation": {"splits": "test"}}, ["must be a list, such as [test]"]),
        ({"evaluation": {"splits": []}}, ["a list with at least 1 entry"]),
        ({"evaluation": {"splits": ["test", "test"]}}, ["stands there twice"]),
        ({"evaluation": {"num_tasks": 0}}, ["evaluation.num_tasks is 0", "-1 (all) or at least 1"]),
        ({"model": {"name": "a/b"}}, ["model.name is 'a/b'", "letters, digits, dots and dashes"]),
        ({"preset": "qwen"}, ["config.yaml: preset 'qwen' is not there", "qwen3-4b"]),
        ({"preset": "../presets/demo"}, ["preset '../presets/demo' is not there"]),
        ({"grpo.lr": 1}, ["config.yaml: grpo.lr is a key in a section: write grpo: {lr: …}"]),
        ({"backend": "gpu"}, ["backend is 'gpu'", "auto, slime, cpu"]),
        ({"sft": {"steps": 3}}, ["and sft.steps is 3; set one", "null"]),
        ({"sft": {"steps": 3, "epochs": None}}, ["the cpu backend counts epochs"]),
        (
            {"grpo": {"max_new_tokens": 500, "context_length": 500}},
            ["grpo.max_new_tokens 500 leaves no room for a prompt", "lower the first"],
        ),
        (
            {"grpo": {"context_length": 9000}, "model": {"context_length": 4096}},
            ["grpo.context_length 9000 is more than model.context_length 4096"],
        ),
        ({"model": {"hidden_size": 100, "heads": 3}}, ["no multiple of twice model.heads 3"]),
        ({"model": {"source": "Qwen/Qwen3-0.6B"}}, ["pin model.revision"]),
        ({"model": {"chat_template": "hermse"}}, ["hermse is no template file", "hermes, llama3"]),
        ({"model": {"max_positions": 9000}}, ["as many positions as model.context_length"]),
        (
            {"reward": {"weights": {"action": 0, "communicate": 0, "assertion": 0}}},
            ["reward.weights are all 0"],
        ),
        (
            {"preset": "qwen3-4b", "resources": {"gpus": 3}},
            ["resources.gpus × nodes = 3 is no multiple of 2", "slime.tensor_parallel"],
        ),
        (
            {"preset": "qwen3-4b-8gpu", "sft": {"batch_size": 6}},
            ["sft.batch_size = 6", "4 replicas", "make it a multiple of 4"],
        ),
        (
            {"preset": "qwen3-4b", "grpo": {"over_sampling_groups": 9}},
            ["grpo.over_sampling_groups 9", "of the 8 groups", "raise the second"],
        ),
        (
            {"preset": "qwen3-4b", "grpo": {"over_sampling_groups": 1, "dynamic_sampling": False}},
            ["grpo.over_sampling_groups 1", "of the 0 groups"],
        ),
        (
            {"preset": "qwen3-4b", "grpo": {"updates_per_rollout": 5}},
            ["grpo.updates_per_rollout 5 does not divide", "32"],
        ),
        (
            {"preset": "qwen3-4b-8gpu", "grpo": {"updates_per_rollout": 16}},
            [
                "grpo.prompts_per_rollout × samples_per_prompt / updates_per_rollout = 2",
                "4 replicas",
            ],
        ),
        (
            {"grpo": {"micro_batch_size": 5, "prompts_per_rollout": 8, "samples_per_prompt": 4}},
            ["grpo.micro_batch_size 5 does not divide", "= 32; take a divisor"],
        ),
        ({"grpo": {"lr": float("inf")}}, ["grpo.lr is inf", "must be a finite number"]),
        ({"grpo": {"lr": "1e999"}}, ["grpo.lr is '1e999'", "must be a finite number"]),
        ({"grpo": {"lr": 10**400}}, ["grpo.lr is 1000", "must be a"]),
        ({"sft": {"warmup_ratio": float("nan")}}, ["sft.warmup_ratio is nan", "finite number"]),
        ({"grpo": {"rollouts": float("inf")}}, ["grpo.rollouts is inf", "must be a"]),
        ({"user": {"options": {"top": {"p": [float("inf")]}}}}, ["inf is no finite number"]),
        ({"user": {"price": {"input": 0, "output": float("nan")}}}, ["must be a finite number"]),
        ({"seed": 2**32}, ["seed is 4294967296", "at most 4294967295"]),
        ({"seed": -1}, ["seed is -1", "at least 0"]),
        ({"seed": True}, ["seed is true", "must be a whole number"]),
        ({"grpo": {"lr": True}}, ["grpo.lr is true", "must be a number"]),
        ({"grpo": {"dynamic_sampling": 1}}, ["must be true or false"]),
        ({"grpo": {"dynamic_sampling": "yes"}}, ["is 'yes'", "must be true or false"]),
        ({"grpo": {"lr": None}}, ["config.yaml: grpo.lr is null", "must be a number"]),
        ({"grpo": {"lr": [1]}}, ["grpo.lr is [1]", "must be a number"]),
        ({"model": {"name": 4}}, ["model.name is 4", "must be text"]),
        ({"model": {"name": "a\n"}}, ["letters, digits, dots and dashes"]),
        ({"model": {"source": ""}}, ["must be text that is not empty"]),
        ({"slime": {"extra_args": "--a 'b"}}, ["slime.extra_args is", "quotation mark is open"]),
        ({"slime": {"attention_backend": "flesh"}}, ["did you mean flash?"]),
        ({"slime": {"sglang_mem_fraction": 1}}, ["must be less than 1"]),
        ({"traces": {"teacher": "typo"}}, ["traces.teacher is 'typo'", "Valid: scripted, llm"]),
        ({"traces": {"teacher": ["llm"]}}, ["traces.teacher is ['llm']", "Valid: scripted, llm"]),
        ({"user": {"simulator": "lmm"}}, ["user.simulator is 'lmm'", "does not exist"]),
        ({"user": {"simulator": {"llm": float("inf")}}}, ["the share of llm is inf"]),
        ({"evaluation": {"user": 3}}, ["evaluation.user is 3", "must be a name, or a section"]),
        ({"evaluation": {"compare_with": ["rl"]}}, ["has the entry 'rl'", "Valid: base, sft"]),
        (
            {"rejection_sampling": {"samples_per_task": 2, "keep_per_task": 3}},
            ["keep_per_task 3 is more than rejection_sampling.samples_per_task 2", "lower the"],
        ),
        (
            {"rejection_sampling": {"issues": "balanced"}},
            ["rejection_sampling.num_tasks -1 plays all; set a number, or proportional"],
        ),
        (
            {"rejection_sampling": {"epochs": 2, "steps": 3}},
            ["rejection_sampling.epochs is 2 and rejection_sampling.steps is 3; set one of them"],
        ),
        ({"rejection_sampling": {"steps": 3}}, ["the cpu backend counts epochs; set rejection_"]),
        ({"rejection_sampling": {"start_from": "rl"}}, ["start_from is 'rl'", "Valid: base, sft"]),
        ({"rejection_sampling": {"min_partial": 1.5}}, ["rejection_sampling.min_partial is 1.5"]),
        ({"tasks": {"rejection_sampling": "tests"}}, ["did you mean test?"]),
        ({"tracking": {"tool": "wandbb"}}, ["did you mean wandb?"]),
        ({"runs": ["a"]}, ["runs is ['a']", "must be a section of keys"]),
        ({"runs": {"a": 3}}, ["runs.a is 3", "must be a section of keys"]),
        ({"GRPO": {"lr": 1}}, ["unknown key GRPO; did you mean grpo?"]),
        ({"grpo": {"LR": 1}}, ["unknown key grpo.LR; did you mean", "lr? Valid"]),
        ({5: 1}, ["unknown key 5"]),
        ({"grpo": {5: 1}}, ["unknown key grpo.5"]),
        ({"evaluation": {"sglang_port": 30000}}, ["set it to null for backend cpu"]),
        ({"traces": {"teacher": "llm"}}, ["traces.teacher llm needs traces.model"]),
        ({"traces": {"teacher": "hub", "source": "a/b"}}, ["needs traces.revision"]),
        (
            {"traces": {"model": "gemini/gemini-2.5-flash"}},
            ["traces.model goes with traces.teacher llm, not with scripted"],
        ),
        (
            {"traces": {"wordings": 4}},
            ["as many equal traces of each task", "user.phrasing to train"],
        ),
        (
            {"traces": {"teacher": "llm", "model": "openai/x", "wordings": 4}},
            ["traces.wordings 4 goes with a scripted teacher"],
        ),
        (
            {"user": {"simulator": "llm", "phrasing": "train"}, "traces": {"wordings": 4}},
            ["traces.wordings 4 goes with a scripted teacher and a scripted user"],
        ),
        ({"traces": {"price": {"input": 1}}}, ["traces.price.output has no value; set it"]),
        ({"traces": {"price": {"input": 1, "output": "dear"}}}, ["traces.price.output is 'dear'"]),
        (
            {"traces": {"teacher": "file", "source": "x", "max_length": 9000}},
            ["traces.max_length 9000 lets traces pass", "set it to null"],
        ),
    ],
)
def test_mistake_names_key_value_and_remedy(layer: dict[str, Any], parts: list[str]) -> None:
    message = mistakes(layer)
    for part in parts:
        assert part in message


def test_a_mistake_is_one_line_from_its_file_to_its_remedy() -> None:
    line = mistakes({"evaluation": {"num_tasks": 0}})
    about = find(Settings, ["evaluation", "num_tasks"]).description
    wanted = "but it must be -1 (all) or at least 1"
    assert line == f"config.yaml: evaluation.num_tasks is 0 ({about}), {wanted}"
    assert mistakes({}, {"preset": "qwen"}).startswith("mine.yaml: preset 'qwen' is not there; ")


def test_mistakes_are_reported_together_with_their_files() -> None:
    message = mistakes({"grop": {}}, {"prompt": "long"}, {"seed": -1})
    assert {line.split(": ")[0] for line in message.splitlines()} == {
        "config.yaml",
        "mine.yaml",
        "--config",
    }


def test_key_without_a_value_is_named(tmp_path: Path) -> None:
    (tmp_path / "demo.yaml").write_text("backend: cpu")
    with pytest.raises(ConfigError, match=r"grpo.lr has no value; set it"):
        resolve([("config.yaml", {})], tmp_path, on_cpu)
