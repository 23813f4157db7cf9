"""Both backends compute the objective of docs/objective.md: the same loss, the same gradient.

With SLIME_HOME set, slime's own loss runs on the CPU (MEGATRON_HOME may be set too); otherwise its
formula stands here, written out from its source.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import objective_cases as made
import pytest
from tiny_model import tiny_qwen3

from tau2_agent.rollout.trajectory import JobStop
from tau2_agent.training import objective

HERE = Path(__file__).parent
CASES = list(itertools.product(["token", "sample"], [True, False], [0.0, 0.3]))
OFF = 0.6  # how far the log probs of the policy that sampled are off, at most


@pytest.fixture(scope="module")
def models(tmp_path_factory, tokenizer):
    """Folder of a policy and of a reference with other weights."""
    folder = tmp_path_factory.mktemp("models")
    for name, spread in (("policy", 0.5), ("reference", 0.4)):
        model = tiny_qwen3(made.VOCABULARY, initializer_range=spread)
        model.save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
    return folder


@pytest.fixture(scope="module")
def policy(models):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(models / "policy")


@pytest.fixture(scope="module")
def reference(models):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(models / "reference")


@pytest.fixture(scope="module")
def batch(policy):
    return made.with_old_log_probs(policy, made.episodes(), OFF)


def assert_equal(found, wanted) -> None:
    (loss, gradient), (expected, direction) = found, wanted
    assert loss == pytest.approx(expected, abs=1e-5)
    assert direction.norm() > 0.01  # or anything would be equal to it
    assert (gradient - direction).abs().max() < 1e-5


def test_a_reward_of_ones_own_sees_what_was_scored(monkeypatch) -> None:
    """The function that users may edit is given of TRL's episodes what slime gives it."""
    result = SimpleNamespace(reward_info={"reward": 1.0})
    rewards = {"reward": 1.0, "partial": 0.5, "penalty": 0.25, "shaped": 0.75, "more": 3}
    seen = []

    def post_process(args, samples):
        seen.extend([args, *samples])
        return None, [0.5, 0.0]

    monkeypatch.setattr(objective, "tau2_reward_post_process", post_process)
    args = SimpleNamespace(alpha=0.3, weights=(1, 0, 0), scale_by_group_std=False)
    assert objective.advantages([(rewards, result), ({}, None)], [7, 8], args) == [0.5, 0.0]
    told, scored, dropped = map(vars, seen)
    assert told == {
        "tau2_alpha": 0.3,
        "tau2_partial_weights": (1, 0, 0),
        "advantage_estimator": "grpo",
        "rewards_normalization": True,
        "grpo_std_normalization": False,
    }
    assert scored == {
        "group_index": 7,
        "reward": {name: rewards[name] for name in ("reward", "partial", "penalty", "shaped")},
        "metadata": {"reward_info": {"reward": 1.0}},
        "remove_sample": False,
        "status": "completed",
    }
    assert (dropped["metadata"], dropped["remove_sample"]) == ({"reward_info": None}, True)
    assert (dropped["status"], set(dropped["reward"].values())) == ("aborted", {None})


def test_the_batch_has_what_may_go_wrong(policy, batch) -> None:
    ratios, signs = set(), made.advantages(batch, made.options())
    for episode, sign in zip(batch, signs, strict=True):
        now = made.log_probs(policy, episode)
        for then, log_prob, on in zip(episode.old, now.tolist(), episode.mask, strict=True):
            off = log_prob - then
            ratios |= {(sign > 0, (off > 0.25) - (off < -0.23))} if on and sign else set()
    assert ratios == set(itertools.product([True, False], [-1, 0, 1]))  # each clip, each sign
    assert [sum(e.group == group for e in batch) for group in range(4)] == [3, 1, 2, 2]
    assert batch[made.DROPPED].sampled == 0
    assert any(0 in e.mask and 1 in e.mask for e in batch)
    assert signs[3] == signs[made.DROPPED] == signs[made.DROPPED + 1] == 0


@pytest.mark.parametrize(("weighting", "std", "kl"), CASES)
def test_trl_trains_on_the_formula(models, policy, reference, batch, weighting, std, kl) -> None:
    told = made.options(weighting, std, kl)
    wanted = made.by_formula(policy, reference, batch, told)
    assert_equal(made.by_trl(models, batch, told), wanted)


@pytest.fixture(scope="module")
def slime_results(models, batch):
    """Loss and gradient of slime's own loss, a case each; None without slime."""
    if "SLIME_HOME" not in os.environ:
        return None
    import torch

    cases = []
    for case in CASES:
        args = made.slime_namespace(made.options(*case))
        cases.append({"args": args, "episodes": batch, "rewards": made.slime_rewards(batch, args)})
    torch.save(cases, models / "cases.pt")
    homes = [os.environ[name] for name in ("SLIME_HOME", "MEGATRON_HOME") if name in os.environ]
    path = [*homes, str(HERE), str(HERE.parents[1] / "scripts"), os.environ.get("PYTHONPATH", "")]
    outcome = subprocess.run(
        [sys.executable, str(HERE / "slime_loss.py"), str(models)],
        # its small functions are compiled for a GPU's sake only
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path), "TORCHDYNAMO_DISABLE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stderr[-3000:]
    return torch.load(models / "results.pt")


@pytest.mark.parametrize(("weighting", "std", "kl"), CASES)
def test_slime_trains_on_the_formula(
    policy, reference, batch, slime_results, weighting, std, kl
) -> None:
    told = made.options(weighting, std, kl)
    wanted = made.by_formula(policy, reference, batch, told)
    if slime_results is None:
        assert_equal(written_out(policy, reference, batch, told), wanted)
    else:
        assert_equal(slime_results[CASES.index((weighting, std, kl))], wanted)


def written_out(model, reference, given, told):
    """slime 624b824a8 without its source: loss.py, cp_utils.py, ppo_utils.py, one micro batch."""
    import torch

    args = made.slime_namespace(told)
    model.zero_grad()
    total, tokens = torch.zeros(()), 0
    for episode, reward in zip(given, made.slime_rewards(given, args), strict=True):
        mask = torch.tensor(episode.mask)
        log_probs = made.log_probs(model, episode)
        advantages = torch.ones(len(mask)) * reward  # get_grpo_returns
        ppo_kl = torch.tensor(episode.old) - log_probs
        ratio = (-ppo_kl).exp()  # compute_policy_loss
        losses = torch.maximum(
            -ratio * advantages,
            -ratio.clamp(1 - args.eps_clip, 1 + args.eps_clip_high) * advantages,
        )
        if args.use_kl_loss:
            assert args.kl_loss_type == "k3"  # compute_approx_kl
            log_ratio = made.log_probs(reference, episode).detach() - log_probs
            kl = log_ratio.exp() - 1 - log_ratio
            losses = losses + args.kl_loss_coef * (kl * ratio if args.use_unbiased_kl else kl)
        # get_sum_of_sample_mean
        divisor = 1 if args.calculate_per_token_loss else max(int(mask.sum()), 1)
        total = total + (losses * mask).sum() / divisor
        tokens += max(int(mask.sum()), 1)  # loss_function
    loss = total / (tokens if args.calculate_per_token_loss else len(given))
    loss.backward()
    return loss.item(), made.gradient(model)


def test_groups_without_a_spread_are_said_and_end_a_training_that_goes_on_so() -> None:
    flat = objective.FlatRollouts()
    same, spread, lost = [0.5, 0.5, None], [0.5, 0.7], [None, None]
    assert flat.rollout([same, spread], solved=False) == ""
    for number in range(1, 5):
        said = flat.rollout([same] * 10, solved=False)
        assert said == f"trains nothing: no group has a spread ({number} in a row)"
        flat.check()
    flat.rollout([same, lost], solved=False)
    with pytest.raises(JobStop, match=r"last 5 rollouts: .* 42 groups .* grpo\.temperature"):
        flat.check()
    assert flat.rollout([spread], solved=False) == ""
    assert flat.rollout([same], solved=False).endswith("(1 in a row)")  # counts anew
    flat.rollout([spread], solved=False)
    for _ in range(9):
        flat.rollout([same], solved=False)
        flat.check()  # nine groups say little
    for _ in range(50):
        said = flat.rollout([[1.5, 1.5]] * 10, solved=True)
        assert said == "nothing to learn: every episode is solved"
        flat.check()
    assert flat.rollout([same], solved=False).endswith("(1 in a row)")
