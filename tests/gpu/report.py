"""What a GPU run shows, from the stores, results and records in a working folder.

python tests/gpu/report.py FOLDER [--peak TFLOPS]

The peak is that of dense bf16 products: 989 for an H100 or H200.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import statistics
import sys
from datetime import datetime
from pathlib import Path


def rows(path: Path) -> list[dict]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def peak_memory(folder: Path, begin: float, end: float) -> str:
    """Highest memory use (GiB) of each GPU between two times."""
    peaks: dict[str, float] = {}
    if (folder / "gpus.csv").exists():
        with open(folder / "gpus.csv", encoding="utf-8") as stream:
            for record in csv.reader(stream, skipinitialspace=True):
                if len(record) != 4:
                    continue
                when = datetime.strptime(record[0], "%Y/%m/%d %H:%M:%S.%f").timestamp()
                if begin <= when <= end:
                    peaks[record[1]] = max(peaks.get(record[1], 0), float(record[2]) / 1024)
    return ", ".join(f"GPU {name}: {peak:.1f} GiB" for name, peak in sorted(peaks.items()))


def show_store(folder: Path, store: Path, peak: float) -> None:
    print(f"\n== {store.name}")
    for log in sorted((store / "logs").glob("job-*.log")):
        text = log.read_text(encoding="utf-8", errors="replace")
        loaded = re.search(r"successfully loaded checkpoint from (\S+) .* at iteration (\d+)", text)
        if loaded:
            print(f"{log.name}: loaded {Path(loaded[1]).name} at iteration {loaded[2]}")
    metrics = rows(store / "metrics.jsonl")
    steps = [row for row in metrics if row["kind"] == "step"]
    if steps:
        losses = [row["loss"] for row in steps]
        shown = ", ".join(f"{loss:.3f}" for loss in (losses if len(losses) < 13 else losses[::25]))
        print(f"{len(steps)} steps, loss {shown}; last {losses[-1]:.3f}")
        print(f"grad norm: first {steps[0].get('grad_norm')}, last {steps[-1].get('grad_norm')}")
    for row in metrics:
        if row["kind"] == "tau2":
            keep = ("rollout", "reward", "partial", "shaped", "tokens", "aborted", "seconds")
            groups = ("tokens_played", "played_groups", "dropped", "groups_without_spread")
            print({key: row.get(key) for key in (*keep, *groups, "ends")})
    # the first rollout compiles and warms up
    perf = [row for row in metrics if row["kind"] == "perf" and row["rollout"] > 0]
    for name, unit in (
        ("perf/actor_train_tok_per_s", "tokens/s in training (all GPUs)"),
        ("perf/actor_train_tflops", "TFLOP/s a GPU in training"),
        ("perf/actor_train_time", "s of training a rollout"),
        ("perf/rollout_time", "s of sampling a rollout"),
        ("perf/tokens_per_gpu_per_sec", "tokens/s a GPU while sampling, prompts not counted"),
        ("rollout/prefix_cache_hit_rate", "of prompt tokens from the prefix cache"),
        ("rollout/train_rollout_logprob_abs_diff", "mean |log prob| difference to the server's"),
    ):
        values = [row[name] for row in perf if row.get(name) is not None]
        if values:
            middle = statistics.median(values)
            mfu = f" ({100 * middle / peak:.1f} % of {peak:g})" if name.endswith("tflops") else ""
            print(f"{middle:.3f} {unit}{mfu}, median of {len(values)}")
    differ = [row.get("train_rollout_logprob_abs_diff") for row in steps]
    if differ and differ[0] is not None:
        print(
            f"log probs of server and trainer differ by {statistics.fmean(differ):.4f} on average"
        )
    if metrics:
        begin = (store / "logs" / "job-001.log").stat().st_ctime
        memory = peak_memory(folder, min(begin, metrics[0]["time"]) - 60, metrics[-1]["time"] + 30)
        print(f"peak memory: {memory}")
    done = store / "done.json"
    if done.exists():
        summary = json.loads(done.read_text(encoding="utf-8"))["summary"]
        print(f"done: {summary['rollouts']} rollouts, {summary['seconds']} s, resumed at", end=" ")
        print(f"{summary['resumed_at']}, versions {summary['versions']}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--peak", type=float, default=989.0)
    args = parser.parse_args()
    for path in sorted((args.folder / "timings").glob("*.tsv")):
        seconds = path.read_text(encoding="utf-8").splitlines()[1].split("\t")[0]
        print(f"{path.stem:28} {float(seconds):7.1f} s")
    for store in sorted((args.folder / "checkpoints" / ".store").glob("*-????????????")):
        if store.is_dir():
            show_store(args.folder, store, args.peak)
    for path in sorted((args.folder / "results").rglob("eval_*.json")):
        if path.suffixes != [".json"]:
            continue  # the same episodes in another format
        result = json.loads(path.read_text(encoding="utf-8"))
        keep = ("checkpoint", "total_tasks", "successes", "pass_at_1", "avg_partial_score")
        print(f"\n{path}: " + ", ".join(f"{key} {result.get(key)}" for key in keep))
    return 0


if __name__ == "__main__":
    sys.exit(main())
