"""The rollouts of a GRPO training with TRL: the batch's episodes, played, scored and recorded."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from pathlib import Path
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

    def __init__(self, args, codec, folder: Path, progress: Progress) -> None:
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
        self.samples = Samples(folder / TRANSCRIPTS, args.keep_episodes, codec.tokenizer)
        self.progress = progress
        self.flat = objective.FlatRollouts()
        self.advantages: list[float] = []  # of the last rollout; the trainer reads them
        self.settings.users.open(folder / USER_CALLS)
        self.settings.users.failures.window = max(FEWEST, 4 * batch_size(args))

    def __call__(self, prompts: list[str], trainer: Any) -> dict[str, list[Any]]:
        step = trainer.state.global_step
        policy = LocalPolicy(trainer.model, self.codec.stop_ids, seed=self.args.seed)
        trainer.model.eval()
        try:
            began = time.time()
            episodes = asyncio.run(self._play_all(prompts, policy, step))
        finally:
            trainer.model.train()
        self._record(episodes, step, time.time() - began)
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

    async def _play_all(self, task_ids: list[str], policy: Any, step: int) -> list[dict[str, Any]]:
        try:
            return await together(
                self._play(task_id, f"{step}/{number}", policy)
                for number, task_id in enumerate(task_ids)
            )
        finally:
            await self.settings.users.close()

    async def _play(self, task_id: str, name: str, policy: Any) -> dict[str, Any]:
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
            return row | nothing | {"tokens": tokens, "sample": sample}
        result = score(trajectory, task, self.weights)
        counts = count(task, trajectory.messages, tokens)
        rewards = objective.rewards(
            result, wasted_turns(counts), alpha=self.args.alpha, each=self.args.repeat_penalty
        )
        sample = Sample(task, trajectory, result, rewards["shaped"])
        return row | loops(counts) | rewards | {"tokens": tokens, "sample": sample}

    def _record(self, episodes: list[dict[str, Any]], step: int, seconds: float) -> None:
        scored = [e for e in episodes if e["shaped"] is not None]
        shaped = [e["shaped"] for e in episodes]
        size = self.args.samples_per_prompt
        groups = [shaped[i : i + size] for i in range(0, len(shaped), size)]
        self.samples.keep(step, [e["sample"] for e in episodes])
        with open(self.path, "a", encoding="utf-8") as stream:
            for e in episodes:
                row = {"step": step} | {k: v for k, v in e.items() if k != "sample"}
                row["tokens"] = len(e["tokens"].ids)
                stream.write(json.dumps(row) + "\n")
        number = max(len(scored), 1)
        reward = sum(e["reward"] for e in scored) / number
        self.progress.step(step + 1, reward)
        ends = Counter(e["end"] for e in episodes)
        failures = Counter(e["failure"] for e in episodes if "failure" in e)
        solved = bool(scored) and all(e["reward"] >= objective.SOLVED for e in scored)
        flat = self.flat.rollout(groups, solved)
        print(
            f"rollout {step}: reward {reward:.3f}{self.progress.rises()}  "
            f"partial {sum(e['partial'] for e in scored) / number:.3f}  "
            f"groups with a spread {sum(map(objective.has_spread, groups))}/{len(groups)}  "
            + (f"{flat}  " if flat else "")
            + f"ends {dict(ends)}  "
            + (f"failures of the user {dict(failures)}  " if failures else "")
            + f"{seconds:.1f} s{self.progress.left()}",
            flush=True,
        )
        self.flat.check()
