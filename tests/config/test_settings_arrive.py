"""Each setting reaches the programs of its stages: changed alone, it is an option of theirs.

A key without a stage's option stands in OTHERWISE with where it is tested instead; a new one fails.
What a program does with its options is in tests/programs/test_options_arrive.py.
"""

from __future__ import annotations

import argparse
import importlib
import json
import shlex
from functools import cache
from typing import Any

import pytest
from changed_settings import (
    BESIDE,
    HUB,
    PRESETS,
    TEACHER,
    VALUES,
    another,
    config_of,
    presets,
    run_of,
    value_at,
    with_value,
)

from tau2_agent.config import run_flags, stage_flags
from tau2_agent.config.fields import leaves
from tau2_agent.config.settings import Settings
from tau2_agent.config.settings_players import LanguageModel
from tau2_agent.config.stage_files import stage_files

SFT, GRPO = ("train_sft_trl", "train_sft_slime"), ("train_grpo_trl", "train_grpo_slime")
PLAYS = (*GRPO, "evaluate_tau2", "rejection_sampling")
# Section, or key -> the programs that have an option for it.
PROGRAMS: dict[str, tuple[str, ...]] = {
    "seed": ("base_model", *SFT, *PLAYS),
    "prompt": ("teacher_traces", "import_traces", *SFT, *PLAYS),
    "model": ("base_model",),
    "user": ("teacher_traces", *PLAYS),
    "traces": ("teacher_traces", "import_traces"),
    "sft": SFT,
    "rejection_sampling": ("rejection_sampling",),
    "grpo": GRPO,
    **{
        f"grpo.{limit}": (*GRPO, "rejection_sampling")
        for limit in ("max_new_tokens", "context_length", "max_steps", "repeat_limit")
    },
    "reward": PLAYS,
    "evaluation": ("evaluate_tau2",),
    "slime": (*SFT, *GRPO),
    "slime.tensor_parallel": (*SFT, *GRPO, "evaluate_tau2", "rejection_sampling"),
    "slime.convert_args": ("convert_checkpoint",),
    "slime.server_args": ("evaluate_tau2", "rejection_sampling"),
    "resources": (*SFT, *GRPO),
    "tracking": (*SFT, *GRPO),
}
# Options with another name than their key's.
NAMES = {
    "user.simulator": "user",
    "evaluation.user": "user",
    "evaluation.phrasing": "user_phrasing",
    "slime.convert_args": "extra_args",
    "rejection_sampling.samples_per_task": "trials",
    "tracking.tool": "tracking",
    "tracking.project": "wandb_project",
    "tracking.offline": "wandb_mode",
    **{f"reward.weights.{kind}": "weights" for kind in ("action", "communicate", "assertion")},
}
FILES = "which files: test_stages.py, tests/workflow"
OTHERWISE = {
    **dict.fromkeys(["backend", "preset", "runs"], "which settings: test_resolve, test_sweeps"),
    **dict.fromkeys(["model.name", "tasks.sft", "tasks.grpo", "tasks.held_out"], FILES),
    "tasks.rejection_sampling": FILES,
    **dict.fromkeys(["tasks.in_sample"], "of the leak gate: tests/workflow/test_pipeline.py"),
    **dict.fromkeys(["evaluation.splits", "evaluation.compare_with"], FILES),
    **dict.fromkeys(["resources.threads", "resources.container"], "of the job: tests/workflow"),
    **dict.fromkeys(["resources.memory_gb", "resources.time_limit_hours"], "test_stages.py"),
    "user.serve": "a server beside the job: test_stages.py",
    "user.price": "two numbers: test_program_options.py",
    "traces.price": "two numbers: test_stages.py",
    "rejection_sampling.lr": "of the second SFT: below",
    "rejection_sampling.epochs": "of the second SFT: below",
    "rejection_sampling.steps": "of the second SFT: below",
    "rejection_sampling.teacher_traces": "which files: below",
    "rejection_sampling.start_from": FILES,
}


@cache
def parser_of(program: str) -> argparse.ArgumentParser:
    """A program's parser, without the duty to name files."""

    def keep(parser: argparse.ArgumentParser, *_: Any) -> None:
        raise Made(parser)

    class Made(Exception):
        pass

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "parse_args", keep)
        with pytest.raises(Made) as made:
            importlib.import_module(program).main()
    parser = made.value.args[0]
    for action in parser._actions:
        action.required = False
    return parser


def told(config: dict[str, Any]) -> dict[str, argparse.Namespace]:
    """Program -> the options that the workflow gives it."""
    slime = config["backend"] == "slime"
    both = {
        "teacher_traces": stage_flags.traces(config, "MODEL"),
        SFT[slime]: stage_flags.sft(config),
        GRPO[slime]: stage_flags.grpo(config),
        "evaluate_tau2": stage_flags.evaluation(config),
        "rejection_sampling": stage_flags.rejection_sampling(config),
    }
    if config["traces"]["teacher"] in ("hub", "file"):
        both["import_traces"] = both.pop("teacher_traces")
    words = {program: f"{flags.flags} {flags.untracked}" for program, flags in both.items()}
    if config["model"]["source"] == "demo" or config["model"]["revision"]:
        words["base_model"] = stage_flags.base_model(config, "TRACES")
    if slime:
        words["convert_checkpoint"] = " ".join(stage_flags.conversion(config))
    return {name: parser_of(name).parse_args(shlex.split(text)) for name, text in words.items()}


def wanted(key: str, config: dict[str, Any]) -> Any:
    """The value that an option must have."""
    if key.startswith("reward.weights."):
        weights = config["reward"]["weights"]
        return tuple(weights[kind] for kind in ("action", "communicate", "assertion"))
    if key == "tracking.offline":
        return "offline" if value_at(config, key) else "online"
    return value_at(config, key)


KEYS = dict(leaves(Settings))


@pytest.mark.parametrize("key", [key for key in KEYS if key not in OTHERWISE])
def test_a_setting_is_an_option_of_its_stages(key) -> None:
    programs = PROGRAMS.get(key) or PROGRAMS[key.split(".")[0]]
    name = NAMES.get(key, key.rpartition(".")[2])
    if key.startswith("user.") and key != "user.simulator":
        name = f"user_{name}"
    if key.startswith("traces.") and name in LanguageModel.model_fields:
        name = f"teacher_{name}"
    arrived = []
    for preset in presets(key):
        now = value_at(config_of(preset, {}), key)
        changed = config_of(
            preset, with_value(BESIDE.get(key, {}), key, another(key, KEYS[key], now))
        )
        assert value_at(changed, key) != now
        for program, options in told(changed).items():
            if key == "seed" and program == "base_model" and options.source != "demo":
                continue  # weights that were downloaded are not drawn
            if program in programs and hasattr(options, name):
                assert getattr(options, name) == wanted(key, changed), (preset, program)
                arrived.append(program)
    assert arrived


def test_exemptions_are_keys() -> None:
    assert set(OTHERWISE) | set(VALUES) | set(BESIDE) <= set(KEYS)


def test_the_second_sft_has_its_own_length_and_rate() -> None:
    own = {"rejection_sampling": {"samples_per_task": 2, "lr": 7e-6, "steps": 9}}
    options = parser_of("train_sft_slime").parse_args(
        shlex.split(stage_flags.rejection_sft(config_of("qwen3-4b", own)).flags)
    )
    assert (options.lr, options.steps) == (7e-6, 9)


ASKED = {
    "user": {"simulator": "llm", "max_tokens": 7, "temperature": 0.3},
    "evaluation": {"sglang_port": 31, "context_length": 9000},
    "sft": {"max_length": 4000},
    "grpo": {"context_length": 8000},
    "slime": {
        **{"tensor_parallel": 2, "pipeline_parallel": 2, "context_parallel": 2},
        **{"max_tokens_per_gpu": 8192, "optimizer_offload": True},
        **{"extra_args": "--a 1", "convert_args": "--b 2", "server_args": "--c 3"},
    },
    "resources": {"gpus": 8, "nodes": 2, "keep_checkpoints": 5},
}


def test_preflight_is_asked_for_what_will_run() -> None:
    run = run_of("qwen3-4b", ASKED)
    config, files = run.settings.config, stage_files(run)
    told = parser_of("preflight").parse_args(shlex.split(run_flags.preflight(config, files)))
    for section, names in {
        "slime": "tensor_parallel pipeline_parallel context_parallel expert_parallel"
        " max_tokens_per_gpu optimizer_offload extra_args convert_args server_args",
        "resources": "gpus nodes keep_checkpoints",
    }.items():
        for name in names.split():
            assert getattr(told, name) == config[section][name], name
    assert (told.backend, told.port) == ("slime", 31)
    assert (told.source, str(told.model)) == (config["model"]["source"], files.models["base"])
    assert (told.context_length, told.sample_length) == (9000, 8000)
    assert [str(path) for path in told.checkpoints] == [files.models["sft"], files.models["rl"]]
    assert str(told.data[-1]) == files.traces
    assert str(told.data[0]) == "data/telecom_train_tasks.jsonl"
    (asked,) = told.ask
    section, _, values = asked.partition("=")
    assert section == "user"
    found = json.loads(values)
    assert found == {key: config["user"][key] for key in LanguageModel.model_fields}
    assert (found["max_tokens"], found["temperature"]) == (7, 0.3)
    both = config_of("qwen3-4b", {**ASKED, **TEACHER})
    told = parser_of("preflight").parse_args(shlex.split(run_flags.preflight(both, files)))
    assert [one.partition("=")[0] for one in told.ask] == ["user", "traces"]
    assert json.loads(told.ask[1].partition("=")[2])["model"] == "openai/x"
    long = {"evaluation": {"context_length": 2000}, "sft": {"max_length": 9500}}
    config = config_of("qwen3-4b", {**ASKED, **long})
    told = parser_of("preflight").parse_args(shlex.split(run_flags.preflight(config, files)))
    assert (told.context_length, told.sample_length) == (9500, 9500)


def test_preflight_of_the_demo_asks_for_no_gpu() -> None:
    run = run_of("demo", {"resources": {"keep_checkpoints": 4}})
    words = shlex.split(run_flags.preflight(run.settings.config, stage_files(run)))
    told = parser_of("preflight").parse_args(words)
    assert (told.backend, told.source, told.port, told.ask) == ("cpu", None, None, [])
    assert told.keep_checkpoints == 4 and not {"--gpus", "--tensor-parallel"} & set(words)


@pytest.mark.parametrize(
    ("values", "teacher", "user"),
    [
        ({}, "the scripted teacher", "the scripted user"),
        (TEACHER, "the language model openai/x", "the scripted user"),
        (HUB, "other people (some/traces on the hub)", "the scripted user"),
        (
            {"traces": {"teacher": "file", "source": str(PRESETS)}},
            f"other people ({PRESETS})",
            "the scripted user",
        ),
        (
            {"user": {"simulator": "llm", "model": "openai/y"}},
            "the scripted teacher",
            "the language model openai/y",
        ),
    ],
)
def test_cards_say_who_made_the_traces(values, teacher, user) -> None:
    config = config_of("qwen3-4b", values)
    told = parser_of("make_cards").parse_args(shlex.split(run_flags.cards(config)))
    assert (told.teacher, told.user) == (teacher, user)
    assert (told.base, told.revision) == (config["model"]["source"], config["model"]["revision"])
