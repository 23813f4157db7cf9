"""How many cores feed how many GPUs: a formula, and a simulation with the stand-in server.

    python benchmarks/fleet.py                  a minute
    python benchmarks/fleet.py --rate 3000      GPUs that sample 3,000 tokens a second each

A turn of an episode costs this side `c` seconds of CPU (tokens, request, user, tools, and its share
of scoring and files), however long it is, and gives the trainer n sampled tokens. GPUs that sample
r tokens a second each then make G × r / n turns a second, and want

    cores = G × r × c / (n × u)

of which u is how full a core may be: an event loop that is fuller answers late. The simulation has
ten times the episodes of a normal evaluation at once, and servers of growing speed: each takes the
share of a core that this says, and a server too fast for one core gives n / c tokens a second.
"""

from __future__ import annotations

import math

import evaluation
import measure
from stand_in_server import Speed

from tau2_agent import cli

GPUS = (8, 64, 512)
FULL = 0.7


def cores(gpus: int, rate: float, turn_cpu_s: float, turn_tokens: float, full: float = FULL) -> int:
    """Cores for that many GPUs. rate: sampled tokens/s of each; turn_tokens: sampled in a turn."""
    return math.ceil(gpus * rate * turn_cpu_s / (turn_tokens * full))


def speed_of(tokens_per_s: float, at_once: int, turn_tokens: float, request_s: float) -> Speed:
    """A server that takes all requests at once and then samples so many tokens a second.

    at_once / (request_s + n × token_s) turns a second, of n tokens each, solved for token_s.
    """
    token_s = at_once / tokens_per_s - request_s / turn_tokens
    if token_s < 0:
        raise ValueError(f"{at_once} requests of {request_s} s cannot give {tokens_per_s} tokens/s")
    return Speed(request_s, token_s, at_once)


def on_paper(turn_cpu_s: float, lengths: list[float], rates: list[float]) -> str:
    """The table of cores."""
    rows = [
        [f"{length:.0f}", f"{rate:,.0f}", *(cores(g, rate, turn_cpu_s, length) for g in GPUS)]
        for length in lengths
        for rate in rates
    ]
    header = ["tokens a turn", "tokens/s a GPU", *(f"cores for {gpus} GPUs" for gpus in GPUS)]
    return measure.table(header, rows)


def simulated(
    setting: evaluation.Setting, at_once: int, turn_cpu_s: float, shares: list[float]
) -> str:
    """The table of what the formula says and what is measured.

    shares: of a core that the server's tokens would take. A run begins and ends with fewer
    episodes than `at_once`, so less than the server offers is got; the formula is held against
    what was got.
    """
    lengths = [len(ids) for turns in setting.turns.values() for ids in turns]
    length = sum(lengths) / len(lengths)
    rows = []
    for share in shares:
        offered = share * length / turn_cpu_s
        speed = speed_of(offered, at_once, length, setting.speed.request_s)
        run = setting.ours(len(setting.tasks), at_once, speed)
        got = run.tokens / run.wall
        rows.append(
            [
                f"{offered:,.0f}",
                f"{got:,.0f}",
                f"{100 * got * turn_cpu_s / length:.0f} %",
                f"{100 * run.cpu / run.wall:.0f} %",
                f"{1000 * evaluation.at_most(run.lags, 0.99):.0f}",
            ]
        )
    header = ["tokens/s of the server", "got", "core by the formula", "core measured"]
    most = f"One core's most by the formula: n / c = {length / turn_cpu_s:,.0f} tokens/s\n\n"
    return most + measure.table([*header, "lag ms, 99 %"], rows)


def main() -> int:
    parser = cli.parser(__doc__)
    parser.add_argument("--splits", nargs="*", default=evaluation.SPLITS)
    parser.add_argument("--tasks", type=int, default=640, help="episodes of each simulation")
    parser.add_argument("--at-once", type=int, default=320, help="ten times qwen3-4b's evaluation")
    parser.add_argument("--rate", type=float, nargs="*", default=[1000, 2500, 5000])
    parser.add_argument("--turn-tokens", type=float, nargs="*", default=[100, 300])
    parser.add_argument("--shares", type=float, nargs="*", default=[0.25, 0.5, 0.75, 1.5])
    args = parser.parse_args()
    setting = evaluation.make_setting(args.splits, args.tasks, Speed())
    free = setting.ours(min(args.tasks, 64), 64, Speed(0.0, 0.0, 4096))
    turn_cpu_s, length = free.cpu / free.turns, free.tokens / free.turns
    print(f"{measure.machine()}\n")
    print(
        f"c = {1000 * turn_cpu_s:.2f} ms a turn ({free.episodes} episodes, a server that takes no "
        f"time); n = {length:.0f} tokens a turn of the scripted teacher; u = {FULL}\n"
    )
    print(on_paper(turn_cpu_s, [length, *args.turn_tokens], args.rate), flush=True)
    print(f"\n{args.tasks} episodes, {args.at_once} at once, stand-in server, one process\n")
    print(simulated(setting, args.at_once, turn_cpu_s, args.shares))
    return 0


if __name__ == "__main__":
    cli.run(main)
