"""CPU time of an episode with the full prompt and its token streams, and whether they are right.

    python benchmarks/tokens.py                         a minute
    python benchmarks/tokens.py --tokenizer models/NAME the tokenizer of a model

The scripted teacher's words are sampled as token ids, the policy takes no time: what is left is the
episode, the prompt and the tokens. Beside it stands the same episode with the whole conversation
rendered and tokenised for each turn, as servers of chat completions do it. Streams must be equal to
the whole conversation rendered at once: those of the episodes played here, and of every task with
every chat template, TRL's and ours, that the codec takes.
"""

from __future__ import annotations

import asyncio
import cProfile
import pstats
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import fmean

import environment
import measure
import policies
from tau2.data_model.message import AssistantMessage, Message
from tau2.data_model.tasks import Task

from tau2_agent import cli
from tau2_agent.benchmark.environment import prompt_tools, system_prompt
from tau2_agent.benchmark.tasks import load_tasks
from tau2_agent.errors import PipelineError
from tau2_agent.reward.scoring import score
from tau2_agent.rollout.chat_template import ChatCodec
from tau2_agent.rollout.episode import run_episode
from tau2_agent.rollout.model_rollout import EpisodeSettings, play
from tau2_agent.rollout.rendering import TemplateError
from tau2_agent.rollout.template_choice import choose_template
from tau2_agent.rollout.trajectory import Trajectory, agent_view, as_chat
from tau2_agent.users.registry import Users, make_user

PLAIN, STREAM, WHOLE = (
    "the episode, no tokens",
    "full prompt and token stream (ours)",
    "whole conversation for each turn",
)


class UnequalStreams(PipelineError):
    """A token stream is not what the template makes of the whole conversation."""


class WholeEachTurn:
    """An agent that renders and tokenises the whole conversation for each of its turns."""

    tokens = None

    def __init__(self, codec: ChatCodec, turns: list[list[int]], prompt: str) -> None:
        self.codec, self._turns, self._calls = codec, iter(turns), 0
        self.tools = prompt_tools(prompt)
        self.talk = [{"role": "system", "content": system_prompt(prompt)}]
        self.prompt: list[int] = []

    async def act(self, new: list[Message]) -> AssistantMessage:
        """See `episode.Agent.act`."""
        self.talk += map(as_chat, new)
        text = self.codec.render(self.talk, self.tools, generation_prompt=True)
        self.prompt = self.codec.encode(text)
        answer = self.codec.parse(next(self._turns), first_call=self._calls)
        self._calls += len(answer.tool_calls or [])
        self.talk.append(as_chat(answer))
        return answer


def streams(tasks: list[Task], codec: ChatCodec, turns: dict[str, list[list[int]]], prompt: str):
    """Trajectories with tokens, as training and evaluation play them."""
    settings = EpisodeSettings(Users(), prompt=prompt)

    async def all_of_them() -> list[Trajectory]:
        return [
            await play(task, policies.Recited(turns[task.id]), codec, settings, task.id, "0")
            for task in tasks
        ]

    return asyncio.run(all_of_them())


def compare(tasks: list[Task], codec: ChatCodec, rounds: int, prompt: str) -> str:
    """The table of the three ways. Raises UnequalRewards, UnequalStreams."""
    turns = {
        task_id: policies.answers(trajectory, codec)
        for task_id, trajectory in policies.recorded(tasks).items()
    }

    async def whole(tasks: list[Task]) -> list[float]:
        rewards = []
        for task in tasks:
            agent = WholeEachTurn(codec, turns[task.id], prompt)
            trajectory = await run_episode(task, agent, make_user("scripted", task))
            rewards.append(score(trajectory, task).reward)
        return rewards

    def with_streams(tasks: list[Task]) -> list[float]:
        played = streams(tasks, codec, turns, prompt)
        return [score(t, task).reward for t, task in zip(played, tasks, strict=True)]

    ways: dict[str, Callable[[list[Task]], list[float]]] = {
        PLAIN: environment.in_our_loop,
        STREAM: with_streams,
        WHOLE: lambda tasks: asyncio.run(whole(tasks)),
    }
    first = with_first_prompt(with_streams, tasks[:1])
    times, rewards = environment.play(ways, tasks, rounds)
    played = streams(tasks, codec, turns, prompt)
    for trajectory in played:
        check_stream(trajectory.tokens.ids, chat(trajectory, prompt), codec, prompt)
    rows = [
        [
            name,
            measure.spread([1000 * t for t in times[name]]),
            f"{measure.ratio(times[name], times[STREAM]):.1f}",
            f"{sum(rewards[name]):.0f} of {len(tasks)}",
        ]
        for name in ways
    ]
    length = fmean(len(t.tokens.ids) for t in played)
    prompt_length = fmean(t.tokens.prompt_length for t in played)
    sampled = fmean(sum(t.tokens.loss_mask) for t in played)
    return (
        f"{len(tasks)} tasks, {rounds} rounds; {length:.0f} tokens an episode, {prompt_length:.0f} "
        f"of them first prompt, {sampled:.0f} sampled in {fmean(map(len, turns.values())):.1f} "
        f"turns; the first episode of a process: {1000 * first:.0f} ms\n\n"
        f"{measure.table(['episode', 'CPU ms an episode', '× ours', 'solved'], rows)}\n\n"
        f"{shares(partial(with_streams, tasks))}"
    )


def with_first_prompt(way: Callable[[list[Task]], list[float]], tasks: list[Task]) -> float:
    """CPU seconds of an episode that has to make what is then kept for the process."""
    with measure.Taken() as taken:
        way(tasks)
    return taken.cpu


def chat(trajectory: Trajectory, prompt: str) -> list[dict]:
    """The conversation as the agent has seen it, in a chat template's form."""
    seen = [as_chat(message) for message in agent_view(trajectory.messages)]
    return [{"role": "system", "content": system_prompt(prompt)}, *seen]


def check_stream(ids: list[int], talk: list[dict], codec: ChatCodec, prompt: str) -> None:
    """Raise UnequalStreams unless the ids are the beginning of the whole, up to its last answer."""
    whole = codec.encode(codec.render(talk, prompt_tools(prompt)))
    if ids != whole[: len(ids)] or codec.stop_id in answered(whole[len(ids) :], talk, codec):
        raise UnequalStreams(f"a stream of {len(ids)} tokens is not the conversation as rendered")


def answered(rest: list[int], talk: list[dict], codec: ChatCodec) -> list[int]:
    """What stands behind a stream, less the messages that came in after the last answer."""
    behind = 0
    while talk[-1 - behind]["role"] != "assistant":
        behind += 1
    if not behind:
        return rest
    late = codec.encode(codec.increment_text(talk[-behind:]))
    return rest[len(late) :]


def every_template(tasks: list[Task], limit: int | None) -> str:
    """The table of streams that are the whole conversation, template by template."""
    texts = policies.templates()
    tokenizer = policies.tokenizer(templates=texts.values())
    rows, refused = [], 0
    talks = [chat(t, "tau2") for t in policies.recorded(tasks).values()]
    for name, text in texts.items():
        if limit is not None and len(rows) >= limit:
            break
        tokenizer.chat_template = text
        try:
            codec = choose_template(tokenizer).codec
        except TemplateError:
            refused += 1
            continue
        for talk in talks:
            check_stream(codec.trace(talk, prompt_tools("tau2")).ids, talk, codec, "tau2")
        rows.append([name, codec.call_format.name, f"{len(talks)} of {len(talks)}"])
    return (
        f"Streams of {len(tasks)} episodes, full prompt; {refused} further templates are refused "
        f"by the codec\n\n{measure.table(['chat template', 'calls', 'equal to the whole'], rows)}"
    )


def shares(work: Callable[[], object]) -> str:
    """What the episode with tokens spends its time on, profiled once."""
    profile = cProfile.Profile()
    profile.enable()
    work()
    profile.disable()
    stats = pstats.Stats(profile)
    names = {
        "tokenising": ("chat_template.py", "encode"),
        "reading what was sampled": ("chat_template.py", "parse"),
        "tau2's tools": ("environment.py", "get_response"),
        "the user": ("user.py", "reply"),
        "making the environment": ("environment.py", "make_environment"),
        "scoring": ("scoring.py", "score"),
    }
    rows = []
    for what, (file, function) in names.items():
        found = [
            value[3]
            for (path, _, name), value in stats.stats.items()
            if name == function and Path(path).name == file and "tau2_agent" in path
        ]
        rows.append([what, f"{100 * sum(found) / stats.total_tt:.0f} %"])
    return measure.table(["of ours", "share (profiled)"], rows)


def main() -> int:
    parser = cli.parser(__doc__)
    parser.add_argument("--split", default="test")
    parser.add_argument("--tasks", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--prompt", default="tau2", help="the system prompt, as in config.yaml")
    parser.add_argument("--tokenizer", type=Path, help="folder; without one it is made here")
    parser.add_argument("--template-tasks", type=int, default=114, help="of base, each template")
    parser.add_argument("--templates", type=int, help="try so many; all without")
    args = parser.parse_args()
    print(f"{measure.machine()}\n")
    codec = ChatCodec(policies.tokenizer(args.tokenizer))
    print(
        compare(load_tasks(args.split)[: args.tasks], codec, args.rounds, args.prompt), flush=True
    )
    if args.template_tasks and args.templates != 0:
        tasks = load_tasks("base")[: args.template_tasks]
        print(f"\n{every_template(tasks, args.templates)}")
    return 0


if __name__ == "__main__":
    cli.run(main)
