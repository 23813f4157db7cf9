"""What slime's train.py leaves behind and prints, without training.

TAU2_TEST_TROUBLE makes it misbehave: "wrong-load" loads another checkpoint, "no-load" says nothing,
"kill-before-export:N" and "kill-before-position:N" kill it around the checkpoint of rollout N,
"diverge-loss:N" and "diverge-weights:N" give NaN from rollout N on,
"kill-before-validation:N" after the save of rollout N,
"hang:N" waits at rollout N, "fail:N" raises there, "cut-tracker:N" leaves an empty tracker.
TAU2_TEST_SOLVED is what the policy solves after 0, 1, 2 … rollouts, as our validation writes it.
"""

import argparse
import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import marked_weights

parser = argparse.ArgumentParser()
for flag in ("--load", "--ref-load", "--save", "--save-hf", "--hf-checkpoint", "--prompt-data"):
    parser.add_argument(flag)
for flag in ("--save-interval", "--num-rollout", "--num-steps-per-rollout"):
    parser.add_argument(flag, type=int, default=1)
args, _ = parser.parse_known_args()
trouble, _, at = os.environ.get("TAU2_TEST_TROUBLE", "").partition(":")

TRACKER = "latest_checkpointed_iteration.txt"
load, iteration, first = Path(args.load), 0, 0
if (load / TRACKER).exists():
    iteration = int((load / TRACKER).read_text())
    first = iteration + 1
    assert json.loads((load / f"iter_{iteration:07d}" / "common.pt").read_text())
else:
    load = Path(args.ref_load)
    assert (load / TRACKER).exists(), "nothing to load"
if trouble == "wrong-load":
    load, iteration = Path("/somewhere/else"), 0


def say(text):
    print(f"\x1b[36m(MegatronTrainRayActor pid={os.getpid()})\x1b[0m {text}", flush=True)


if trouble != "no-load":
    say(f"  successfully loaded checkpoint from {load} [ t 1/1, p 1/1 ] at iteration {iteration}")
    say("  successfully loaded checkpoint from /the/reference [ t 1/1, p 1/1 ] at iteration 0")

save = Path(args.save)
solved = [float(share) for share in os.environ.get("TAU2_TEST_SOLVED", "").split()]


def validate(rollout):
    if solved:
        row = {"rollout": rollout, "tasks": 10, "pass_at_1": solved[rollout], "seconds": 1.0}
        row |= {"avg_reward": solved[rollout], "avg_partial_score": 0.5, "settings": "x"}
        with open(save / "validation.jsonl", "a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")
        say(f"[2026-01-01] validation.py:9 - validation {rollout}: {row}")


if first == 0:
    validate(0)
for rollout in range(first, args.num_rollout):
    if trouble == "hang" and rollout == int(at):
        (save / "hanging").touch()
        time.sleep(600)
    if trouble == "fail" and rollout == int(at):
        raise RuntimeError("CUDA out of memory (scripted)")
    say(f"[2026-01-01] metric.py:1 - rollout {rollout}: {{'rollout/raw_reward': 0.5}}")
    for step in range(args.num_steps_per_rollout):
        number = rollout * args.num_steps_per_rollout + step
        loss = 2.0 / (number + 1)
        if trouble == "diverge-loss" and rollout >= int(at):
            loss = float("nan")
        values = f"{{'train/loss': {loss}, 'train/grad_norm': nan, 'train/lr-pg_0': 1e-06}}"
        say(f"[2026-01-01] model.py:810 - step {number}: {values}")
    if (rollout + 1) % args.save_interval and rollout != args.num_rollout - 1:
        continue
    folder = save / f"iter_{rollout:07d}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "common.pt").write_text(json.dumps({"rollout": rollout}))
    (folder / ".metadata").write_text("")
    (save / TRACKER).write_text(
        "" if trouble == "cut-tracker" and rollout == int(at) else str(rollout)
    )
    say(f"  [2026] successfully saved checkpoint from iteration {rollout:7d} to {save} [ t 1/1 ]")
    if trouble in ("kill-before-export", "cut-tracker") and rollout == int(at):
        os.kill(os.getpid(), signal.SIGKILL)
    export = Path(args.save_hf.format(rollout_id=rollout))
    export.mkdir(parents=True, exist_ok=True)
    for item in Path(args.hf_checkpoint).iterdir():
        if item.is_file() and item.suffix != ".safetensors":
            shutil.copy2(item, export / item.name)
    bad = trouble == "diverge-weights" and rollout >= int(at)
    marked_weights.write(
        export / "model-00001-of-00001.safetensors",
        f"weights of {rollout}",
        float("nan") if bad else 0.0,
    )
    index = {"weight_map": {"w": "model-00001-of-00001.safetensors"}}
    (export / "model.safetensors.index.json").write_text(json.dumps(index))
    if trouble == "kill-before-position" and rollout == int(at):
        os.kill(os.getpid(), signal.SIGKILL)
    (save / "rollout").mkdir(exist_ok=True)
    (save / "rollout" / f"global_dataset_state_dict_{rollout}.pt").write_text("here")
    if trouble == "kill-before-validation" and rollout == int(at):
        os.kill(os.getpid(), signal.SIGKILL)
    validate(rollout + 1)
sys.exit(0)
