"""The rollouts of a GRPO training with TRL: the batch's episodes, played, scored and recorded."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from tau2_agent.benchmark.tasks import get_task
from tau2_agent.inference.transformers_policy import LocalPolicy
from tau2_agent.records.counters import count, loops, wasted_turns
from tau2_agent.records.progress import Progress
from tau2_agent.records.samples import TRANSCRIPTS, Sample, Samples
from tau2_agent.reward.scoring import score
from tau2_agent.rollout.episode import Limits, together
from tau2_agent.rollout.model_rollout import EpisodeSettings, play
from tau2_agent.rollout.policy import Sampling
from tau2_agent.rollout.trajectory import INFRASTRUCTURE_ENDS, TokenRecord
from tau2_agent.training import objective
from tau2_agent.training.groups import Episode, Group, Plan, draws, fill, kept, notice, summary
from tau2_agent.training.task_choice import TaskChoice, played
from tau2_agent.training.trl import read_jsonl_prefix
from tau2_agent.users import registry as users
from tau2_agent.users.failure_limit import FEWEST

ROLLOUTS = "rollouts.jsonl"
USER_CALLS = "user_calls.jsonl"
EPISODE_TIMEOUT_S = 300.0


def batch_size(args) -> int:
    """Episodes a rollout."""
    return args.prompts_per_rollout * args.samples_per_prompt


class Rollouts:
    """TRL's `rollout_func`: plays the batch's episodes and scores them."""

    def __init__(
        self, args, codec, folder: Path, progress: Progress, task_ids: Sequence[str]
    ) -> None:
        self.args = args
        self.codec = codec
        self.path = folder / ROLLOUTS
        self.weights = args.weights
        self.settings = EpisodeSettings(
            prompt=args.prompt,
            users=users.from_options(args, args.seed),
            sampling=Sampling(args.temperature, max_new_tokens=args.max_new_tokens),
            context_length=args.context_length,
            limits=Limits(
                max_steps=args.max_steps,
                timeout_s=EPISODE_TIMEOUT_S,
                repeat_limit=args.repeat_limit,
            ),
        )
        self.plan = Plan(
            args.prompts_per_rollout, args.max_resampled_groups if args.dynamic_sampling else 0
        )
        self.choice = TaskChoice(
            task_ids,
            prompts=args.prompts_per_rollout,
            seed=args.seed,
            curriculum=args.curriculum,
            issues=args.issues,
        )
        self.samples = Samples(folder / TRANSCRIPTS, args.keep_episodes, codec.tokenizer)
        self.progress = progress
        self.flat = objective.FlatRollouts()
        self.advantages: list[float] = []  # of the last rollout; the trainer reads them
        self.settings.users.open(folder / USER_CALLS)
        self.settings.users.failures.window = max(FEWEST, 4 * batch_size(args))

    def __call__(self, prompts: list[str], trainer: Any) -> dict[str, list[Any]]:
        """Play a rollout. prompts: TRL's places in the batch; which task has one is chosen here."""
        step = trainer.state.global_step
        policy = LocalPolicy(trainer.model, self.codec.stop_ids, seed=self.args.seed)
        trainer.model.eval()
        try:
            began = time.time()
            groups = asyncio.run(self._play_groups(policy, step))
        finally:
            trainer.model.train()
        self._record(groups, step, time.time() - began)
        episodes = [episode.made for group in kept(groups) for episode in group.episodes]
        self.advantages = objective.advantages(
            [(e, e["sample"].result) for e in episodes],
            [number // self.args.samples_per_prompt for number in range(len(episodes))],
            self.args,
        )
        return {
            "prompt_ids": [e["tokens"].ids[: e["tokens"].prompt_length] for e in episodes],
            "completion_ids": [e["tokens"].ids[e["tokens"].prompt_length :] for e in episodes],
            "logprobs": [e["tokens"].log_probs[e["tokens"].prompt_length :] for e in episodes],
            "env_mask": [e["tokens"].loss_mask[e["tokens"].prompt_length :] for e in episodes],
            "shaped": [e["shaped"] for e in episodes],
            "official": [e["reward"] for e in episodes],
            "partial": [e["partial"] for e in episodes],
        }

    async def _play_groups(self, policy: Any, step: int) -> list[Group]:
        size = self.args.samples_per_prompt

        async def play_group(group: Group) -> list[Episode]:
            names = [f"{step}/{group.number * size + i}" for i in range(size)]
            return await together(self._play(group.task_id, name, policy) for name in names)

        rows = read_jsonl_prefix(self.path) if self.path.exists() else []
        try:
            return await fill(
                self.plan, draws(self.choice, step, played(rows, before=step)), play_group
            )
        finally:
            await self.settings.users.close()

    async def _play(self, task_id: str, name: str, policy: Any) -> Episode:
        task = get_task(task_id)
        for attempt in range(objective.ATTEMPTS):
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
            made = row | nothing | {"tokens": tokens, "sample": sample}
            failure = f"{trajectory.end.value}: {trajectory.detail}"
            return Episode(made, None, None, 0, 0, failure)
        result = score(trajectory, task, self.weights)
        counts = count(task, trajectory.messages, tokens)
        rewards = objective.rewards(
            result, wasted_turns(counts), alpha=self.args.alpha, each=self.args.repeat_penalty
        )
        sample = Sample(task, trajectory, result, rewards["shaped"])
        made = row | loops(counts) | rewards | {"tokens": tokens, "sample": sample}
        return Episode(
            made, result.reward, rewards["shaped"], len(tokens.ids), trajectory.agent_turns
        )

    def _record(self, groups: list[Group], step: int, seconds: float) -> None:
        with open(self.path, "a", encoding="utf-8") as stream:
            for group in groups:
                about = {"step": step, "group": group.number}
                about |= {"dropped": group.dropped} if group.dropped else {}
                for episode in group.episodes:
                    row = about | {k: v for k, v in episode.made.items() if k != "sample"}
                    row["tokens"] = len(episode.made["tokens"].ids)
                    stream.write(json.dumps(row) + "\n")
        trained = [episode.made for group in kept(groups) for episode in group.episodes]
        self.samples.keep(step, [e["sample"] for e in trained])
        scored = [e for e in trained if e["shaped"] is not None]
        reward = fmean(e["reward"] for e in scored)
        self.progress.step(step + 1, reward)
        ends = Counter(e["end"] for e in trained)
        failures = Counter(e["failure"] for e in trained if "failure" in e)
        told = summary(groups)
        flat = notice(self.flat, groups)
        print(
            f"rollout {step}: reward {reward:.3f}{self.progress.rises()}  "
            f"partial {fmean(e['partial'] for e in scored):.3f}  "
            f"groups with a spread {told['groups'] - told['groups_without_spread']}/"
            f"{told['groups']}  "
            + (f"{flat}  " if flat else "")
            + (f"dropped {told['dropped']}  " if told["dropped"] else "")
            + f"tokens {told['tokens']:.0f} (all played: {told['tokens_played']:.0f})  "
            f"ends {dict(ends)}  "
            + (f"failures of the user {dict(failures)}  " if failures else "")
            + f"{seconds:.1f} s{self.progress.left()}",
            flush=True,
        )
        self.flat.check()
