"""Where a training program would train: what it hands to TRL or slime is noted, no more is done."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml
from arrivals import Reached
from model_configs import config as model_config

import generate_with_tau
from tau2_agent.evaluation import validation
from tau2_agent.training.slime.arguments import job_environment
from tau2_agent.training.slime.install import Install


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

    def load(folder, **more):
        seen.model, seen.loaded = folder, more
        return f"weights of {folder}", {"missing_keys": set(), "mismatched_keys": set()}

    monkeypatch.setattr(module, "Stage", stage(seen))
    monkeypatch.setattr(validation, "make_validator", make_validator)
    monkeypatch.setattr("trl.SFTTrainer", trainer)
    monkeypatch.setattr("tau2_agent.training.trl_grpo.ObjectiveTrainer", trainer)
    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", load)


def on_slime(monkeypatch, module, seen, tmp_path) -> None:
    moe = "--expert-parallel" in seen.words
    architecture = "Qwen3-30B-A3B" if moe else "Qwen3-4B-Instruct-2507"
    install = Install(tmp_path / "slime", tmp_path / "megatron")

    def training(_, options, arguments, **given):
        seen.flags, seen.training, seen.told = by_flag(arguments), given, options
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
    monkeypatch.setattr(module, "read_config", lambda _: model_config(architecture))
    for name in ("sweep", "take_gpus", "require_allocation", "require_weights"):
        monkeypatch.setattr(module, name, lambda *_: None)
    monkeypatch.setattr(module.preflight, "require", lambda *_: None)


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
}
SMALL = ["--prompts-per-rollout", "2", "--samples-per-prompt", "8"]
# What is told each time.
BASE = {
    "train_sft_trl": ["--batch-size", "2", "--max-length", "4000"],
    "train_grpo_trl": [],
    "train_sft_slime": ["--prompt", "short", "--batch-size", "2"],
    "train_grpo_slime": ["--prompt", "short", *SMALL],  # tau2's would be 24,000 tokens here
}
