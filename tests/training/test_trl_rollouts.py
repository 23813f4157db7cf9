"""What TRL gets of a rollout: a policy that is told what to say, and a look at every token."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace

import pytest

import train_grpo_trl
from tau2_agent.benchmark.tasks import load_tasks
from tau2_agent.records.progress import Progress
from tau2_agent.records.samples import TRANSCRIPTS
from tau2_agent.records.transcripts import read_transcripts
from tau2_agent.rollout.chat_template import ChatCodec
from tau2_agent.rollout.episode import GREETING
from tau2_agent.rollout.trajectory import PolicyFailure, Turn
from tau2_agent.training import trl_rollouts

FILES = ["--model", "m", "--tasks", "t", "--output", "o", "--prompt", "short"]
ENOUGH = ["--samples-per-prompt", "4", "--seed", "17", "--max-new-tokens", "100"]
ENOUGH += ["--prompts-per-rollout", "2", "--no-dynamic-sampling"]
TRANSFER = (
    '<tool_call>\n{"name": "transfer_to_human_agents", "arguments": {"summary": "s"}}\n</tool_call>'
)
GOODBYE = "YOU ARE BEING TRANSFERRED TO A HUMAN AGENT. PLEASE HOLD ON."
TIMEOUT_S = 3.0  # more than what the others need on a busy machine


class Told:
    """A policy for which every session has its part. Keeps what it said, by session."""

    def __init__(self, codec: ChatCodec, parts) -> None:
        self.codec, self.parts = codec, parts
        self.said: dict[str, list[Turn]] = {}
        self.made_with = None

    def __call__(self, model, stop_ids, seed):
        self.made_with = (model, tuple(stop_ids), seed)
        return self

    async def generate(self, prompt, sampling, session):
        said = self.said.setdefault(session, [])
        part = self.parts(*session.split("/")[1:])
        text = part[min(len(said), len(part) - 1)]
        if text == "fail":
            raise PolicyFailure("no server")
        if text == "wait":
            await asyncio.sleep(3 * TIMEOUT_S)
        ids = [*self.codec.tokenizer(text, add_special_tokens=False)["input_ids"]]
        ids.append(self.codec.stop_id)
        said.append(Turn(ids, [-0.5 - 0.01 * place for place in range(len(ids))], "stop"))
        return said[-1]


def parts(number: str, attempt: str) -> list[str]:
    """What the policy says in an episode of the first group (0 to 3) or the second."""
    told = {
        "1": ["Hello.", "fail"],
        "2": ["fail"] if attempt == "0" else ["Please check the status bar.", TRANSFER, GOODBYE],
        "3": ["Hello.", "wait"],
    }
    return told.get(number, [TRANSFER, GOODBYE])


@pytest.fixture(scope="module")
def played(tokenizer, tmp_path_factory):
    """A rollout of two groups of four: what TRL got, the policy, the function, the rows."""
    codec = ChatCodec(tokenizer)
    policy = Told(codec, parts)
    args = train_grpo_trl.parse([*FILES, *ENOUGH])
    modes = []
    model = SimpleNamespace(eval=lambda: modes.append("eval"), train=lambda: modes.append("train"))
    trainer = SimpleNamespace(model=model, state=SimpleNamespace(global_step=5))
    solved = next(t for t in load_tasks("train") if "transfer" in str(t.evaluation_criteria))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trl_rollouts, "EPISODE_TIMEOUT_S", TIMEOUT_S)
        patch.setattr(trl_rollouts, "LocalPolicy", policy)
        folder = tmp_path_factory.mktemp("rollout")
        tasks = [solved.id, load_tasks("train")[0].id]
        rollouts = trl_rollouts.Rollouts(args, codec, folder, Progress("x", 1), tasks)
        patch.setattr(rollouts.choice, "first", lambda rollout, before: tasks)
        got = rollouts([], trainer)
    assert modes == ["eval", "train"]
    rows = [json.loads(line) for line in rollouts.path.read_text().splitlines()]
    kept = read_transcripts(folder / TRANSCRIPTS)
    return SimpleNamespace(
        got=got, policy=policy, rollouts=rollouts, rows=rows, model=model, kept=kept
    )


def test_loss_is_on_what_the_policy_said_and_on_nothing_else(played, tokenizer) -> None:
    columns = ("prompt_ids", "completion_ids", "logprobs", "env_mask")
    for number, (prompt, ids, log_probs, mask) in enumerate(
        zip(*(played.got[name] for name in columns), strict=True)
    ):
        assert len(ids) == len(log_probs) == len(mask)
        trained = [(i, p) for i, p, on in zip(ids, log_probs, mask, strict=True) if on]
        turns = played.policy.said[f"5/{number}/{1 if number == 2 else 0}"]
        said = [pair for turn in turns for pair in zip(turn.token_ids, turn.log_probs, strict=True)]
        assert trained == ([] if number in (1, 3) else said), number
        assert all(p == 0.0 for p, on in zip(log_probs, mask, strict=True) if not on)
        # tau2's greeting is in the prompt: it is not the policy's
        if trained:
            assert GREETING in tokenizer.decode(prompt)
            assert mask[0] == 1 and 0 in mask  # the user's words come between
            assert GREETING not in tokenizer.decode(ids)


def test_what_the_machine_ended_has_no_reward_and_is_in_no_baseline(played) -> None:
    ends = [row["end"] for row in played.rows]
    assert (ends[1], ends[3]) == ("policy_error", "timeout")
    assert set(ends[:1] + ends[2:3] + ends[4:]) == {"user_stop"}
    for number in (1, 3):
        for name in ("shaped", "official", "partial"):
            assert played.got[name][number] is None  # 0 would be a failure of the agent
        assert played.rollouts.advantages[number] == 0.0
        # Tried twice.
        assert {f"5/{number}/0", f"5/{number}/1"} <= set(played.policy.said)
    first, again = (played.got["shaped"][number] for number in (0, 2))
    # Two episodes are scored alike: with zeros for the others they would stand out.
    assert first == again > 0
    assert played.rollouts.advantages[:4] == [0.0] * 4


def test_kept_conversations_have_the_rewards_that_are_trained_on(played) -> None:
    assert [(one.rollout, one.sample) for one in played.kept] == [(5, n) for n in range(8)]
    assert [one.shaped for one in played.kept] == played.got["shaped"]
    assert [one.reward for one in played.kept] == played.got["official"]
    assert all(one.tokens.ids for one in played.kept if one.shaped is not None)


def test_episodes_of_a_rollout_have_streams_of_their_own_from_the_seed(played) -> None:
    assert played.policy.made_with == (played.model, tuple(played.rollouts.codec.stop_ids), 17)
    sessions = set(played.policy.said)
    assert {name.rpartition("/")[0] for name in sessions} == {f"5/{n}" for n in range(8)}
    assert len(sessions) == 8 + 3  # three were tried again
