"""Each option of a program reaches what acts on it: TRL, slime, an episode, a server, a model.

A program runs up to the point where it would train or play; `seen` is what it had made by then.
ARRIVES says for each option where it must be found and as what. An option without an entry fails.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from changed_options import changed
from model_configs import config as model_config

import generate_with_tau
from tau2_agent import cli
from tau2_agent.benchmark.tasks import split_ids
from tau2_agent.errors import PipelineError
from tau2_agent.evaluation import model_players, validation
from tau2_agent.training.slime.arguments import job_environment
from tau2_agent.training.slime.install import Install
from tau2_agent.users.registry import Users
from teacher_traces import trace

# (what was made, the option's value) -> (what is there, what should be there).
Arrival = Callable[[SimpleNamespace, Any], tuple[Any, Any]]


def at(path: str) -> Arrival:
    """The value as it is, at the end of a path of attributes or keys."""

    def found(seen: SimpleNamespace, value: Any) -> tuple[Any, Any]:
        there: Any = seen
        for name in path.split("."):
            there = there[name] if isinstance(there, dict) else getattr(there, name)
        return there, value

    return found


def flag(name: str) -> Arrival:
    """The value as a flag of slime's command line."""
    return lambda seen, value: (seen.flags.get(name), str(value))


def switch(name: str, on: bool = True) -> Arrival:
    """A flag without value that is there when the option is `on`."""
    return lambda seen, value: (name in seen.flags, value is on)


def refused(part: str) -> Arrival:
    """The program refuses this value, for it does not fit the inputs; the message says so."""
    return lambda seen, value: (part in seen.error, True)


LLM = ("model", "temperature", "max_tokens", "options", "api_base")
LLM += ("concurrency", "timeout_s", "retries", "budget_usd", "budget_tokens")
USER: dict[str, Arrival] = {
    "user": at("users.simulator"),
    **{f"user_{name}": at(f"users.llm.{name}") for name in LLM},
    "user_price": lambda seen, value: (list((seen.users.llm.price or {}).values()), value),
    "user_max_failure_share": at("users.failures.most"),
    "user_phrasing": at("users.phrasing"),
    "user_one_action": at("users.one_action"),
}
SLIME: dict[str, Arrival] = {
    "model": flag("--hf-checkpoint"),
    "output": at("stage"),
    "seed": lambda seen, value: (
        (seen.flags["--seed"], seen.flags["--rollout-seed"]),
        (str(value), str(value)),
    ),
    "lr": flag("--lr"),
    "weight_decay": flag("--weight-decay"),
    "adam_beta2": flag("--adam-beta2"),
    "gpus": flag("--actor-num-gpus-per-node"),
    "nodes": flag("--actor-num-nodes"),
    "tensor_parallel": flag("--tensor-model-parallel-size"),
    "pipeline_parallel": flag("--pipeline-model-parallel-size"),
    "context_parallel": flag("--context-parallel-size"),
    "expert_parallel": flag("--expert-model-parallel-size"),
    "max_tokens_per_gpu": flag("--max-tokens-per-gpu"),
    "recompute": lambda seen, value: ("--recompute-granularity" in seen.flags, value == "full"),
    "optimizer_offload": switch("--optimizer-cpu-offload"),
    "attention_backend": flag("--attention-backend"),
    "extra_args": lambda seen, value: (value in seen.flags, True),
    "dynamic_batches": switch("--use-dynamic-batch-size"),
    "keep_checkpoints": at("options.keep_checkpoints"),  # training/slime/test_trainer.py
    "ray_address": at("options.ray_address"),  # training/slime/test_job.py
    "tracking": lambda seen, value: ("TENSORBOARD_DIR" in seen.environment, True),
    "wandb_project": flag("--wandb-project"),
    "wandb_mode": flag("--wandb-mode"),
}
VALIDATION: dict[str, Arrival] = {
    "checkpoint": lambda seen, value: (seen.settings["checkpoint"], value),
    "validation_every": at("validator.every"),
    "validation_tasks": lambda seen, value: (len(seen.validator.tasks), value),
    "validation_max_new_tokens": at("validator.settings.sampling.max_new_tokens"),
    "validation_context_length": at("validator.settings.context_length"),
    "validation_max_steps": at("validator.settings.limits.max_steps"),
    "validation_concurrency": at("validator.args.concurrency"),
    "validation_max_failure_share": at("validator.args.max_failure_share"),
}
ARRIVES: dict[str, dict[str, Arrival]] = {
    "train_sft_trl": {
        "model": at("model"),
        "traces": refused("other_traces"),
        "output": at("stage"),
        "prompt": refused("another system prompt"),
        "max_length": refused("sft.max_length"),
        "seed": at("config.seed"),
        "lr": at("config.learning_rate"),
        "epochs": lambda seen, value: (seen.config.max_steps, 2 * value),  # 2 batches each
        "batch_size": at("config.per_device_train_batch_size"),
        "warmup_ratio": lambda seen, value: (
            seen.config.warmup_steps,
            -(-seen.config.max_steps * value // 1),
        ),
        "weight_decay": at("config.weight_decay"),
        "adam_beta2": at("config.adam_beta2"),
        "save_steps": at("config.save_steps"),
        "keep_checkpoints": at("config.save_total_limit"),
        "logging_steps": at("config.logging_steps"),
    },
    "train_grpo_trl": {
        "model": at("model"),
        "tasks": refused("other_tasks"),
        "output": at("stage"),
        "prompt": at("episode.prompt"),
        "seed": lambda seen, value: (
            (seen.config.seed, seen.users.seed, seen.rollouts.choice.seed),
            (value, value, value),
        ),
        "rollouts": at("config.max_steps"),
        "prompts_per_rollout": lambda seen, value: (
            (
                seen.config.per_device_train_batch_size * seen.config.gradient_accumulation_steps,
                seen.rollouts.plan.groups,
            ),
            (value * seen.options.samples_per_prompt, value),
        ),
        "samples_per_prompt": at("config.num_generations"),
        "micro_batch_size": at("config.per_device_train_batch_size"),
        "temperature": lambda seen, value: (
            (seen.config.temperature, seen.episode.sampling.temperature),
            (value, value),
        ),
        "context_length": lambda seen, value: (
            (seen.config.max_completion_length, seen.episode.context_length),
            (value, value),
        ),
        "max_new_tokens": at("episode.sampling.max_new_tokens"),
        "max_steps": at("episode.limits.max_steps"),
        "repeat_limit": at("episode.limits.repeat_limit"),
        "repeat_penalty": at("rollouts.args.repeat_penalty"),
        "dynamic_sampling": lambda seen, value: (seen.rollouts.plan.resampled > 0, value),
        "max_resampled_groups": at("rollouts.plan.resampled"),
        "curriculum": at("rollouts.choice.curriculum"),
        # training/test_trl_rollouts.py and test_objective.py show what the function does with these
        "alpha": at("rollouts.args.alpha"),
        "weights": at("rollouts.weights"),
        "scale_by_group_std": at("rollouts.args.scale_by_group_std"),
        "loss_weighting": lambda seen, value: (
            seen.config.loss_type,
            {"token": "dapo", "sample": "grpo"}[value],
        ),
        "weight_decay": at("config.weight_decay"),
        "adam_beta2": at("config.adam_beta2"),
        "lr": at("config.learning_rate"),
        "lr_schedule": at("config.lr_scheduler_type"),
        "kl_coef": at("config.beta"),
        "clip_low": at("config.epsilon"),
        "clip_high": at("config.epsilon_high"),
        "save_rollouts": at("config.save_steps"),
        # and the best on validation
        "keep_checkpoints": lambda seen, value: (seen.config.save_total_limit, value + 1),
        "keep_episodes": at("rollouts.samples.count"),
        **USER,
        **VALIDATION,
    },
    "train_sft_slime": {
        **SLIME,
        "base": flag("--ref-load"),
        "traces": refused("other_traces"),
        "prompt": refused("another system prompt"),
        "max_length": refused("sft.max_length"),
        "save_steps": flag("--save-interval"),
        "batch_size": lambda seen, value: (
            (seen.flags["--rollout-batch-size"], seen.flags["--global-batch-size"]),
            (str(value), str(value)),
        ),
        "warmup_ratio": flag("--lr-warmup-fraction"),
        "steps": flag("--num-rollout"),
        "epochs": lambda seen, value: (seen.flags["--num-rollout"], str(2 * value)),
    },
    "train_grpo_slime": {
        **SLIME,
        **USER,
        **VALIDATION,
        "server_args": at("validator.args.server_args"),  # of the server between two jobs
        "sft": flag("--ref-load"),
        "tasks": refused("other_tasks"),
        "prompt": at("episode.prompt"),
        "save_rollouts": flag("--save-interval"),
        "keep_episodes": at("hooks.tau2_keep_episodes"),
        "rollouts": flag("--num-rollout"),
        "prompts_per_rollout": flag("--rollout-batch-size"),
        "samples_per_prompt": flag("--n-samples-per-prompt"),
        "temperature": flag("--rollout-temperature"),
        "response_length": at("episode.response_length"),
        "max_new_tokens": at("episode.sampling.max_new_tokens"),
        "context_length": at("episode.context_length"),
        "max_steps": at("episode.limits.max_steps"),
        "repeat_limit": at("episode.limits.repeat_limit"),
        "repeat_penalty": at("hooks.tau2_repeat_penalty"),
        "dynamic_sampling": lambda seen, value: (seen.hooks.tau2_resampled_groups > 0, value),
        "max_resampled_groups": at("hooks.tau2_resampled_groups"),
        "over_sampling_groups": at("hooks.tau2_over_sampling_groups"),
        "group_order": at("hooks.tau2_group_order"),
        "curriculum": at("hooks.tau2_curriculum"),
        "alpha": at("hooks.tau2_alpha"),
        "weights": lambda seen, value: (
            seen.hooks.tau2_partial_weights,
            ",".join(map(str, value)),
        ),
        "scale_by_group_std": switch("--disable-grpo-std-normalization", on=False),
        "lr_schedule": flag("--lr-decay-style"),
        "updates_per_rollout": lambda seen, value: (
            (seen.flags["--num-steps-per-rollout"], seen.training["updates_per_rollout"]),
            (str(value), value),
        ),
        "loss_weighting": lambda seen, value: (
            "--calculate-per-token-loss" in seen.flags,
            value == "token",
        ),
        "clip_low": flag("--eps-clip"),
        "clip_high": flag("--eps-clip-high"),
        "kl_coef": flag("--kl-loss-coef"),
        "gpus_per_engine": flag("--rollout-num-gpus-per-engine"),
        "sglang_mem_fraction": flag("--sglang-mem-fraction-static"),
    },
    "evaluate_tau2": {
        **USER,
        "checkpoint": refused("no Hugging Face checkpoint"),
        "output_path": lambda seen, value: (value.with_suffix(".episodes.jsonl").exists(), True),
        "stage": at("summary.stage"),
        "compare": at("options.compare"),  # evaluation/test_results.py
        "domain": lambda seen, value: (value, "telecom"),  # there is one
        "task_split": at("summary.split"),
        "num_tasks": lambda seen, value: (len(seen.jobs), value),
        "first": lambda seen, value: (len(seen.jobs), value),
        "trials": lambda seen, value: (sorted({trial for _, trial in seen.jobs}), [*range(value)]),
        "backend": lambda seen, value: (hasattr(seen, "server"), value == "slime"),
        "sglang_port": refused(":9"),
        "temperature": at("episode.sampling.temperature"),
        "max_new_tokens": at("episode.sampling.max_new_tokens"),
        "context_length": at("episode.context_length"),
        "tensor_parallel": at("server.tensor_parallel"),
        "server_args": lambda seen, value: (" ".join(seen.server.extra), value),
        "prompt": at("episode.prompt"),
        "max_steps": at("episode.limits.max_steps"),
        "concurrency": lambda seen, value: (
            (seen.policy.max_batch, seen.concurrency),
            (value, value),
        ),
        "seed": lambda seen, value: ((seen.policy.seed, seen.users.seed), (value, value)),
        "max_failure_share": at("failures.most"),
        "keep_tokens": lambda seen, value: (seen.tokenizer is not None, value),
        "weights": lambda seen, value: (
            tuple(seen.summary["manifest"].partial_weights.values()),
            tuple(value),
        ),
    },
}
# Other words than `changed` finds, and what an option needs beside it.
INSTEAD = {
    ("train_sft_trl", "max_length"): ["--max-length", "100"],
    ("train_sft_slime", "max_length"): ["--max-length", "100"],
    ("train_sft_trl", "warmup_ratio"): ["--warmup-ratio", "0.9"],
    ("train_sft_slime", "batch_size"): ["--batch-size", "3"],
    ("train_sft_slime", "expert_parallel"): ["--expert-parallel", "2"],
    ("train_grpo_slime", "expert_parallel"): ["--expert-parallel", "2"],
    **{(f"train_{stage}_slime", "gpus"): ["--gpus", "4"] for stage in ("sft", "grpo")},
    ("train_grpo_slime", "validation_context_length"): ["--validation-context-length", "99"],
    ("evaluate_tau2", "domain"): ["--domain", "telecom"],
    ("evaluate_tau2", "backend"): ["--backend", "slime"],
    ("evaluate_tau2", "task_split"): ["--task-split", "small"],
    ("evaluate_tau2", "prompt"): ["--prompt", "tau2-owners"],
    ("evaluate_tau2", "context_length"): ["--context-length", "100"],
    ("evaluate_tau2", "sglang_port"): ["--sglang-port", "9", "--backend", "slime"],
    **{
        ("evaluate_tau2", name): ["--backend", "slime", f"--{name.replace('_', '-')}={value}"]
        for name, value in (("tensor_parallel", 2), ("server_args", "--quantization fp8"))
    },
}
PARALLEL = {
    "pipeline_parallel": ["--gpus", "4"],
    "context_parallel": ["--gpus", "8"],
    "tensor_parallel": ["--gpus", "6"],
    "optimizer_offload": [],
}
BESIDE = {
    **{
        (f"train_{stage}_slime", name): more
        for stage in ("sft", "grpo")
        for name, more in {
            **PARALLEL,
            "wandb_project": ["--tracking", "wandb"],
            "wandb_mode": ["--tracking", "wandb"],
        }.items()
    },
    ("train_grpo_trl", "max_resampled_groups"): ["--dynamic-sampling"],
    ("train_grpo_trl", "samples_per_prompt"): ["--micro-batch-size", "1"],
    ("train_grpo_trl", "prompts_per_rollout"): ["--micro-batch-size", "1"],
    ("train_grpo_trl", "micro_batch_size"): ["--samples-per-prompt", "9"],
}


class Reached(Exception):
    """The program is where it would train."""


class Here:
    """In place of a Stage: a folder, and nothing of an earlier run."""

    finished = stop_requested = False

    def __init__(self, target: Path, *_: Any) -> None:
        self.target, self.folder = target, target.with_name("store")
        self.folder.mkdir(exist_ok=True)

    def __enter__(self) -> Here:
        return self

    def __exit__(self, *_: object) -> None:
        pass


@pytest.fixture
def inputs(tmp_path, random_model, monkeypatch):
    """What programs read: two tasks, their traces, a model."""
    rows = [asyncio.run(trace(i, "scripted", Users(), "short")) for i in split_ids("small")[:3]]
    tasks = [{"task_id": task_id} for task_id in split_ids("train")[:40]]
    for name, lines in (("traces", rows), ("tasks", tasks)):
        (tmp_path / name).write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "base").mkdir()
    shutil.copytree(random_model, tmp_path / "other_model")
    for name in ("GEMINI_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, "no real key")
    for module in ("tau2_agent.rollout.model_folder", "tau2_agent.evaluation.recalled"):
        monkeypatch.setattr(f"{module}.require_positions", lambda *_: None)
    made = {"model": random_model, "checkpoint": random_model, "sft": tmp_path / "base"}
    return made | {n: tmp_path / n for n in ("traces", "tasks", "base")}


class Run:
    """Runs a program up to the point where it would train or play."""

    def __init__(self, monkeypatch, inputs, tmp_path) -> None:
        self.patch, self.inputs, self.tmp_path = monkeypatch, inputs, tmp_path
        self.parser: argparse.ArgumentParser | None = None
        made = cli.parser

        def parser(doc: str) -> argparse.ArgumentParser:
            self.parser = made(doc)
            return self.parser

        monkeypatch.setattr(cli, "parser", parser)

    def __call__(self, program: str, *words: str) -> SimpleNamespace:
        """What the program had made. Its `error` is the message of what it refused, else ""."""
        module = importlib.import_module(program)
        files, prepare = PROGRAMS[program]
        given = [w for n in files.split() for w in (f"--{n}", str(self.inputs[n]))]
        monkey = self.patch
        monkey.setattr(sys, "argv", [program, *given, *BASE[program], *words])
        seen = SimpleNamespace(error="", architecture="Qwen3-4B-Instruct-2507")
        if "--expert-parallel" in words:
            seen.architecture = "Qwen3-30B-A3B"
        prepare(monkey, module, seen, self.tmp_path)
        try:
            module.main()
        except Reached:
            pass
        except (PipelineError, OSError) as error:
            seen.error = str(error)
        seen.options = self.parser.parse_args(sys.argv[1:])
        return seen


def on_trl(monkeypatch, module, seen, tmp_path) -> None:
    import transformers

    make = validation.make_validator

    def make_validator(*given):
        seen.validator = make(*given)
        return seen.validator

    def trainer(**given):
        seen.config, seen.trainer = given["args"], given
        seen.rollouts = given.get("rollout_func")
        if seen.rollouts is not None:
            seen.episode = seen.rollouts.settings
            seen.users = seen.episode.users
        raise Reached

    def load(folder, **_):
        seen.model = folder

    monkeypatch.setattr(module, "Stage", stage(seen))
    monkeypatch.setattr(validation, "make_validator", make_validator)
    monkeypatch.setattr("trl.SFTTrainer", trainer)
    monkeypatch.setattr("tau2_agent.training.trl_grpo.ObjectiveTrainer", trainer)
    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", load)


def on_slime(monkeypatch, module, seen, tmp_path) -> None:
    install = Install(tmp_path / "slime", tmp_path / "megatron")

    def training(_, options, arguments, **given):
        seen.flags, seen.training, seen.options = by_flag(arguments), given, options
        if "validate" in given:
            seen.validator = given["validate"].validator
        seen.environment = job_environment(install, options)
        if "--custom-config-path" in seen.flags:
            hooks = yaml.safe_load(Path(seen.flags["--custom-config-path"]).read_text())
            context = int(seen.flags["--rollout-max-context-len"])
            seen.hooks = SimpleNamespace(**hooks, rollout_max_context_len=context)
            sampling = {
                "temperature": seen.flags["--rollout-temperature"],
                "max_new_tokens": seen.flags["--rollout-max-response-len"],
            }
            generate_with_tau._users.clear()
            seen.episode = generate_with_tau.episode_settings(seen.hooks, sampling)
            seen.users = seen.episode.users
        raise Reached

    monkeypatch.setattr(module, "Stage", stage(seen))
    monkeypatch.setattr(module, "Training", training)
    monkeypatch.setattr(module, "find_install", lambda: install)
    monkeypatch.setattr(module, "last_rollout", lambda *_: None)
    monkeypatch.setattr(module, "read_config", lambda _: model_config(seen.architecture))
    for name in ("sweep", "take_gpus", "require_allocation", "require_weights"):
        monkeypatch.setattr(module, name, lambda *_: None)
    monkeypatch.setattr(module.preflight, "require", lambda *_: None)


def on_evaluation(monkeypatch, module, seen, tmp_path) -> None:
    real = model_players.play_all

    async def play_all(jobs, policy, codec, settings, args, write):
        seen.policy, seen.episode, seen.users = policy, settings, settings.users
        await real(jobs, policy, codec, settings, args, write)

    async def play_each(jobs, episode, simulators, args, write, failures):
        seen.jobs = [(task.id, trial) for task, trial in jobs]
        seen.concurrency, (seen.failures,) = args.concurrency, failures
        with contextlib.suppress(Reached):
            write(SimpleNamespace(task_id=jobs[0][0].id), None)

    def make_transcript(task, trajectory, row, tokenizer):
        seen.tokenizer = tokenizer
        raise Reached

    def summarise(_, **given):
        seen.summary = given
        raise Reached

    def server(options, log):
        seen.server = options
        raise Reached

    monkeypatch.setattr(model_players, "play_all", play_all)
    monkeypatch.setattr(model_players, "take_gpus", lambda _: None)
    monkeypatch.setattr("tau2_agent.evaluation.playing.play_each", play_each)
    monkeypatch.setattr("tau2_agent.records.conversation.make_transcript", make_transcript)
    monkeypatch.setattr("tau2_agent.evaluation.results.summarise", summarise)
    monkeypatch.setattr("tau2_agent.inference.sglang_server.SGLangServer", server)
    monkeypatch.setattr("tau2_agent.preflight.checks.require", lambda *_: None)


def stage(seen: SimpleNamespace) -> Callable[..., Here]:
    def begin(target: Path, mark: Any, settings: Any = None) -> Here:
        seen.stage, seen.settings = target, settings
        return Here(target)

    return begin


def by_flag(arguments: list[str]) -> dict[str, str]:
    """Flag -> its words. Of two equal flags the last one counts, as for slime."""
    flags: dict[str, list[str]] = {}
    for word in arguments:
        if word.startswith("--"):
            flags[word] = []
        else:
            flags[list(flags)[-1]].append(word)
    return {name: " ".join(words) for name, words in flags.items()}


PROGRAMS = {
    "train_sft_trl": ("model traces", on_trl),
    "train_grpo_trl": ("model tasks", on_trl),
    "train_sft_slime": ("model base traces", on_slime),
    "train_grpo_slime": ("model sft tasks", on_slime),
    "evaluate_tau2": ("checkpoint", on_evaluation),
}
SMALL = ["--prompts-per-rollout", "2", "--samples-per-prompt", "8"]
# What is told each time.
BASE = {
    "train_sft_trl": ["--batch-size", "2", "--max-length", "4000"],
    "train_grpo_trl": [],
    "train_sft_slime": ["--prompt", "short", "--batch-size", "2"],
    "train_grpo_slime": SMALL,
    "evaluate_tau2": ["--backend", "cpu", "--task-split", "test"],
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_option_arrives(monkeypatch, inputs, tmp_path, program) -> None:
    run = Run(monkeypatch, inputs, tmp_path)
    output = "--output-path" if program == "evaluate_tau2" else "--output"
    plain = run(program, output, str(tmp_path / "out.json"))
    assert not plain.error
    wrong = []
    actions = [action for action in run.parser._actions if action.dest != "help"]
    options = {action.dest for action in actions}
    assert options == set(ARRIVES[program]), "say for each option, and for no other, where it acts"
    for action in actions:
        words = INSTEAD.get((program, action.dest)) or changed(action, tmp_path)
        if action.dest.startswith("user_"):
            words = ["--user", "llm", *words]
        words = [*BESIDE.get((program, action.dest), []), *words]
        with monkeypatch.context():
            seen = run(program, output, str(tmp_path / "out.json"), *words)
        value = getattr(seen.options, action.dest)
        try:
            found, wanted = ARRIVES[program][action.dest](seen, value)
        except (AttributeError, KeyError) as error:
            wrong.append(f"{words}: nothing made ({error!r}) {seen.error}")
            continue
        if found != wanted:
            wrong.append(f"{words}: {found!r} instead of {wanted!r} {seen.error}")
    assert not wrong, "\n".join(wrong)
