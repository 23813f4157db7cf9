"""Evaluation against a stand-in server: ours, tau2's ways, and the time that nobody can beat.

    python benchmarks/evaluation.py                three minutes
    python benchmarks/evaluation.py --gym 0        two minutes

The stand-in (stand_in_server.py) answers as the scripted teacher does, after the time that a server
with a model takes. The bound is `stand_in_server.bound`. Ours is the loop of evaluate_tau2.py with
its files: rows, transcripts, progress. A task that ticks beside it measures how long the event loop
is held up.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import json
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from statistics import fmean, median, quantiles

import measure
import peers
import policies
from stand_in_server import Speed, StandInServer, Turns, bound
from tau2.data_model.tasks import Task

from tau2_agent import cli
from tau2_agent.benchmark.environment import prompt_tools, system_prompt
from tau2_agent.benchmark.tasks import load_tasks
from tau2_agent.errors import PipelineError
from tau2_agent.evaluation.model_evaluation import recorder
from tau2_agent.evaluation.model_players import play_all
from tau2_agent.inference.sglang_client import SGLangPolicy
from tau2_agent.records.episode_log import EpisodeLog
from tau2_agent.records.progress import Progress
from tau2_agent.records.transcripts import TranscriptFile
from tau2_agent.reward.scoring import DEFAULT_WEIGHTS
from tau2_agent.rollout.chat_template import ChatCodec
from tau2_agent.rollout.episode import Agent
from tau2_agent.rollout.model_agent import ModelAgent
from tau2_agent.rollout.model_rollout import EpisodeSettings
from tau2_agent.rollout.policy import Sampling
from tau2_agent.rollout.trajectory import Turn
from tau2_agent.users.registry import Users

OURS, ORCHESTRATOR, GYM = "ours", "tau2's orchestrator", "tau2's AgentGymEnv"
Way = Callable[[Task, Agent], float]
SPLITS = ["base", "extra_train"]  # tau2's gym knows no others than base
TICK_S = 0.002


@dataclass
class Run:
    """One evaluation. Times are in seconds, `cpu` is of this process.

    lags: how late each tick beside the evaluation came. pieces: CPU time of the event loop's thread
    between two ticks, which others on the machine do not lengthen as they do lags.
    """

    wall: float
    cpu: float
    episodes: int
    solved: int
    turns: int
    tokens: int
    lags: list[float]
    pieces: list[float]
    seconds: list[float]


def at_most(values: list[float], share: float) -> float:
    """What this share of the values does not exceed."""
    if share >= 1:
        return max(values)
    return quantiles(values, n=1000, method="inclusive")[round(1000 * share) - 1]


async def tick(lags: list[float], pieces: list[float]) -> None:
    """Note by how much each pause was longer than asked for, and what was computed in it."""
    while True:
        began, computed = time.perf_counter(), time.thread_time()
        await asyncio.sleep(TICK_S)
        lags.append(time.perf_counter() - began - TICK_S)
        pieces.append(time.thread_time() - computed)


def ours(url: str, tasks: list[Task], trials: int, concurrency: int, codec: ChatCodec) -> Run:
    """Evaluate as evaluate_tau2.py does with a server that runs already."""
    args = argparse.Namespace(
        concurrency=concurrency, seed=0, weights=DEFAULT_WEIGHTS, max_failure_share=0.1
    )
    jobs = [(task, trial) for trial in range(trials) for task in tasks]
    by_id = {task.id: task for task in tasks}
    lags: list[float] = []
    pieces: list[float] = []

    async def evaluate(write) -> None:
        policy = SGLangPolicy(url, codec.stop_ids)
        ticking = asyncio.create_task(tick(lags, pieces))
        try:
            await play_all(jobs, policy, codec, EpisodeSettings(Users()), args, write)
        finally:
            ticking.cancel()
            await policy.close()

    with (
        tempfile.TemporaryDirectory() as folder,
        EpisodeLog(Path(folder) / "rows.jsonl", "benchmark") as log,
        TranscriptFile(Path(folder) / "transcripts.jsonl.gz", "benchmark") as transcripts,
        contextlib.redirect_stdout(io.StringIO()),
        Progress("benchmark", len(jobs)) as progress,
        measure.Taken() as taken,
    ):
        asyncio.run(evaluate(recorder(by_id, log, transcripts, progress)))
    rows = list(log.rows.values())
    return Run(
        taken.wall,
        taken.cpu,
        len(rows),
        sum(row.solved for row in rows),
        sum(row.agent_turns for row in rows),
        sum(row.sampled_tokens or 0 for row in rows),
        lags,
        pieces,
        [row.seconds for row in rows],
    )


class Blocking:
    """The server as a policy that holds up its thread until the answer is there."""

    def __init__(self, url: str) -> None:
        self.connection = HTTPConnection(url.removeprefix("http://"))

    async def generate(self, prompt: list[int], sampling: Sampling, session: str) -> Turn:
        """See `rollout.policy.Policy.generate`."""
        body = json.dumps({"input_ids": prompt})
        self.connection.request("POST", "/generate", body, {"X-SMG-Routing-Key": session})
        pairs = json.load(self.connection.getresponse())["meta_info"]["output_token_logprobs"]
        return Turn([pair[1] for pair in pairs], [pair[0] for pair in pairs], "stop")


def model_agent(url: str, task: Task, codec: ChatCodec) -> ModelAgent:
    """Our agent with its token stream, for tau2's ways to play."""
    return ModelAgent(
        Blocking(url),
        codec,
        Sampling(),
        system_prompt=system_prompt("tau2"),
        tools=prompt_tools("tau2"),
        session=f"0/{task.id}/0/1",
        context_length=32768,
    )


def theirs(way: Way, url: str, tasks: list[Task], codec: ChatCodec, threads: int) -> list[float]:
    """[seconds of all, seconds of each task on average]. All must be solved."""
    with measure.Taken() as taken, ThreadPoolExecutor(threads) as pool:
        rewards = list(pool.map(lambda task: way(task, model_agent(url, task, codec)), tasks))
    if sum(rewards) < len(tasks):
        raise PipelineError(f"{way.__name__}: {sum(rewards):.0f} of {len(tasks)} solved; no time")
    return [taken.wall, taken.wall / len(tasks)]


@dataclass
class Setting:
    """What is played against which server."""

    tasks: list[Task]
    turns: dict[str, Turns]
    codec: ChatCodec
    speed: Speed

    def bound(self, tasks: list[Task], concurrency: int) -> float:
        """See `stand_in_server.bound`."""
        return bound(self.speed, [self.turns[task.id] for task in tasks], concurrency)

    def ours(self, number: int, concurrency: int, speed: Speed | None = None) -> Run:
        """Our evaluation of the first tasks. Raises PipelineError unless all are solved."""
        with StandInServer(self.turns, speed or self.speed) as server:
            run = ours(server.url, self.tasks[:number], 1, concurrency, self.codec)
        if run.solved < number:
            raise PipelineError(f"{run.solved} of {number} solved: what was measured says nothing")
        return run


def make_setting(splits: list[str], number: int, speed: Speed) -> Setting:
    """The first tasks of these splits, with the teacher's words for each, and a tokenizer."""
    tasks = [task for split in splits for task in load_tasks(split)][:number]
    codec = ChatCodec(policies.tokenizer())
    played = policies.recorded(tasks)
    turns = {task_id: policies.answers(t, codec) for task_id, t in played.items()}
    return Setting(tasks, turns, codec, speed)


def against_tau2(setting: Setting, sizes: list[tuple[int, int]], gym: int, rounds: int) -> str:
    """The table of evaluations of (tasks, at once) against the bound and against tau2's ways."""
    runs: dict[tuple[int, int], list[float]] = {size: [] for size in sizes}
    for _ in range(rounds):
        for number, concurrency in sizes:
            runs[number, concurrency].append(setting.ours(number, concurrency).wall)
    rows, one, slower = [], {}, {}
    few, (most, at_once) = setting.tasks[: max(gym, 1)], sizes[0]
    with StandInServer(setting.turns, setting.speed) as server:
        if gym:
            one[GYM] = theirs(peers.in_gym, server.url, few, setting.codec, 1)[1]
        one[ORCHESTRATOR] = theirs(peers.orchestrated, server.url, few, setting.codec, 1)[1]
        threads = theirs(
            peers.orchestrated, server.url, setting.tasks[:most], setting.codec, at_once
        )[0]
    for number, concurrency in sizes:
        limit = setting.bound(setting.tasks[:number], concurrency)
        times = runs[number, concurrency]
        wall = median(times)
        over = f"+{100 * (wall / limit - 1):.0f} %"
        rows.append([number, OURS, concurrency, measure.spread(times, 1), f"{limit:.1f}", over, 1])
        for name, seconds in one.items():
            told = f"{number * seconds:,.0f} ({len(few)} played: {seconds:.1f} each)"
            slower[number, name] = [number, name, 1, told, "", "", f"{number * seconds / wall:.0f}"]
    rows += slower.values()  # against the last, and fastest, of ours
    limit = setting.bound(setting.tasks[:most], at_once)
    over = f"+{100 * (threads / limit - 1):.0f} %"
    ours_took = median(runs[sizes[0]])
    row = [most, f"{ORCHESTRATOR}, threads", at_once, f"{threads:.1f}", f"{limit:.1f}", over]
    rows.append([*row, f"{threads / ours_took:.1f}"])
    header = ["tasks", "way", "at once", "wall s", "bound s", "over the bound", "× ours"]
    return measure.table(header, rows)


def sweep(setting: Setting, at_once: list[int], least: int) -> str:
    """The table of time and lag by the number of episodes at once."""
    rows = []
    for concurrency in at_once:
        number = min(len(setting.tasks), max(concurrency, least))
        run = setting.ours(number, concurrency)
        limit = setting.bound(setting.tasks[:number], concurrency)
        rows.append(
            [
                concurrency,
                number,
                f"{run.wall:.1f}",
                f"{limit:.1f}",
                f"{median(run.seconds):.1f}",
                *(f"{1000 * at_most(run.lags, share):.1f}" for share in (0.5, 0.99, 1)),
                *(f"{1000 * at_most(run.pieces, share):.1f}" for share in (0.99, 1)),
                f"{run.turns / run.wall:.0f}",
                f"{100 * run.cpu / run.wall:.0f} %",
            ]
        )
    lags = [f"lag ms, {word}" for word in ("median", "99 %", "most")]
    lags += [f"piece ms, {word}" for word in ("99 %", "most")]
    header = ["at once", "episodes", "wall s", "bound s", "median s an episode", *lags]
    return measure.table([*header, "turns/s", "of one core"], rows)


def ceiling(setting: Setting, concurrency: int) -> str:
    """What one process can do when the server takes no time."""
    run = setting.ours(len(setting.tasks), concurrency, Speed(0.0, 0.0, 4096))
    row = [
        concurrency,
        f"{run.episodes / run.wall:.0f}",
        f"{run.turns / run.wall:.0f}",
        f"{run.tokens / run.wall:.0f}",
        f"{1000 * run.cpu / run.turns:.2f}",
        f"{1000 * run.cpu / run.episodes:.1f}",
    ]
    header = ["at once", "episodes/s", "turns/s", "sampled tokens/s", "CPU ms a turn"]
    return measure.table([*header, "CPU ms an episode"], [row])


def main() -> int:
    parser = cli.parser(__doc__)
    parser.add_argument("--splits", nargs="*", default=SPLITS)
    parser.add_argument("--tasks", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=1, help="of the comparison with tau2")
    parser.add_argument("--gym", type=int, default=2, help="tasks in the gym, half a minute each")
    parser.add_argument("--at-once", type=int, nargs="*", default=[1, 8, 64, 256, 512])
    parser.add_argument("--request-s", type=float, default=Speed().request_s)
    parser.add_argument("--token-s", type=float, default=Speed().token_s)
    parser.add_argument("--slots", type=int, default=Speed().slots)
    args = parser.parse_args()
    speed = Speed(args.request_s, args.token_s, args.slots)
    number = max(args.tasks, *args.at_once, 1)
    setting = make_setting(args.splits, number, speed)
    few = min(40, args.tasks)
    print(f"{measure.machine()}\n")
    print(
        f"Stand-in server: {speed.request_s * 1000:g} ms a request and {speed.token_s * 1000:g} ms "
        f"a token, {speed.slots} slots; tasks of {', '.join(args.splits)}, turns of "
        f"{fmean(len(ids) for turns in setting.turns.values() for ids in turns):.0f} tokens\n"
    )
    sizes = [(few, few), (args.tasks, min(speed.slots, args.tasks)), (args.tasks, args.tasks)]
    print(against_tau2(setting, sizes, args.gym, args.rounds), flush=True)
    if args.at_once:
        print(f"\n{sweep(setting, args.at_once, least=2)}", flush=True)
    print(f"\nA server that takes no time\n\n{ceiling(setting, speed.slots)}")
    return 0


if __name__ == "__main__":
    cli.run(main)
