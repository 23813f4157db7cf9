"""Who plays the user in each stage, read from the configuration, as options of the programs.

What decides the user's words is kept apart from what only the machine or the purse is concerned
with: the first reruns a stage, the second does not. Imports nothing heavy.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tau2_agent.config.settings_players import SAYS, LanguageModel
from tau2_agent.users.mixture import mix_text, parse_mix

STAGES = ("traces", "rejection_sampling", "grpo", "evaluation")


@dataclass(frozen=True)
class Simulator:
    """Who plays in a stage. flags: what decides the words; untracked: the rest.

    serve: the configuration's `user.serve` if this stage needs that server, else None; gpus: its.
    """

    simulator: str
    flags: dict[str, Any]
    untracked: dict[str, Any]
    serve: dict[str, Any] | None = None

    @property
    def llm(self) -> bool:
        """Whether a language model plays."""
        return "llm" in parse_mix(self.simulator)

    @property
    def gpus(self) -> int:
        """GPUs of a server of its own."""
        return self.serve["gpus"] if self.serve else 0


def simulator_of(config: Mapping[str, Any], stage: str) -> Simulator:
    """Who plays in `stage`, one of `STAGES`. Nobody in traces from elsewhere. Raises MixError."""
    if stage == "traces" and config["traces"]["teacher"] in ("file", "hub"):
        return Simulator("scripted", {}, {})
    user = config["user"]
    asked = config["evaluation"]["user"] if stage == "evaluation" else None
    simulator = mix_text(user["simulator"] if asked is None else asked)
    flags: dict[str, Any] = {"user": simulator}
    if "scripted" in parse_mix(simulator):
        phrasing = config["evaluation"]["phrasing"] if stage == "evaluation" else None
        phrasing = phrasing or user["phrasing"]
        flags |= {
            # left out, an evaluation takes the trained one
            "user_phrasing": phrasing if {phrasing, user["phrasing"]} != {"fixed"} else None,
            "user_one_action": user["one_action"] or None,
        }
    if "llm" not in parse_mix(simulator):
        return Simulator(simulator, flags, {})
    says, untracked = language_model_options({**user, "model": model_name(user)}, "user")
    for name in ("concurrency", "retries", "max_failure_share"):
        untracked[f"user_{name}"] = user[name]
    return Simulator(simulator, flags | says, untracked, user["serve"])


def language_model_options(
    section: Mapping[str, Any], prefix: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """A language model's options, as PREFIX_KEY: what decides its words, and the rest."""
    values = {key: section[key] for key in LanguageModel.model_fields}
    options = values["options"]  # in one order: another one is no other model
    values["options"] = json.dumps(options, sort_keys=True) if options else None
    price = values["price"]
    values["price"] = price and [price["input"], price["output"]]
    says = {f"{prefix}_{key}": value for key, value in values.items() if key in SAYS}
    rest = {f"{prefix}_{key}": value for key, value in values.items() if key not in SAYS}
    return says, rest


def model_name(user: Mapping[str, Any]) -> str:
    """litellm's name of the model; one that is served here is named by source and revision."""
    serve = user["serve"]
    if not serve:
        return user["model"]
    return "openai/" + "@".join(filter(None, [serve["source"], serve["revision"]]))


def language_models(config: Mapping[str, Any], traces: str) -> dict[str, dict[str, Any]]:
    """Section -> settings of the language models that a run will ask, without any key.

    traces: their file; once it is there, its teacher is asked no more.
    """
    sections = []
    simulators = [simulator_of(config, stage) for stage in STAGES]
    if any(simulator.llm and not simulator.serve for simulator in simulators):
        sections.append("user")
    if config["traces"]["teacher"] == "llm" and not Path(traces).exists():
        sections.append("traces")
    keys = LanguageModel.model_fields
    return {section: {key: config[section][key] for key in keys} for section in sections}


def is_folder(serve: Mapping[str, Any]) -> bool:
    """Whether the model to be served lies on this machine already."""
    return Path(serve["source"]).is_dir()


def faults(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what is wrong: (dotted key, sentence with the remedy)."""
    user = config["user"]
    if user["phrasing"] == "held_out":
        yield (
            "user.phrasing",
            "user.phrasing held_out is kept for evaluation, or results would show memory; train "
            "with train or fixed, and set evaluation.phrasing to held_out",
        )
    serve = user["serve"]
    if not serve:
        return
    if user["api_base"]:
        yield (
            "user.serve",
            "user.serve starts a server and user.api_base names another one; set one of them to "
            "null",
        )
