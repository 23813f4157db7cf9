"""A batch of made-up episodes, and the objective computed on it by three: TRL's trainer on its real
path, slime's loss (written out, or its own source), and the formula as its docstring has it."""

from __future__ import annotations

import argparse
import random
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

VOCABULARY = 24
TEMPERATURE = 0.7
# Unequal groups; TRL sees rows of two. Episode 4 was dropped, which leaves 5 alone in its group.
GROUPS = [0, 0, 0, 1, 2, 2, 3, 3]
DROPPED = 4
REWARDS = [0.0, 1.5, 0.2, 0.7, None, 1.0, 0.4, 0.1]
LENGTHS = [3, 9, 1, 14, 1, 4, 6, 11]  # of completions: weights by token and by episode differ


@dataclass
class Episode:
    """Token ids, the mask of the completion, and log probs of the policy that sampled it."""

    group: int
    reward: float | None
    prompt: list[int]
    completion: list[int]
    mask: list[int]
    old: list[float] = field(default_factory=list)

    @property
    def sampled(self) -> int:
        return sum(self.mask)


def episodes() -> list[Episode]:
    rng = random.Random(7)
    made = []
    for number, (group, reward, length) in enumerate(zip(GROUPS, REWARDS, LENGTHS, strict=True)):
        prompt = [rng.randrange(VOCABULARY) for _ in range(rng.randrange(2, 6))]
        completion = [rng.randrange(VOCABULARY) for _ in range(length)]
        # what the user said stands between what was sampled
        mask = [int(length < 4 or place % 4 != 2) for place in range(length)]
        mask = [0] * length if number == DROPPED else mask
        made.append(Episode(group, reward, prompt, completion, mask))
    return made


def options(weighting: str = "token", std: bool = True, kl: float = 0.0, **more: Any) -> Any:
    """What the programs hand to objective.py."""
    told = {
        "loss_weighting": weighting,
        "scale_by_group_std": std,
        "kl_coef": kl,
        "clip_low": 0.2,
        "clip_high": 0.28,
        "temperature": TEMPERATURE,
        "alpha": 0.5,
        "weights": (0.7, 0.1, 0.2),
    }
    return SimpleNamespace(**told | more)


def log_probs(model: Any, episode: Episode) -> Any:
    """Of the completion's tokens, at the temperature of sampling."""
    import torch

    ids = torch.tensor([episode.prompt + episode.completion])
    logits = model(ids).logits[0, len(episode.prompt) - 1 : -1].float() / TEMPERATURE
    chosen = torch.tensor(episode.completion)[:, None]
    return logits.log_softmax(-1).gather(1, chosen)[:, 0]


def with_old_log_probs(model: Any, given: list[Episode], off: float) -> list[Episode]:
    """Log probs of another policy: ratios lie on both sides of both clips if `off` is 0.6."""
    import torch

    rng = random.Random(3)
    with torch.no_grad():
        for episode in given:
            episode.old = [p + rng.uniform(-off, off) for p in log_probs(model, episode).tolist()]
    return given


def advantages(given: list[Episode], told: Any) -> list[float]:
    """As the rollouts of the CPU ask for them."""
    from tau2_agent.training import objective

    pairs = []
    for episode in given:
        rewards = dict.fromkeys(("reward", "partial", "shaped"))
        if episode.reward is not None:
            rewards = {"reward": episode.reward, "partial": 0.0, "shaped": episode.reward}
        score = None if episode.reward is None else SimpleNamespace(reward_info=None)
        pairs.append((rewards, score))
    return objective.advantages(pairs, [episode.group for episode in given], told)


def gradient(model: Any, of: str = "") -> Any:
    """Of all weights, or of those with `of` in their name, as one vector."""
    import torch

    named = [(name, weight) for name, weight in model.named_parameters() if of in name]
    return torch.cat([w.grad.flatten() for _, w in named if w.grad is not None])


def by_formula(model: Any, reference: Any, given: list[Episode], told: Any) -> tuple[float, Any]:
    """Loss and gradient, line by line as the docstring of objective.py has them."""
    import torch

    scored: dict[int, list[float]] = {}
    for episode in given:
        if episode.reward is not None:
            scored.setdefault(episode.group, []).append(episode.reward)
    total = sum(max(1, episode.sampled) for episode in given)
    model.zero_grad()
    loss = torch.zeros(())
    for episode in given:
        if not episode.sampled:
            continue
        group = torch.tensor(scored[episode.group], dtype=torch.float64)
        advantage = float(episode.reward - group.mean())
        if told.scale_by_group_std:
            advantage /= (float(group.std()) if len(group) > 1 else 0.0) + 1e-6
        weight = 1 / total
        if told.loss_weighting == "sample":
            weight = 1 / (len(given) * max(1, episode.sampled))
        now, mask = log_probs(model, episode), torch.tensor(episode.mask)
        ratio = (now - torch.tensor(episode.old)).exp()
        clipped = ratio.clamp(1 - told.clip_low, 1 + told.clip_high)
        terms = -torch.minimum(ratio * advantage, clipped * advantage)
        if told.kl_coef:
            with torch.no_grad():
                ref = log_probs(reference, episode)
            terms = terms + told.kl_coef * ratio * ((ref - now).exp() - (ref - now) - 1)
        loss = loss + weight * (mask * terms).sum()
    loss.backward()
    return loss.item(), gradient(model)


def by_trl(folder: Path, given: list[Episode], told: Any, of: str = "") -> tuple[float, Any]:
    """One optimizer step of TRL's trainer. Loss and gradient."""
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
    from trl import GRPOConfig

    from tau2_agent.training import objective
    from tau2_agent.training.trl import silence_progress
    from tau2_agent.training.trl_grpo import ObjectiveTrainer

    silence_progress()

    class Recited:
        """A rollout function whose episodes stand fixed."""

        def __init__(self) -> None:
            self.advantages = advantages(given, told)

        def __call__(self, prompts: list[str], trainer: Any) -> dict[str, list[Any]]:
            return {
                "prompt_ids": [e.prompt for e in given],
                "completion_ids": [e.completion for e in given],
                "logprobs": [e.old for e in given],
                "env_mask": [e.mask for e in given],
                "shaped": [e.reward for e in given],
            }

    class Trainer(ObjectiveTrainer):
        """Its old log probs are the episodes', as after an earlier step; losses are added up."""

        loss = 0.0

        def _generate_and_score_completions(self, inputs: Any) -> dict[str, Any]:
            output = super()._generate_and_score_completions(inputs)
            old = torch.zeros(output["completion_ids"].shape)
            for row, episode in zip(old, given, strict=True):
                row[: len(episode.old)] = torch.tensor(episode.old)
            return output | {"old_per_token_logps": old}

        def training_step(self, *inputs: Any) -> Any:
            loss = super().training_step(*inputs)
            self.loss += loss.item()
            return loss

    class Keep(TrainerCallback):
        def on_pre_optimizer_step(self, args, state, control, model=None, **kwargs):
            found.append(gradient(model, of))

    found: list[Any] = []
    config = GRPOConfig(
        output_dir=str(folder / "out"),
        max_steps=1,
        num_generations=2,
        per_device_train_batch_size=2,
        gradient_accumulation_steps=len(given) // 2,
        max_completion_length=64,
        **objective.trl_arguments(told),
        max_grad_norm=0,  # the gradient before it is clipped
        learning_rate=1e-3,
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        report_to=[],
        save_strategy="no",
        disable_tqdm=True,
    )
    model = AutoModelForCausalLM.from_pretrained(folder / "reference", dtype=torch.float32)
    policy = AutoModelForCausalLM.from_pretrained(folder / "policy", dtype=torch.float32)
    model.load_state_dict(policy.state_dict())  # TRL's reference is what the model was loaded from
    trainer = Trainer(
        model=model,
        args=config,
        processing_class=AutoTokenizer.from_pretrained(folder / "reference"),
        reward_funcs=[lambda completions, shaped, **columns: shaped],
        train_dataset=Dataset.from_list([{"prompt": str(i)} for i in range(len(given) // 2)]),
        rollout_func=Recited(),
        callbacks=[Keep()],
    )
    trainer.train()
    return trainer.loss, found[0]


def slime_namespace(told: Any) -> argparse.Namespace:
    """slime's arguments, read from the flags that we give it, with its own defaults."""
    from tau2_agent.training import objective

    parser = argparse.ArgumentParser()
    parser.add_argument("--advantage-estimator")
    parser.add_argument("--custom-reward-post-process-path")
    parser.add_argument("--eps-clip", type=float)
    parser.add_argument("--eps-clip-high", type=float)
    parser.add_argument("--calculate-per-token-loss", action="store_true")
    parser.add_argument(
        "--disable-grpo-std-normalization", dest="grpo_std_normalization", action="store_false"
    )
    parser.add_argument("--use-kl-loss", action="store_true")
    parser.add_argument("--kl-loss-coef", type=float, default=0.0)
    parser.add_argument("--kl-loss-type", default="k1")
    parser.add_argument("--use-unbiased-kl", action="store_true")
    args = parser.parse_args(objective.slime_arguments(told))
    args.rewards_normalization = True
    args.rollout_temperature = told.temperature
    return args


def slime_rewards(given: list[Episode], args: argparse.Namespace) -> list[float]:
    """What the reward hook returns for slime's samples of these episodes."""
    from tau2_reward_shaping import tau2_reward_post_process

    samples = []
    for episode in given:
        dropped = episode.reward is None
        value = 0.0 if dropped else episode.reward  # as give_up leaves it
        samples.append(
            SimpleNamespace(
                group_index=episode.group,
                reward={"reward": value, "partial": 0.0, "shaped": value},
                status=SimpleNamespace(value="aborted" if dropped else "completed"),
                remove_sample=dropped,
                metadata={},
            )
        )
    return tau2_reward_post_process(args, samples)[1]
