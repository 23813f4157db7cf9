"""What `ablation.py` changes, one setting at a time, and the default that it is compared with.

Equal compute: each arm may play as many episodes in training as the default, rollouts × prompts ×
samples, and makes at most as many optimizer steps of GRPO. Where an arm plays episodes for
something else it does with less: the episodes of rejection sampling are taken off the rollouts, and
with dynamic sampling a rollout has a quarter fewer groups, as many as may be played in place of
dropped ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

SPLITS = ("extra_dev", "extra_unseen")
PHRASINGS = ("fixed", "train", "held_out")
Values = Mapping[str, Any]

# Said in full, so that the table means the same when a default follows it.
DEFAULT: dict[str, Any] = {
    "backend": "cpu",
    "preset": "demo",
    "tasks": {"grpo": "train"},
    "user": {"phrasing": "fixed"},
    "rejection_sampling": {"samples_per_task": 0},
    "grpo": {
        "scale_by_group_std": True,
        "loss_weighting": "token",
        "curriculum": "none",
        "issues": "proportional",
        "dynamic_sampling": False,
        "validation_every": 0,  # it plays extra_dev
        "checkpoint": "last",
        "repeat_limit": 0,
        "repeat_penalty": 0.0,
    },
    "reward": {"alpha": 0.5},
    "evaluation": {"compare_with": []},
    "resources": {"threads": 1},
}


@dataclass(frozen=True)
class Arm:
    """What is changed. values: over DEFAULT, or a function of the default's configuration.

    stage: whose model is evaluated. phrasings: of the users it is evaluated with.
    """

    says: str
    values: Values | Callable[[Values], Values] = field(default_factory=dict)
    stage: str = "rl"
    phrasings: tuple[str, ...] = ("fixed",)


def grpo(**values: Any) -> Values:
    return {"grpo": values}


def rejection(**values: Any) -> Callable[[Values], Values]:
    """Rejection sampling, its episodes taken off GRPO's rollouts."""

    def over(default: Values) -> Values:
        from tau2_agent.benchmark.tasks import load_tasks

        played = values["samples_per_task"] * len(load_tasks("train"))
        each = default["grpo"]["prompts_per_rollout"] * default["grpo"]["samples_per_prompt"]
        rollouts = max(default["grpo"]["rollouts"] - math.ceil(played / each), 1)
        return {"rejection_sampling": values, "grpo": {"rollouts": rollouts}}

    return over


def dynamic(default: Values) -> Values:
    """Three quarters of the groups, and the fourth in place of dropped ones."""
    all_groups = default["grpo"]["prompts_per_rollout"]
    groups = max(all_groups * 3 // 4, 1)
    episodes = groups * default["grpo"]["samples_per_prompt"]
    return grpo(
        dynamic_sampling=True,
        prompts_per_rollout=groups,
        max_resampled_groups=all_groups - groups,
        micro_batch_size=math.gcd(default["grpo"]["micro_batch_size"], episodes),
    )


# In the order in which they are run: what is asked most comes first.
ARMS: dict[str, Arm] = {
    "default": Arm("default", phrasings=PHRASINGS),
    "sft": Arm("SFT alone, no GRPO", stage="sft", phrasings=PHRASINGS),
    "alpha_0": Arm("alpha 0: tau2's reward alone", {"reward": {"alpha": 0.0}}),
    "no_std": Arm("advantages not divided by the deviation", grpo(scale_by_group_std=False)),
    "sample_weighting": Arm("each episode weighs the same", grpo(loss_weighting="sample")),
    "curriculum": Arm("curriculum: success_rate", grpo(curriculum="success_rate")),
    "dynamic": Arm("dynamic sampling", dynamic),
    "rejection": Arm(
        "rejection sampling before GRPO, goes on from SFT",
        rejection(samples_per_task=4, start_from="sft", epochs=3),
    ),
    "extra_train": Arm("GRPO on extra_train", {"tasks": {"grpo": "extra_train"}}),
    "balanced": Arm(
        "GRPO on extra_train, issues balanced",
        {"tasks": {"grpo": "extra_train"}, **grpo(issues="balanced")},
    ),
    "extra_curriculum": Arm(
        "GRPO on extra_train, curriculum: success_rate",
        {"tasks": {"grpo": "extra_train"}, **grpo(curriculum="success_rate")},
    ),
    "balanced_curriculum": Arm(
        "GRPO on extra_train, issues balanced, curriculum: success_rate",
        {"tasks": {"grpo": "extra_train"}, **grpo(issues="balanced", curriculum="success_rate")},
    ),
    "all_train": Arm("GRPO on all_train", {"tasks": {"grpo": "all_train"}}),
    "all_balanced_curriculum": Arm(
        "GRPO on all_train, issues balanced, curriculum: success_rate",
        {"tasks": {"grpo": "all_train"}, **grpo(issues="balanced", curriculum="success_rate")},
    ),
    "repeat_limit": Arm("repeat_limit 3", grpo(repeat_limit=3)),
    "repeat_penalty": Arm("repeat_penalty 0.02", grpo(repeat_penalty=0.02)),
    "alpha_1": Arm("alpha 1", {"reward": {"alpha": 1.0}}),
    "alpha_025": Arm("alpha 0.25", {"reward": {"alpha": 0.25}}),
    "rejection_base": Arm(
        "rejection sampling before GRPO, trained anew", rejection(samples_per_task=4)
    ),
    "words": Arm(
        "SFT and GRPO with varied words", {"user": {"phrasing": "train"}}, phrasings=PHRASINGS
    ),
    "words_sft": Arm(
        "SFT alone with varied words",
        {"user": {"phrasing": "train"}},
        stage="sft",
        phrasings=PHRASINGS,
    ),
}
# Arms of the table of words: what each is compared with, and its name there.
WORDS = {
    "sft": (None, "SFT, fixed words"),
    "default": (None, "SFT and GRPO, fixed words"),
    "words_sft": ("sft", "SFT, varied words"),
    "words": ("default", "SFT and GRPO, varied words"),
}
# Arms of the table by issue, and what each is compared with.
BY_ISSUE = {
    "sft": None,
    "extra_train": "sft",
    "balanced": "extra_train",
    "extra_curriculum": "extra_train",
    "balanced_curriculum": "extra_curriculum",
    "all_train": "extra_train",
    "all_balanced_curriculum": "balanced_curriculum",
}
ISSUES = ("mms_issue", "mobile_data_issue", "service_issue")
OF_SFT = ("user",)  # sections that SFT reads: arms that are equal in them share one


def of_sft(arm: Arm) -> Values:
    """Those of an arm's values that its SFT model depends on."""
    fixed = {} if callable(arm.values) else arm.values
    return {key: fixed[key] for key in OF_SFT if key in fixed}
