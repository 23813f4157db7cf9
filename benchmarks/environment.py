"""Episodes a second in one process: ours against tau2's orchestrator and tau2's gym.

    python benchmarks/environment.py                    two minutes
    python benchmarks/environment.py --gym 0            without the gym, half a minute

The same tasks, the same agent (the scripted teacher) and the same user (the scripted one) play
everywhere; an episode counts with its reward, and rewards must be equal. Times are CPU, so other
programs disturb them little; the gym waits a lot, so its wall time is given too. Then ours plays on
up to `--episodes`, with time and memory on the way: neither may grow.
"""

from __future__ import annotations

import asyncio
import cProfile
import pstats
from collections.abc import Callable
from functools import partial
from statistics import median

import measure
import peers
from tau2.data_model.tasks import Task

from tau2_agent import cli
from tau2_agent.benchmark.tasks import load_tasks
from tau2_agent.errors import PipelineError
from tau2_agent.reward.scoring import score
from tau2_agent.rollout.episode import run_episode
from tau2_agent.teachers.baselines import make_agent
from tau2_agent.users.registry import make_user

OURS, ORCHESTRATOR, GYM = "ours", "tau2's orchestrator and evaluator", "tau2's AgentGymEnv"
RUNNER = "tau2's run_task, which makes tool schemas each time"


class UnequalRewards(PipelineError):
    """Two ways to play an episode disagree, so their times say nothing."""


async def ours(task: Task) -> float:
    """The reward of an episode as the pipeline plays and scores it."""
    trajectory = await run_episode(task, make_agent("scripted"), make_user("scripted", task))
    return score(trajectory, task).reward


def play(ways: dict[str, Callable[[list[Task]], list[float]]], tasks: list[Task], rounds: int):
    """Name -> CPU seconds an episode, of each round. Raises UnequalRewards."""
    rewards: dict[str, list[float]] = {}

    def once(name: str) -> float:
        with measure.Taken() as taken:
            rewards[name] = ways[name](tasks)
        return taken.cpu / len(tasks)

    times = measure.interleaved({name: partial(once, name) for name in ways}, rounds)
    same_rewards(rewards)
    return times, rewards


def same_rewards(rewards: dict[str, list[float]]) -> None:
    """Raise UnequalRewards unless all ways gave the same rewards."""
    if len({tuple(given) for given in rewards.values()}) > 1:
        raise UnequalRewards(f"rewards differ, so the times cannot be compared: {rewards}")


async def _many(tasks: list[Task]) -> list[float]:
    return [await ours(task) for task in tasks]


def in_our_loop(tasks: list[Task]) -> list[float]:
    return asyncio.run(_many(tasks))


def with_orchestrator(tasks: list[Task]) -> list[float]:
    return [peers.orchestrated(task, make_agent("scripted")) for task in tasks]


def with_runner(tasks: list[Task]) -> list[float]:
    return [peers.by_runner(task, make_agent("scripted")) for task in tasks]


def compare(split: str, number: int, rounds: int) -> str:
    """The table of ours against the orchestrator, and against the runner around it."""
    tasks = load_tasks(split)[:number]
    ways = {OURS: in_our_loop, ORCHESTRATOR: with_orchestrator, RUNNER: with_runner}
    for way in ways.values():
        way(tasks[:2])  # what is made once a process
    times, rewards = play(ways, tasks, rounds)
    rows = [
        [
            name,
            measure.spread([1000 * t for t in times[name]]),
            f"{1 / median(times[name]):.0f}",
            f"{measure.ratio(times[name], times[OURS]):.1f}",
            f"{sum(rewards[name]):.0f} of {len(tasks)}",
        ]
        for name in ways
    ]
    header = ["way", "CPU ms an episode", "episodes/s", "× ours", "solved"]
    return f"{len(tasks)} tasks of {split}, {rounds} rounds\n\n{measure.table(header, rows)}"


def gym(split: str, number: int) -> str:
    """The table of ours against the gym, and what the gym spends its time on."""
    tasks = load_tasks(split)[:: max(1, len(load_tasks(split)) // number)][:number]
    rows, rewards, pairs = [], {OURS: [], GYM: []}, []
    profile = cProfile.Profile()
    for place, task in enumerate(tasks):
        with measure.Taken() as taken:
            rewards[GYM].append(peers.in_gym(task, make_agent("scripted")))
        with measure.Taken() as short:
            rewards[OURS] += in_our_loop([task])
        pairs.append((taken, short))
        rows.append(
            [place + 1, f"{taken.wall:.1f}", f"{taken.cpu:.1f}", f"{1000 * short.wall:.1f}"]
        )
    same_rewards(rewards)
    header = ["task", "gym: wall s", "gym: CPU s", "ours: wall ms"]
    times = measure.ratio([g.wall for g, _ in pairs], [o.wall for _, o in pairs])
    profile.enable()
    peers.in_gym(tasks[0], make_agent("scripted"))
    profile.disable()
    return (
        f"AgentGymEnv, {len(tasks)} tasks of {split}, the same rewards; × ours: {times:.0f}\n\n"
        f"{measure.table(header, rows)}\n\n{where_the_gym_is(profile)}"
    )


def where_the_gym_is(profile: cProfile.Profile) -> str:
    """Shares of a profiled gym episode, of the thread that steps it."""
    stats = pstats.Stats(profile)
    whole = stats.total_tt
    names = {
        "_get_task": "reads the file of all 2,285 tasks anew, at each reset and step",
        "wait": "waits for the orchestrator's thread, in pauses of 10 ms",
        "evaluate_simulation": "scores",
    }
    rows = []
    for name, what in names.items():
        found = [
            (calls, total)
            for (_, _, function), (_, calls, _, total, _) in stats.stats.items()
            if function == name
        ]
        calls, total = map(sum, zip(*found, strict=True)) if found else (0, 0.0)
        rows.append([f"`{name}`", calls, f"{100 * total / whole:.0f} %", what])
    return measure.table(["function", "calls", "share of the time", "what it does"], rows)


def flat(split: str, episodes: int, points: int = 5) -> str:
    """The table of time and memory while one process plays on and on."""
    tasks = load_tasks(split)
    in_our_loop(tasks)  # what is kept for each task
    share = max(1, episodes // points)
    rows = []

    async def all_of_it() -> None:
        for point in range(1, points + 1):
            with measure.Taken() as taken:
                for place in range((point - 1) * share, point * share):
                    await ours(tasks[place % len(tasks)])
            rows.append(
                [
                    f"{point * share:,}",
                    f"{1000 * taken.cpu / share:.2f}",
                    f"{measure.resident_mib():.1f}",
                ]
            )

    asyncio.run(all_of_it())
    header = ["episodes", "CPU ms an episode", "memory MiB"]
    return f"One process, {len(tasks)} tasks of {split} again and again\n\n" + measure.table(
        header, rows
    )


def main() -> int:
    parser = cli.parser(__doc__)
    parser.add_argument("--split", default="test")
    parser.add_argument("--tasks", type=int, default=40, help="of ours against the orchestrator")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--gym", type=int, default=2, help="tasks in the gym, half a minute each")
    parser.add_argument("--episodes", type=int, default=10_000, help="played on and on by ours")
    args = parser.parse_args()
    print(f"{measure.machine()}\n")
    print(compare(args.split, args.tasks, args.rounds), flush=True)
    if args.episodes:
        print(f"\n{flat(args.split, args.episodes)}", flush=True)
    if args.gym:
        print(f"\n{gym(args.split, args.gym)}")
    return 0


if __name__ == "__main__":
    cli.run(main)
