"""Reward shaping: partial credit for the checks behind tau2's reward, and the group's baseline.

    R = reward + alpha * partial - penalty      reward: tau2's own, 0 or 1;  partial in [0, 1]

`compute_partial_score` is the one function for training and evaluation. `tau2_reward_post_process`
gives both backends their advantages. It is slime's `--custom-reward-post-process-path
tau2_reward_shaping.tau2_reward_post_process`, which replaces slime's own group normalisation
(`RolloutManager._post_process_rewards`), so it brings one; for TRL, objective.py calls it.

Only the standard library is imported: slime's rollout processes load this file by name, without
the rest of the project. Left out: rollouts split into several samples (one sample, one vote).
"""

from __future__ import annotations

import logging
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

logger = logging.getLogger(__name__)

ALPHA = 0.5
STD_EPSILON = 1e-6  # slime's
PENALISED_TURNS = 10  # of an episode, at most

# Estimators for which slime centres rewards by group, and those it also divides by the deviation.
_CENTRED = {"grpo", "gspo", "cispo", "reinforce_plus_plus_baseline"}
_SCALED = {"grpo", "gspo", "cispo"}


class PartialWeights(NamedTuple):
    """How much each kind of check counts. Only the ratios matter."""

    action: float = 0.7
    communicate: float = 0.1
    assertion: float = 0.2

    @classmethod
    def read(cls, value: Any = None) -> PartialWeights:
        """Make weights of None (the defaults), "a,c,e", a sequence of three, or a mapping.

        Raises ValueError for anything else, for negative weights, and when all are zero.
        """
        try:
            if value is None:
                return cls()
            if isinstance(value, str):
                value = [float(part) for part in value.split(",")]
            if isinstance(value, Mapping):
                weights = cls(**{name: float(number) for name, number in value.items()})
            else:
                weights = cls._make(float(number) for number in value)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"partial weights {value!r}: expected action, communicate and assertion, "
                'for example "0.7,0.1,0.2"'
            ) from error
        if not all(math.isfinite(w) and w >= 0 for w in weights) or sum(weights) <= 0:
            raise ValueError(f"partial weights {tuple(weights)}: must be >= 0 and not all zero")
        return weights


def compute_partial_score(reward_info: Any, weights: Any = None) -> float:
    """Return the partial score of an episode, in [0, 1].

        partial = sum_k w_k * passed_k / checks_k  /  sum_k w_k      over the kinds that exist

    `reward_info` is tau2's RewardInfo or its dict; None and {} (a crash) score 0. `weights` is
    anything that `PartialWeights.read` takes. Telecom has no communicate checks, so .7/.1/.2 act
    as 7/9 and 2/9.

    Two flags of `tau2_agent.reward.scoring` are used when they are there. "verified": an action
    counts only if it was carried out (right requestor and arguments, no error, still in effect); a
    raw RewardInfo has no such flag, and falls back to tau2's "action_match", which can be gamed.
    "held_at_start": an assertion that was true before the first message, and still is, is no
    work of the agent's and is left out.
    """
    if not reward_info:
        return 0.0
    weights = PartialWeights.read(weights)
    passed = {
        "action": [_action_passed(check) for check in _checks(reward_info, "action_checks")],
        "communicate": [
            bool(_field(check, "met")) for check in _checks(reward_info, "communicate_checks")
        ],
        "assertion": [
            bool(_field(check, "met"))
            for check in _checks(reward_info, "env_assertions")
            if not (_field(check, "held_at_start") and _field(check, "met"))
        ],
    }
    total = sum(getattr(weights, kind) for kind, results in passed.items() if results)
    if total <= 0:
        return 0.0
    score = sum(
        getattr(weights, kind) * sum(results) / len(results)
        for kind, results in passed.items()
        if results
    )
    return min(score / total, 1.0)


def shaped_reward(
    reward: float, partial: float, alpha: float = ALPHA, penalty: float = 0.0
) -> float:
    """R = reward + alpha * partial - penalty."""
    return reward + alpha * partial - penalty


def repeat_penalty(turns: int, each: float) -> float:
    """What an episode loses for its turns that were repeated or cut: each * min(turns, 10).

    With each <= 0.05, which the settings hold, and alpha <= 0.5 a solved episode stays above one
    that is not, however long it went astray and whatever it passed: 1 - 10 * each >= alpha.
    """
    return each * min(turns, PENALISED_TURNS)


def tau2_reward_post_process(args: Any, samples: Sequence[Any]) -> tuple[list[float], list[float]]:
    """Return (raw rewards, rewards for training), one each a sample, in the order of `samples`.

    The raw reward is R, from `metadata["reward_info"]`, else from the reward dict
    {"reward", "partial", "penalty", "shaped"}, else the plain number; the penalty is always that
    dict's, 0 without one. With G the finished samples of the same `group_index`, the group's
    baseline of GRPO (arXiv:2402.03300, section 4.1.2) is

        reward_i = (R_i - mean(R_G)) / (std(R_G) + 1e-6)      std unbiased, as slime's

    and without the division if `args.grpo_std_normalization` is false (arXiv:2503.20783). Groups
    may differ in size. A group of one gets 0: it has nothing to be compared with.

    Samples that were aborted, removed, or have no finite reward count in no group and get 0 and
    0. A sample without `group_index` is a group of one. As in slime, `rewards_normalization`
    false or an estimator without a group baseline leaves R as it is. `args.tau2_alpha` and
    `args.tau2_partial_weights` are optional. Missing fields never raise; wrong weights do.
    """
    alpha = float(_attribute(args, "tau2_alpha", ALPHA))
    weights = PartialWeights.read(_attribute(args, "tau2_partial_weights", None))
    shaped = [_sample_reward(sample, alpha, weights) for sample in samples]
    raw = [0.0 if value is None else value for value in shaped]
    if lost := sum(value is None for value in shaped):
        logger.warning("%d of %d samples have no reward and get 0", lost, len(shaped))

    estimator = _attribute(args, "advantage_estimator", "grpo")
    if not _attribute(args, "rewards_normalization", True) or estimator not in _CENTRED:
        return raw, list(raw)
    scale = bool(_attribute(args, "grpo_std_normalization", True)) and estimator in _SCALED

    groups: dict[Any, list[int]] = defaultdict(list)
    for place, sample in enumerate(samples):
        if shaped[place] is not None:
            index = getattr(sample, "group_index", None)
            groups[("alone", place) if index is None else index].append(place)
    rewards = [0.0] * len(raw)
    for places in groups.values():
        centred = _centre([raw[place] for place in places], scale)
        for place, value in zip(places, centred, strict=True):
            rewards[place] = value
    return raw, rewards


def _centre(values: list[float], scale: bool) -> list[float]:
    if len(values) < 2:
        return [0.0] * len(values)
    mean = math.fsum(values) / len(values)
    centred = [value - mean for value in values]
    if scale:
        std = math.sqrt(math.fsum(value * value for value in centred) / (len(values) - 1))
        centred = [value / (std + STD_EPSILON) for value in centred]
    return centred


def _sample_reward(sample: Any, alpha: float, weights: PartialWeights) -> float | None:
    """R of a slime sample, or None when it must not count."""
    status = getattr(sample, "status", None)
    if getattr(status, "value", status) == "aborted" or getattr(sample, "remove_sample", False):
        return None
    metadata = getattr(sample, "metadata", None)
    info = metadata.get("reward_info") if isinstance(metadata, Mapping) else None
    reward = getattr(sample, "reward", None)
    try:
        penalty = float(reward.get("penalty") or 0.0) if isinstance(reward, Mapping) else 0.0
        if info:
            reward, partial = _field(info, "reward"), compute_partial_score(info, weights)
            value = shaped_reward(float(reward), partial, alpha, penalty)
        elif isinstance(reward, Mapping) and reward.get("reward") is not None:
            partial = float(reward.get("partial") or 0.0)
            value = shaped_reward(float(reward["reward"]), partial, alpha, penalty)
        elif isinstance(reward, Mapping):
            value = float(reward["shaped"])
        else:
            value = float(reward)
    except (KeyError, TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None


def _attribute(args: Any, name: str, default: Any) -> Any:
    """slime sets options that were not given to None."""
    value = getattr(args, name, None)
    return default if value is None else value


def _field(entry: Any, name: str) -> Any:
    return entry.get(name) if isinstance(entry, Mapping) else getattr(entry, name, None)


def _checks(reward_info: Any, name: str) -> Iterable[Any]:
    return _field(reward_info, name) or ()


def _action_passed(check: Any) -> bool:
    verified = _field(check, "verified")
    return bool(_field(check, "action_match") if verified is None else verified)
