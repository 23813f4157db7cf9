"""Each setting changed alone: another value for it, and what has to stand beside that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tau2_agent.config.backend import Backend
from tau2_agent.config.fields import choices_of
from tau2_agent.config.settings import RejectionSampling
from tau2_agent.config.settings_players import LanguageModel
from tau2_agent.config.sweeps import Run, resolve_runs

PRESETS = Path(__file__).resolve().parents[1] / "presets"
# Values that no rule finds, and what a key needs beside it.
VALUES = {
    "prompt": "tau2-owners",
    "model.source": "some/other",
    "model.revision": "v2",
    "model.chat_template": "hermes",
    "user.simulator": "llm",
    "user.phrasing": "train",
    "user.model": "openai/other",
    "user.api_base": "http://127.0.0.1:9/v1",
    "user.options": {"top_p": 0.5},
    "traces.model": "openai/other",
    "traces.api_base": "http://127.0.0.1:9/v1",
    "traces.options": {"top_p": 0.5},
    "traces.source": "some/traces",
    "traces.revision": "v2",
    "traces.teacher": "llm",
    "evaluation.user": "llm",
    "evaluation.phrasing": "train",
    "slime.extra_args": "--use-tis",
    "slime.convert_args": "--x 1",
    "slime.server_args": "--quantization fp8",
    "tracking.project": "other",
    "model.hidden_size": 64,
    "model.heads": 2,
    "rejection_sampling.min_partial": 0.5,
    "grpo.micro_batch_size": 4,
    "grpo.updates_per_rollout": 2,
    "resources.nodes": 2,
    **{f"slime.{name}_parallel": 4 for name in ("tensor", "pipeline", "context", "expert")},
}
LLM = {"user": {"simulator": "llm"}}
HUB = {"traces": {"teacher": "hub", "source": "some/traces", "revision": "v1"}}
TEACHER = {"traces": {"teacher": "llm", "model": "openai/x"}}
GPUS = {"resources": {"gpus": 8}}
BESIDE: dict[str, dict[str, Any]] = {
    "model.source": {"model": {"revision": "v1"}},
    "model.revision": {"model": {"source": "some/other"}},
    "model.max_positions": {"model": {"source": "some/other", "revision": "v1"}},
    **{f"user.{name}": LLM for name in ("model", "api_base", "temperature", "max_tokens")},
    **{f"user.{name}": LLM for name in ("options", "concurrency", "timeout_s", "retries")},
    **{f"user.{name}": LLM for name in ("budget_usd", "budget_tokens", "max_failure_share")},
    **{f"traces.{name}": TEACHER for name in LanguageModel.model_fields},
    **{f"traces.{name}": TEACHER for name in ("teacher", "attempts", "concurrency")},
    **{f"traces.{n}": HUB for n in ("source", "revision", "replace_prompt", "max_rejected_share")},
    "traces.max_length": TEACHER,
    "traces.wordings": {"user": {"phrasing": "train"}},
    "sft.epochs": {"sft": {"steps": None}},
    "sft.steps": {"sft": {"epochs": None}},
    **{f"slime.{name}_parallel": GPUS for name in ("tensor", "pipeline", "context", "expert")},
    "resources.nodes": GPUS,
    **{
        f"rejection_sampling.{name}": {"rejection_sampling": {"samples_per_task": 8}}
        for name in RejectionSampling.model_fields
        if name != "samples_per_task"
    },
    "tasks.rejection_sampling": {"rejection_sampling": {"samples_per_task": 8}},
    "rejection_sampling.issues": {"rejection_sampling": {"samples_per_task": 8, "num_tasks": 9}},
    "grpo.max_resampled_groups": {"grpo": {"dynamic_sampling": True}},
    "grpo.validation_tasks": {"grpo": {"validation_every": 20}},
}


# Of one preset's recipe only.
DEMO = {f"model.{n}" for n in ("layers", "hidden_size", "heads", "vocab_size", "context_length")}
SLIME = (
    "slime.",
    "tracking.",
    "traces.max_length",
    "resources.nodes",
    "evaluation.sglang_port",
    "sft.steps",
    "rejection_sampling.steps",
)


def presets(key: str) -> list[str]:
    if key in DEMO:
        return ["demo"]
    return ["qwen3-4b"] if key.startswith(SLIME) else ["demo", "qwen3-4b"]


def run_of(preset: str, values: dict[str, Any]) -> Run:
    backend = "cpu" if preset == "demo" else "slime"
    layers = [("config.yaml", {"preset": preset, **values})]
    return resolve_runs(layers, PRESETS, lambda *_: Backend(backend, "test"))[""]


def config_of(preset: str, values: dict[str, Any]) -> dict[str, Any]:
    return run_of(preset, values).settings.config


def value_at(config: dict[str, Any], key: str) -> Any:
    for part in key.split("."):
        config = config[part]
    return config


def with_value(values: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    """`values` with the dotted key set."""
    first, _, rest = key.partition(".")
    inner = with_value(values.get(first, {}), rest, value) if rest else value
    return {**values, first: inner}


def another(key: str, field, now: Any) -> Any:
    """Another value than the one that holds."""
    if key in VALUES:
        return VALUES[key]
    if choices_of(field):
        return next(choice for choice in choices_of(field) if choice != now)
    if isinstance(now, bool):
        return not now
    if isinstance(now, float):
        return now / 2 if now else 0.05
    return (now or 1) + (1 if key.startswith("grpo.samples") else 2)
