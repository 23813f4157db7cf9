"""GRPO on tau2 telecom, on the CPU, with TRL's GRPOTrainer.

Episodes come from the same loop as everything else, through TRL's rollout hook: TRL gets the token
ids and log probs as sampled, and an environment mask that leaves the loss on sampled tokens only.
The reward is `reward + alpha * partial`; the group's mean is subtracted, and with
`--scale-by-group-std` the advantage is divided by its standard deviation. An episode that an
infrastructure failure ended is played again; if that fails too it gets no reward and no gradient. A
spent budget, a refused key or too many failures of the user simulator stop the job; the same
command resumes it.

It starts from the SFT checkpoint with a fresh optimizer, or resumes its own training, and says
which. More `--rollouts` resume a finished training whose learning rate is constant; one that decays
ends with its rollouts, so another number of them is another training.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tau2_agent import cli
from tau2_agent.benchmark.data_files import data_sha256
from tau2_agent.config import program_options as settings
from tau2_agent.errors import InputError
from tau2_agent.records.progress import Progress
from tau2_agent.records.samples import TRANSCRIPTS, Sample, Samples
from tau2_agent.source_code import code_digest
from tau2_agent.training.resumable import Stage, fingerprint
from tau2_agent.training.trained_for import TrainedFor
from tau2_agent.users import registry as users

ROLLOUTS = "rollouts.jsonl"
USER_CALLS = "user_calls.jsonl"
EPISODE_TIMEOUT_S = 300.0
# Options that do not decide what is trained: the paths' content is in the fingerprint by itself.
NOT_DECISIVE = {
    *("model", "tasks", "output", "rollouts"),
    *("save_rollouts", "keep_checkpoints", "keep_episodes"),
}


class Rollouts:
    """TRL's `rollout_func`: plays the batch's episodes and scores them."""

    def __init__(self, args, codec, folder: Path, progress: Progress) -> None:
        from tau2_agent.rollout.episode import Limits
        from tau2_agent.rollout.model_rollout import EpisodeSettings
        from tau2_agent.rollout.policy import Sampling
        from tau2_agent.users.failure_limit import FEWEST

        self.args = args
        self.codec = codec
        self.path = folder / ROLLOUTS
        self.weights = args.weights
        self.settings = EpisodeSettings(
            prompt=args.prompt,
            users=users.from_options(args, args.seed),
            sampling=Sampling(args.temperature, max_new_tokens=args.max_new_tokens),
            context_length=args.context_length,
            limits=Limits(max_steps=args.max_steps, timeout_s=EPISODE_TIMEOUT_S),
        )
        self.samples = Samples(folder / TRANSCRIPTS, args.keep_episodes, codec.tokenizer)
        self.progress = progress
        self.settings.users.open(folder / USER_CALLS)
        self.settings.users.failures.window = max(FEWEST, 4 * batch_size(args))

    def __call__(self, prompts: list[str], trainer: Any) -> dict[str, list[Any]]:
        from tau2_agent.inference.transformers_policy import LocalPolicy

        step = trainer.state.global_step
        policy = LocalPolicy(trainer.model, self.codec.stop_ids, seed=self.args.seed)
        trainer.model.eval()
        try:
            began = time.time()
            episodes = asyncio.run(self._play_all(prompts, policy, step))
        finally:
            trainer.model.train()
        self._record(episodes, step, time.time() - began)
        return {
            "prompt_ids": [e["tokens"].ids[: e["tokens"].prompt_length] for e in episodes],
            "completion_ids": [e["tokens"].ids[e["tokens"].prompt_length :] for e in episodes],
            "logprobs": [e["tokens"].log_probs[e["tokens"].prompt_length :] for e in episodes],
            "env_mask": [e["tokens"].loss_mask[e["tokens"].prompt_length :] for e in episodes],
            "shaped": [e["shaped"] for e in episodes],
            "official": [e["reward"] for e in episodes],
            "partial": [e["partial"] for e in episodes],
        }

    async def _play_all(self, task_ids: list[str], policy: Any, step: int) -> list[dict[str, Any]]:
        from tau2_agent.rollout.episode import together

        try:
            return await together(
                self._play(task_id, f"{step}/{number}", policy)
                for number, task_id in enumerate(task_ids)
            )
        finally:
            await self.settings.users.close()

    async def _play(self, task_id: str, name: str, policy: Any) -> dict[str, Any]:
        from tau2_agent.benchmark.tasks import get_task
        from tau2_agent.reward.scoring import score
        from tau2_agent.rollout.model_rollout import play
        from tau2_agent.rollout.trajectory import INFRASTRUCTURE_ENDS, TokenRecord
        from tau2_reward_shaping import shaped_reward

        task = get_task(task_id)
        for attempt in range(2):
            session = f"{name}/{attempt}"
            trajectory = await play(task, policy, self.codec, self.settings, session, name)
            if trajectory.end not in INFRASTRUCTURE_ENDS:
                break
        self.settings.users.failures.count(trajectory)
        row = {"task_id": task_id, "end": trajectory.end.value, "turns": trajectory.agent_turns}
        row |= {"failure": trajectory.failure} if trajectory.failure else {}
        tokens = trajectory.tokens
        if trajectory.end in INFRASTRUCTURE_ENDS or tokens is None or not sum(tokens.loss_mask):
            # Nothing to learn from: a token of padding that no loss is on, and no reward.
            tokens = TokenRecord()
            tokens.append_context([self.codec.stop_id] * 2)
            tokens.prompt_length = 1
            sample = Sample(task, trajectory, None, None)
            nothing = {"reward": None, "partial": None, "shaped": None}
            return row | nothing | {"tokens": tokens, "sample": sample}
        result = score(trajectory, task, self.weights)
        shaped = shaped_reward(result.reward, result.partial, self.args.alpha)
        return row | {
            "tokens": tokens,
            "sample": Sample(task, trajectory, result, shaped),
            "reward": result.reward,
            "partial": result.partial,
            "shaped": shaped,
        }

    def _record(self, episodes: list[dict[str, Any]], step: int, seconds: float) -> None:
        scored = [e for e in episodes if e["shaped"] is not None]
        groups = [e["shaped"] for e in episodes]
        size = self.args.samples_per_prompt
        spread = sum(
            len({g for g in groups[i : i + size] if g is not None}) > 1
            for i in range(0, len(groups), size)
        )
        self.samples.keep(step, [e["sample"] for e in episodes])
        with open(self.path, "a", encoding="utf-8") as stream:
            for e in episodes:
                row = {"step": step} | {k: v for k, v in e.items() if k != "sample"}
                row["tokens"] = len(e["tokens"].ids)
                stream.write(json.dumps(row) + "\n")
        count = max(len(scored), 1)
        reward = sum(e["reward"] for e in scored) / count
        self.progress.step(step + 1, reward)
        ends = Counter(e["end"] for e in episodes)
        failures = Counter(e["failure"] for e in episodes if "failure" in e)
        print(
            f"rollout {step}: reward {reward:.3f}{self.progress.rises()}  "
            f"partial {sum(e['partial'] for e in scored) / count:.3f}  "
            f"groups with a spread {spread}/{len(groups) // size}  "
            f"ends {dict(ends)}  "
            + (f"failures of the user {dict(failures)}  " if failures else "")
            + f"{seconds:.1f} s{self.progress.left()}",
            flush=True,
        )


def shaped(completions, shaped, **columns):
    """The reward that is optimised. None: the episode cannot be scored, TRL leaves it out."""
    return shaped


def official(completions, official, **columns):
    """tau2's own reward, logged with weight 0."""
    return official


def partial(completions, partial, **columns):
    """The partial score, logged with weight 0."""
    return partial


def batch_size(args) -> int:
    """Episodes a rollout."""
    return args.prompts_per_rollout * args.samples_per_prompt


def train(args, stage: Stage) -> None:
    import os

    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from tau2_agent.benchmark.tasks import read_task_file
    from tau2_agent.processes import keep_freed_memory
    from tau2_agent.rollout.chat_template import ChatCodec
    from tau2_agent.rollout.model_folder import require_positions
    from tau2_agent.training.task_order import task_order
    from tau2_agent.training.trl import cut_metrics, finish, last_checkpoint, run, silence_progress

    os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"  # the rollout hook is what we use TRL for
    from trl import GRPOConfig, GRPOTrainer

    require_positions(args.model, args.context_length, "--context-length")
    silence_progress()
    keep_freed_memory()
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    checkpoint = last_checkpoint(stage.folder)
    step = int(checkpoint.name[11:]) if checkpoint else 0
    if step > args.rollouts:
        stage.set_aside(f"it has {step} rollouts, {args.rollouts} are asked for")
        checkpoint, step = None, 0
    cut_metrics(stage.folder, step)
    cut_metrics(stage.folder, step - 1, ROLLOUTS)  # a rollout is numbered by the step it precedes

    task_ids = [row.task_id for row in read_task_file(args.tasks)]
    batch = batch_size(args)
    if batch % args.micro_batch_size:
        raise InputError(
            f"grpo.micro_batch_size {args.micro_batch_size} does not divide prompts_per_rollout x "
            f"samples_per_prompt = {batch}"
        )
    order = task_order(
        task_ids, rollouts=args.rollouts, prompts=args.prompts_per_rollout, seed=args.seed
    )
    config = GRPOConfig(
        output_dir=str(stage.folder),
        max_steps=args.rollouts,
        num_generations=args.samples_per_prompt,
        shuffle_dataset=False,  # task_order has shuffled
        per_device_train_batch_size=args.micro_batch_size,
        gradient_accumulation_steps=batch // args.micro_batch_size,  # one optimizer step a rollout
        max_completion_length=args.context_length,
        temperature=args.temperature,
        learning_rate=args.lr,
        lr_scheduler_type=args.lr_schedule,
        weight_decay=0.0,
        beta=args.kl_coef,
        epsilon=args.clip_low,
        epsilon_high=args.clip_high,
        loss_type="dapo",
        scale_rewards="group" if args.scale_by_group_std else "none",
        reward_weights=[1.0, 0.0, 0.0],
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        save_steps=args.save_rollouts,
        save_total_limit=args.keep_checkpoints,
        logging_steps=1,
        logging_nan_inf_filter=False,  # a NaN must be seen: StageCallback ends the training
        report_to=[],
        disable_tqdm=True,
        seed=args.seed,
    )
    progress = Progress(f"grpo {args.output}", args.rollouts, step, "rollouts", says=False)
    rollouts = Rollouts(args, ChatCodec(tokenizer), stage.folder, progress)
    trainer = GRPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32),
        args=config,
        processing_class=tokenizer,
        reward_funcs=[shaped, official, partial],
        train_dataset=Dataset.from_list([{"prompt": task_id} for task_id in order]),
        rollout_func=rollouts,
    )
    origin = f"resumed its own run at rollout {step}" if checkpoint else f"from {args.model}"
    print(f"{args.rollouts} rollouts of {batch} episodes on {len(task_ids)} tasks; {origin}")
    began = time.time()
    run(stage, trainer, checkpoint, progress)
    if not stage.stop_requested:
        finish(
            stage,
            trainer,
            tokenizer,
            {
                "stage": "grpo",
                "steps": args.rollouts,
                "resumed_at": step,
                "seconds": round(time.time() - began, 1),
                "started_from": str(args.model),
                "user_usage": rollouts.settings.users.usage(stage.folder / USER_CALLS),
            },
            TrainedFor(
                stage="grpo",
                prompt=args.prompt,
                user=users.from_options(args, args.seed).fingerprint(),
                max_new_tokens=args.max_new_tokens,
                context_length=args.context_length,
                max_steps=args.max_steps,
                code=code_digest("train_grpo_trl"),
            ),
        )


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = cli.parser(__doc__)
    parser.add_argument("--model", type=Path, required=True, help="SFT checkpoint to start from")
    parser.add_argument("--tasks", type=Path, required=True, help="task file to draw prompts from")
    parser.add_argument("--output", type=Path, required=True, help="checkpoint to make")
    settings.add(parser, "prompt seed", "cpu")
    settings.add(
        parser.add_argument_group("rollouts"),
        "grpo.rollouts grpo.prompts_per_rollout grpo.samples_per_prompt grpo.micro_batch_size"
        " grpo.temperature grpo.context_length grpo.max_new_tokens grpo.max_steps",
        "cpu",
    )
    reward = parser.add_argument_group("reward")
    settings.add(reward, "reward.alpha grpo.scale_by_group_std", "cpu")
    settings.add_partial_weights(reward)
    settings.add(
        parser.add_argument_group("optimisation"),
        "grpo.lr grpo.lr_schedule grpo.kl_coef grpo.clip_low grpo.clip_high",
        "cpu",
    )
    records = parser.add_argument_group("records")
    settings.add(records, "grpo.save_rollouts grpo.keep_episodes resources.keep_checkpoints", "cpu")
    settings.add_user(parser)
    return parser.parse_args(arguments)


def fingerprint_fields(args) -> dict[str, Any]:
    """All options that decide the weights, in the order of --help."""
    decides = {
        key: value
        for key, value in vars(args).items()
        if key not in NOT_DECISIVE and not key.startswith("user_")
    }
    decides |= users.from_options(args, args.seed).fingerprint()
    if args.lr_schedule != "constant":  # else more rollouts resume the same training
        decides["rollouts"] = args.rollouts
    return decides


def main() -> int:
    args = parse()
    mark = fingerprint(
        {"model": args.model, "tasks": args.tasks},
        {"data": data_sha256(), **fingerprint_fields(args)},
        code=code_digest("train_grpo_trl"),
    )
    with Stage(args.output, mark, {"rollouts": args.rollouts}) as stage:
        if not stage.finished:
            train(args, stage)
    return 0


if __name__ == "__main__":
    cli.run(main)
