"""The objective of GRPO, the same on both backends. docs/objective.md says more of each symbol.

    R_i = reward_i + alpha * partial_i - penalty_i          of an episode i that was scored
    A_i = (R_i - mean_G R) / (std_G R + 1e-6)               G: the scored episodes of its group
    L   = sum_i w_i sum_t m_it (beta r_it k_it - min(r_it A_i, clip(r_it, 1 - low, 1 + high) A_i))
    r_it = exp(logp_it - logp_old_it)
    k_it = exp(d_it) - d_it - 1,  d_it = logp_ref_it - logp_it      ref: the SFT model

    token weighting     w_i = 1 / sum_j max(1, sum_t m_jt)     each token weighs the same
    sample weighting    w_i = 1 / (n * max(1, sum_t m_it))     each episode weighs the same

Sums go over the n episodes of one optimizer step; m_it is 1 on the tokens that the policy sampled
and 0 on everything else. Log probs are at the temperature that was sampled with, those of
`logp_old` of the weights that the rollout began with. Without `scale_by_group_std` nothing is
divided by std_G R. An episode that was dropped (see `ATTEMPTS`), or that holds no sampled token,
has no R, is in no group, and its m is 0 everywhere; it stays one of the n.

Sources: GRPO arXiv:2402.03300, clip-higher and the mean over all tokens (DAPO) arXiv:2503.14476,
no std arXiv:2503.20783, k_it Schulman's k3 (http://joschu.net/blog/kl-approx.html), r_it before it,
which makes its gradient that of the KL, arXiv:2512.02556.

A_i comes from the user's own `tau2_reward_shaping.tau2_reward_post_process` on both backends. The
loss is TRL's (`GRPOTrainer`) and slime's (`policy_loss_function`), told by the arguments below to
compute this one; where TRL differs, trl_grpo.py mends it. A test holds both to this formula.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from tau2_agent.reward.scoring import Score
from tau2_agent.rollout.trajectory import JobStop
from tau2_reward_shaping import repeat_penalty, shaped_reward, tau2_reward_post_process

# Tries at an episode that the infrastructure or the clock ended; the last one is dropped.
ATTEMPTS = 2
# A training of which so much in a row had no group with a spread is stopped.
FLAT_ROLLOUTS, FLAT_GROUPS = 5, 40
_REWARDS = ("reward", "partial", "penalty", "shaped")


def trl_arguments(args: Any) -> dict[str, Any]:
    """What makes TRL's loss this one. The advantages come from `advantages`, not from TRL."""
    return {
        # of TRL's names, "dapo" is the mean over all tokens, "grpo" the mean of the episodes' means
        "loss_type": {"token": "dapo", "sample": "grpo"}[args.loss_weighting],
        "temperature": args.temperature,
        "beta": args.kl_coef,
        "use_bias_correction_kl": True,
        "epsilon": args.clip_low,
        "epsilon_high": args.clip_high,
        "scale_rewards": "none",
        "mask_truncated_completions": False,
    }


def slime_arguments(options: Any) -> list[str]:
    """What makes slime's loss this one."""
    arguments = [
        *("--custom-reward-post-process-path", "tau2_reward_shaping.tau2_reward_post_process"),
        *("--advantage-estimator", "grpo"),
        *("--eps-clip", str(options.clip_low)),
        *("--eps-clip-high", str(options.clip_high)),
    ]
    if options.loss_weighting == "token":
        arguments.append("--calculate-per-token-loss")
    if not options.scale_by_group_std:
        arguments.append("--disable-grpo-std-normalization")
    if options.kl_coef > 0:
        # costs a copy of the SFT weights and a forward pass a rollout
        arguments += ["--use-kl-loss", "--kl-loss-coef", str(options.kl_coef)]
        arguments += ["--kl-loss-type", "k3", "--use-unbiased-kl"]  # low_var_kl: cut off at 10
    return arguments


def rewards(result: Score, wasted: int, *, alpha: float, each: float) -> dict[str, float]:
    """The rewards of a scored episode: tau2's, the partial score, the penalty, R named "shaped".

    wasted: its turns that were repeated or cut. each: what one of them costs.
    """
    penalty = repeat_penalty(wasted, each)
    return {
        "reward": result.reward,
        "partial": result.partial,
        "penalty": penalty,
        "shaped": shaped_reward(result.reward, result.partial, alpha, penalty),
    }


def advantages(
    episodes: Sequence[tuple[Mapping[str, Any], Score | None]],
    groups: Sequence[int],
    args: Any,
) -> list[float]:
    """A_i of each episode, 0.0 for those that have no R, by the same function as slime's.

    episodes: (`rewards`, score) of each; the score of a dropped one is None. groups: the group of
    each. args: with alpha, weights and scale_by_group_std.
    """
    samples = [
        SimpleNamespace(
            group_index=group,
            reward={name: reward.get(name) for name in _REWARDS},
            metadata={"reward_info": result and result.reward_info},
            remove_sample=result is None,
            status="aborted" if result is None else "completed",
        )
        for (reward, result), group in zip(episodes, groups, strict=True)
    ]
    told = SimpleNamespace(
        tau2_alpha=args.alpha,
        tau2_partial_weights=args.weights,
        advantage_estimator="grpo",
        rewards_normalization=True,
        grpo_std_normalization=args.scale_by_group_std,
    )
    return tau2_reward_post_process(told, samples)[1]


def has_spread(values: Sequence[float | None]) -> bool:
    """Whether the shaped rewards of a group teach: two of them differ. None: was not scored."""
    return len({round(value, 9) for value in values if value is not None}) > 1


class FlatRollouts:
    """Notices a training that trains nothing: no group of a rollout has a spread, so every A is 0.

    Said of each such rollout. After FLAT_ROLLOUTS of them in a row, with FLAT_GROUPS groups or
    more, the stage ends; a policy that solves every episode has nothing left to learn and goes on.
    A resumed training counts anew.
    """

    def __init__(self) -> None:
        self.rollouts = self.groups = 0

    def rollout(self, groups: Sequence[Sequence[float | None]], solved: bool) -> str:
        """What to say of a rollout, "" if it trains. Ask `check` when its records are written.

        groups: shaped rewards of each group. solved: every scored episode has reward 1.
        """
        if any(has_spread(values) for values in groups):
            self.rollouts = self.groups = 0
            return ""
        if solved:
            self.rollouts = self.groups = 0
            return "nothing to learn: every episode is solved"
        self.rollouts += 1
        self.groups += len(groups)
        return f"trains nothing: no group has a spread ({self.rollouts} in a row)"

    def check(self) -> None:
        """Raises JobStop, with what to do, when it goes on like this."""
        if self.rollouts >= FLAT_ROLLOUTS and self.groups >= FLAT_GROUPS:
            raise JobStop(
                f"nothing was trained in the last {self.rollouts} rollouts: in each of their "
                f"{self.groups} groups all episodes had one and the same reward. If none succeeds, "
                "train longer in SFT, take easier tasks, or give partial credit (reward.alpha); if "
                "limits end them, raise grpo.context_length or grpo.max_steps; if "
                "episodes of a task are all alike, raise grpo.temperature or "
                "grpo.samples_per_prompt. Checkpoints are kept"
            )
