"""How fast a server answered an evaluation's episodes, and SGLang's benchmark of the same shape.

python tests/gpu/sampling_speed.py ours TRANSCRIPTS CONCURRENCY one line of JSON
python tests/gpu/sampling_speed.py arguments OURS               of sglang.bench_serving, as OURS
python tests/gpu/sampling_speed.py ratio OURS BENCH             both, and ours / theirs

OURS is the line of the first, BENCH the file that bench_serving writes. Rates are output tokens a
second while all places were taken: from the first answer to the start of the last episode, after
which the queue is empty. The benchmark has no such part, since its conversations are all as long.
"""

from __future__ import annotations

import json
import sys
from datetime import datetime
from itertools import groupby
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))


def ours(path: Path, concurrency: int) -> dict:
    from tau2_agent.records.transcripts import read_transcripts

    episodes = [t for t in read_transcripts(path) if t.tokens and sum(t.tokens.mask)]
    begins = [datetime.fromisoformat(t.started).timestamp() for t in episodes]
    answers: list[tuple[float, int]] = []  # (time, tokens) of every turn of the policy
    context = 0
    for episode, begin in zip(episodes, begins, strict=True):
        mask = episode.tokens.mask
        times = [episode.messages[place].time for place in episode.tokens.agent_messages]
        runs = [len(list(run)) for on, run in groupby(mask) if on]
        # a last turn that the end of the context cut became no message
        answers += [(begin + time, size) for time, size in zip(times, runs, strict=False)]
        context += len(mask) - sum(mask)
    first, last = min(time for time, _ in answers), max(begins)
    if last <= first:
        raise SystemExit(f"{len(episodes)} episodes never wait for {concurrency} places; take more")
    full = sum(size for time, size in answers if time <= last)
    turns = len(answers) / len(episodes)
    return {
        "episodes": len(episodes),
        "concurrency": concurrency,
        "turns": round(turns, 1),
        "prompt": round(sum(t.tokens.prompt_length for t in episodes) / len(episodes)),
        "context_a_turn": round(context / len(answers), 1),
        "output_a_turn": round(sum(size for _, size in answers) / len(answers), 1),
        "seconds_all_places_taken": round(last - first, 1),
        "tokens_per_s": round(full / (last - first), 1),
        "turns_per_s": round(sum(time <= last for time, _ in answers) / (last - first), 1),
    }


def arguments(line: dict) -> str:
    """As many conversations of as many turns, of the mean lengths, at the same concurrency."""
    pairs = {
        "gsp-num-groups": 1,
        "gsp-prompts-per-group": line["episodes"],
        "num-prompts": line["episodes"],
        "gsp-system-prompt-len": line["prompt"],
        "gsp-question-len": round(line["context_a_turn"]),
        "gsp-output-len": round(line["output_a_turn"]),
        "gsp-num-turns": round(line["turns"]),
        "max-concurrency": line["concurrency"],
    }
    return " ".join(f"--{name} {value}" for name, value in pairs.items())


def main() -> None:
    what, path, *more = sys.argv[1:]
    if what == "ours":
        print(json.dumps(ours(Path(path), int(more[0]))))
        return
    line = json.loads(Path(path).read_text(encoding="utf-8"))
    if what == "arguments":
        print(arguments(line))
        return
    bench = json.loads(Path(more[0]).read_text(encoding="utf-8").splitlines()[-1])
    theirs = bench["output_throughput"]
    kept = {key: bench.get(key) for key in ("completed", "duration", "total_output_tokens")}
    print(f"ours {line}")
    print(f"SGLang's benchmark: {theirs:.1f} tokens/s, {kept}")
    print(f"ours / SGLang's benchmark = {line['tokens_per_s'] / theirs:.2f}")


if __name__ == "__main__":
    main()
