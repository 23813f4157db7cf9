"""Gradients on the trainers' real paths: which tokens move the weights, and which way."""

from __future__ import annotations

import asyncio
import copy
from types import SimpleNamespace

import objective_cases as made
import pytest
from tiny_model import tiny_qwen3

from tau2_agent.rollout.policy import Sampling
from tau2_agent.rollout.trajectory import TokenRecord, Turn

PAID = 9  # the token that the reward pays
SAID = [5, 6]  # what the user answers


# --- which way -----------------------------------------------------------------------------------


@pytest.mark.parametrize("weighting", ["token", "sample"])
@pytest.mark.parametrize("sign", [1, -1])
def test_what_is_paid_becomes_likely_and_what_costs_unlikely(
    tmp_path, tokenizer, weighting, sign
) -> None:
    before, after = probabilities_of_the_paid_token(tmp_path, tokenizer, weighting, sign)
    for then, now in zip(before, after, strict=True):  # in the first turn and in the second
        assert now > 1.5 * then if sign > 0 else now < then / 1.5


def probabilities_of_the_paid_token(folder, tokenizer, weighting, sign):
    """A few rollouts of two turns; the reward is the share of the paid token, times the sign."""
    import torch
    from datasets import Dataset
    from trl import GRPOConfig

    from tau2_agent.inference.transformers_policy import LocalPolicy
    from tau2_agent.training import objective
    from tau2_agent.training.trl import silence_progress
    from tau2_agent.training.trl_grpo import ObjectiveTrainer

    silence_progress()
    model = tiny_qwen3(12, initializer_range=0.1)
    prompt, told = [1, 2, 3], made.options(weighting, temperature=1.0)

    def probabilities():
        with torch.no_grad():
            contexts = [prompt, [*prompt, 4, *SAID]]
            return [
                model(torch.tensor([ids])).logits[0, -1].softmax(-1)[PAID].item()
                for ids in contexts
            ]

    class Rollouts:
        def __call__(self, prompts, trainer):
            policy = LocalPolicy(trainer.model, (), seed=trainer.state.global_step)
            records = asyncio.run(self.play_all(policy, len(prompts)))
            pairs = []
            for record in records:
                sampled = [i for i, on in zip(record.ids, record.loss_mask, strict=True) if on]
                value = sign * sum(i == PAID for i in sampled) / len(sampled)
                rewards = {"reward": value, "partial": 0.0, "shaped": value}
                pairs.append((rewards, SimpleNamespace(reward_info=None)))
            groups = [number // 16 for number in range(len(prompts))]
            self.advantages = objective.advantages(pairs, groups, told)
            start = len(prompt)
            return {
                "prompt_ids": [record.ids[:start] for record in records],
                "completion_ids": [record.ids[start:] for record in records],
                "logprobs": [record.log_probs[start:] for record in records],
                "env_mask": [record.loss_mask[start:] for record in records],
                "shaped": [rewards["shaped"] for rewards, _ in pairs],
            }

        async def play_all(self, policy, count):
            return await asyncio.gather(*(self.play(policy, str(n)) for n in range(count)))

        async def play(self, policy, session):
            record = TokenRecord()
            record.append_context(prompt)
            for turn in range(2):
                answer = await policy.generate(
                    record.ids, Sampling(temperature=1.0, max_new_tokens=1 + turn), session
                )
                record.append_sampled(answer)
                record.append_context(SAID)
            return record

    trainer = ObjectiveTrainer(
        model=model,
        args=GRPOConfig(
            output_dir=str(folder),
            max_steps=8,
            num_generations=16,
            per_device_train_batch_size=16,
            gradient_accumulation_steps=2,
            max_completion_length=16,
            **objective.trl_arguments(told),
            learning_rate=0.02,
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            report_to=[],
            save_strategy="no",
            disable_tqdm=True,
        ),
        processing_class=tokenizer,
        reward_funcs=[lambda completions, shaped, **columns: shaped],
        train_dataset=Dataset.from_list([{"prompt": str(i)} for i in range(16)]),
        rollout_func=Rollouts(),
    )
    before = probabilities()
    trainer.train()
    return before, probabilities()


# --- which tokens --------------------------------------------------------------------------------
#
# A model without layers predicts each token from the one before it alone. So another token at a
# place changes the gradient of such a model only if the loss is on that place or on the next one.

MASK = [0, 1, 1, 0, 0, 0, 1, 0, 0]  # of a prompt's last token, and of what follows it
IDS = [3, 4, 5, 6, 7, 8, 9, 10, 11]
OTHER = 14
MATTERS = [bool(MASK[i] or (i + 1 < len(MASK) and MASK[i + 1])) for i in range(len(MASK))]


@pytest.fixture(scope="module")
def without_layers(tmp_path_factory, tokenizer):
    folder = tmp_path_factory.mktemp("models")
    for name in ("policy", "reference"):
        tiny_qwen3(made.VOCABULARY, num_hidden_layers=0, initializer_range=0.1).save_pretrained(
            folder / name
        )
        tokenizer.save_pretrained(folder / name)
    return folder


def test_grpo_trains_on_what_env_mask_marks_and_on_nothing_else(without_layers) -> None:
    told = made.options(clip_low=0.99, clip_high=100.0)

    def of(ids, old=-1.0):
        one = made.Episode(0, 1.0, [1, ids[0]], ids[1:], MASK[1:], [-1.0] * (len(ids) - 1))
        other = made.Episode(0, 0.0, [1, 2], [12, 13], [1, 1], [-1.0, -1.0])
        for place in range(len(one.old)):  # log probs where nothing was sampled mean nothing
            one.old[place] = one.old[place] if one.mask[place] else old
        return made.by_trl(without_layers, [one, other], told, "embed_tokens")

    check_places(of)
    assert (of(IDS, old=3.0)[1] - of(IDS)[1]).abs().max() == 0


def test_sft_trains_on_what_its_labels_say_and_on_nothing_else(without_layers, tmp_path) -> None:
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    from tau2_agent.training.sft_data import labels
    from tau2_agent.training.trl import silence_progress

    silence_progress()

    def of(ids):
        record = TokenRecord()
        for token, on in zip([1, *ids], [0, *MASK], strict=True):
            if on:
                record.append_sampled(Turn([token], [-1.0], "stop"))
            else:
                record.append_context([token])
        other = TokenRecord()  # longer: the row is padded
        other.append_context([1, 2, *IDS])
        other.append_sampled(Turn([12], [-1.0], "stop"))
        rows = [{"input_ids": r.ids, "labels": labels(r)} for r in (record, other)]
        trainer = SFTTrainer(
            model=AutoModelForCausalLM.from_pretrained(without_layers / "policy"),
            args=SFTConfig(
                output_dir=str(tmp_path),
                per_device_train_batch_size=2,
                max_length=None,
                packing=False,
                use_cpu=True,
                bf16=False,
                gradient_checkpointing=False,
                report_to=[],
                disable_tqdm=True,
            ),
            train_dataset=Dataset.from_list(rows),
            processing_class=AutoTokenizer.from_pretrained(without_layers / "policy"),
        )
        (batch,) = trainer.get_train_dataloader()
        loss = trainer.compute_loss(trainer.model, batch, num_items_in_batch=torch.tensor(4))
        loss.backward()
        return loss.item(), made.gradient(trainer.model, "embed_tokens")

    check_places(of)


def check_places(of) -> None:
    """Another token changes loss and gradient exactly where the loss depends on it."""
    loss, gradient = of(IDS)
    assert gradient.abs().max() > 0.01
    found = []
    for place in range(len(IDS)):
        ids = copy.copy(IDS)
        ids[place] = OTHER
        now, direction = of(ids)
        change = max(abs(now - loss), (direction - gradient).abs().max().item())
        assert change == 0 or change > 1e-3, place
        found.append(change > 0)
    assert found == MATTERS
