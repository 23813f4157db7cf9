"""What an interruption costs: every stage × every fault, done for real at the smallest size.

Each cell starts Snakemake in a copy of the finished tiny pipeline, waits until the stage has saved
something, injects the fault, runs the same command again, and looks at what was kept. The table
goes to docs/crashes.md, between its marks.

    python experiments/crash_matrix.py                       (every cell)
    python experiments/crash_matrix.py --stages SFT --faults "kill -9 of the program"

Full disks are small tmpfs mounts, which takes root. The server that dies is the one behind which a
stand-in plays the user; it is back when the command is run again. Left out: faults of GPUs
(tests/gpu) and of clusters (tests/slurm).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "scripts")]

from fake_openai import FakeOpenAI, Simulator  # noqa: E402
from project_copy import TINY, Project, copy_repository  # noqa: E402

PAGE = ROOT / "docs/crashes.md"
MARKS = ("<!-- made by experiments/crash_matrix.py -->", "<!-- end -->")
ARGUMENTS = ("--cores", "2", "--configfile", "tiny.yaml")
PATIENCE_S = 1800.0  # ends a run that hangs; how busy the machine is does not matter


@dataclass(frozen=True)
class Stage:
    """A stage and how to see it work.

    config: makes it run again in the finished pipeline. store: glob of what it saves; it is "in the
    middle" when a new match is there. done: (folder) -> units of work done, None if it counts none.
    resumed: pattern of the line in which it says where it resumes.
    """

    target: str
    program: str
    config: tuple[str, ...]
    store: str
    unit: str
    done: Callable[[Path], int] | None = None
    resumed: str = ""
    mount: str = ""


def last_step(folder: Path, target: str) -> int:
    """The last step that a trainer of the newest store has recorded."""
    stores = sorted(
        folder.glob(f"checkpoints/.store/{target}-*/metrics.jsonl"), key=os.path.getmtime
    )
    lines = stores[-1].read_text(encoding="utf-8").splitlines() if stores else []
    steps = [0]
    for line in lines:
        with contextlib.suppress(ValueError, KeyError):  # a kill may cut the last line
            steps.append(json.loads(line)["step"])
    return max(steps)


def rows(path: Path) -> int:
    """Finished episodes or attempts in a file that grows by them; excluded ones are not."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return sum('"failure":""' in line for line in lines)


STAGES = {
    "traces": Stage(
        "data/teacher_traces.jsonl", "teacher_traces.py", (), "", "traces", mount="data"
    ),
    "base model": Stage(
        "models/demo", "base_model.py", ("seed=7",), "models/demo.partial", "–", mount="models"
    ),
    "SFT": Stage(
        "checkpoints/demo_sft_telecom",
        "train_sft_trl.py",
        ("sft={epochs: 6, save_steps: 5}",),
        "checkpoints/.store/demo_sft_telecom-*/checkpoint-*/trainer_state.json",
        "steps",
        lambda folder: last_step(folder, "demo_sft_telecom"),
        r"resumed at step (\d+)",
        "checkpoints",
    ),
    "GRPO": Stage(
        "checkpoints/demo_rl_telecom",
        "train_grpo_trl.py",
        ("grpo={rollouts: 10, lr: 1.0e-5, save_rollouts: 2}",),
        "checkpoints/.store/demo_rl_telecom-*/checkpoint-*/trainer_state.json",
        "rollouts",
        lambda folder: last_step(folder, "demo_rl_telecom"),
        r"resumed its own run at rollout (\d+)",
        "checkpoints",
    ),
    "evaluation": Stage(
        "results/base/eval_test.json",
        "evaluate_tau2.py",
        ("evaluation={num_tasks: 40, concurrency: 4}",),
        "results/base/eval_test.episodes.jsonl",
        "episodes",
        lambda folder: rows(folder / "results/base/eval_test.episodes.jsonl"),
        r"(\d+) episodes of \d+ are done already",
        "results",
    ),
}

# The same stages with a user behind a server; URL stands for its address.
BEHIND = "model: openai/stand-in, api_base: URL, retries: 1"
SERVED = {
    "traces": replace(
        STAGES["traces"],
        config=(f"user={{simulator: llm, {BEHIND}}}",),
        store="data/teacher_traces.attempts.jsonl",
        unit="attempts",
        done=lambda folder: rows(folder / "data/teacher_traces.attempts.jsonl"),
        resumed=r"(\d+) attempts are done already",
    ),
    "GRPO": replace(
        STAGES["GRPO"], config=(*STAGES["GRPO"].config, f"user={{simulator: llm, {BEHIND}}}")
    ),
    "evaluation": replace(
        STAGES["evaluation"],
        config=("evaluation={num_tasks: 40, concurrency: 4, user: llm}", f"user={{{BEHIND}}}"),
    ),
}


class Cell:
    """One stage in one fault: a copy of the pipeline, and the Snakemake that runs in it."""

    def __init__(self, stage: Stage, folder: Path, server: FakeOpenAI | None = None) -> None:
        self.stage, self.project, self.folder, self.server = stage, Project(folder), folder, server
        if server is not None:
            config = tuple(words.replace("URL", f"'{server.url}'") for words in stage.config)
            stage = replace(stage, config=config)
        self.command = [stage.target, *ARGUMENTS]
        if not stage.config:
            self.command += ["--forcerun", "teacher_traces"]
        self.command += ["--config", *stage.config] if stage.config else []
        self.snakemake: subprocess.Popen | None = None
        self.saved_before = self.saved()

    def saved(self) -> set[tuple[Path, int]]:
        """What the stage has saved, with its time stamps."""
        found = self.folder.glob(self.stage.store) if self.stage.store else []
        with contextlib.suppress(FileNotFoundError):
            return {(path, path.stat().st_mtime_ns) for path in found}
        return set()

    def start(self) -> None:
        self.output = open(self.folder / "run.txt", "wb")  # noqa: SIM115
        self.snakemake = subprocess.Popen(
            self.project.command(*self.command),
            cwd=self.folder,
            stdout=self.output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def program(self) -> psutil.Process | None:
        """The stage's program, once it runs."""
        children = psutil.Process(self.snakemake.pid).children(recursive=True)
        for process in children:
            with contextlib.suppress(psutil.Error):
                words = process.cmdline()
                if process.name() != "bash" and any(self.stage.program in word for word in words):
                    return process
        return None

    def wait_for_the_middle(self) -> psutil.Process:
        """Wait until the program runs and has saved something new; return it."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline and self.snakemake.poll() is None:
            program = self.program()
            new = self.saved() - self.saved_before if self.stage.store else True
            if program is not None and new and (self.stage.done is None or self.units() > 0):
                return program
            time.sleep(0.02)
        raise RuntimeError(f"{self.stage.target} was never in the middle:\n{self.words()}")

    def units(self) -> int:
        return self.stage.done(self.folder) if self.stage.done else 0

    def words(self) -> str:
        return (self.folder / "run.txt").read_text(encoding="utf-8", errors="replace")[-3000:]

    def end(self) -> int:
        """Wait for Snakemake's end; its status."""
        status = self.snakemake.wait(PATIENCE_S)
        self.output.close()
        return status

    def again(self) -> tuple[int, str]:
        """The same command once more, unlocked first if need be; status and words."""
        self.project.run("--unlock", *ARGUMENTS)
        outcome = self.project.run(*self.command, timeout=PATIENCE_S)
        return outcome.status, outcome.text


# --- faults --------------------------------------------------------------------------------------


def kill_program(cell: Cell) -> None:
    cell.wait_for_the_middle().kill()
    cell.end()


def kill_group(cell: Cell) -> None:
    cell.wait_for_the_middle()
    os.killpg(cell.snakemake.pid, signal.SIGKILL)
    cell.end()


def kill_snakemake(cell: Cell) -> None:
    """Snakemake alone: its job goes on, and meets the next one's."""
    cell.wait_for_the_middle()
    cell.snakemake.kill()
    cell.end()


def terminate(cell: Cell) -> None:
    """SIGTERM to every process of the job, as a cluster sends it before it kills."""
    cell.wait_for_the_middle()
    for process in psutil.Process(cell.snakemake.pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            process.terminate()
    cell.end()


def fill_disk(cell: Cell) -> None:
    """The stage's folder is on a disk that fills up in the middle."""
    place = cell.folder / cell.stage.mount
    cell.wait_for_the_middle()
    filler = place / "filler"
    with contextlib.suppress(OSError), open(filler, "wb") as stream:
        while True:
            stream.write(b"x" * 4096)
            stream.flush()
    cell.end()
    filler.unlink()


def stop_server(cell: Cell) -> None:
    """The user's server is gone until the command is run again."""
    cell.wait_for_the_middle()
    cell.server.__exit__(None)
    cell.end()


def corrupt(cell: Cell) -> None:
    """The newest checkpoint's weights are cut in half after a kill; there is one before it."""
    stage = cell.stage
    deadline = time.monotonic() + PATIENCE_S
    while len({p for p, _ in cell.saved() - cell.saved_before}) < 2:
        if time.monotonic() > deadline or cell.snakemake.poll() is not None:
            raise RuntimeError(f"{stage.target} saved no second checkpoint:\n{cell.words()}")
        time.sleep(0.02)
    cell.program().kill()
    cell.end()
    if "checkpoint" in stage.store:
        newest = max(cell.folder.glob(stage.store), key=lambda path: path.stat().st_mtime_ns)
        weights = newest.parent / "model.safetensors"
        os.truncate(weights, weights.stat().st_size // 2)


FAULTS: dict[str, Callable[[Cell], None]] = {
    "kill -9 of the program": kill_program,
    "kill -9 of its process group": kill_group,
    "kill -9 of Snakemake alone": kill_snakemake,
    "SIGTERM with a grace period": terminate,
    "disk full": fill_disk,
    "server dead in the middle": stop_server,
    "last checkpoint cut in half": corrupt,
}


def applies(name: str, fault: str) -> bool:
    stage = STAGES[name]
    return {
        "disk full": bool(stage.mount),
        "server dead in the middle": name in SERVED,
        "last checkpoint cut in half": "checkpoint" in stage.store,
    }.get(fault, True)


def simulator_of(port: int = 0) -> FakeOpenAI:
    from tau2_agent.benchmark.tasks import load_tasks

    answer = Simulator([*load_tasks("train"), *load_tasks("test")])
    return FakeOpenAI(answer, port=port).__enter__()


def run_cell(name: str, fault: str, finished: Path, folder: Path) -> dict[str, str]:
    """One cell of the table. A cell that ends in no usable state says so in words."""
    served = fault == "server dead in the middle"
    stage = (SERVED if served else STAGES)[name]
    shutil.copytree(finished, folder, symlinks=True)
    mounted = fault == "disk full"
    if mounted:
        place = folder / stage.mount
        aside = folder / "aside"
        place.rename(aside)
        place.mkdir()
        size = sum(path.stat().st_size for path in aside.rglob("*") if path.is_file())
        options = f"size={size + 24 * 2**20}"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], check=True)
        shutil.copytree(aside, place, symlinks=True, dirs_exist_ok=True)
    try:
        cell = Cell(stage, folder, simulator_of() if served else None)
        cell.start()
        FAULTS[fault](cell)
        reached = cell.units()
        first_words = cell.words()
        again = simulator_of(cell.server.port) if served else None
        status, text = cell.again()
        if again is not None:
            again.__exit__(None)
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(place)], check=False)
    return describe(stage, fault, reached, first_words, status, text)


def describe(
    stage: Stage, fault: str, reached: int, first: str, status: int, text: str
) -> dict[str, str]:
    """The table's words for what happened."""
    if status != 0:
        return {"outcome": f"FAILED: {text.strip().splitlines()[-1][:80]}", "lost": "?"}
    notes = []
    if fault == "disk full":
        clear = "no space left on this disk" in first and "Traceback" not in first
        notes.append("one clear line" if clear else "an error without a remedy")
    if fault == "server dead in the middle":
        clear = "user simulator" in first and "Traceback" not in first
        notes.append("one clear line" if clear else "an error without a remedy")
    if "not whole" in text:
        notes.append("the cut one is set aside")
    if other := re.search("another program (trains|writes) it", text):
        notes.append(f"waits for the one that still {other[1]}")
    match = re.search(stage.resumed, text) if stage.resumed else None
    if match:
        step = int(match[1])
        lost = max(0, reached - step)
        outcome = f"resumes at {step} of the {reached} {stage.unit} done"
        if step > reached:  # the program outlived Snakemake
            outcome = "finished meanwhile, kept"
        return {"outcome": "; ".join([outcome, *notes]), "lost": f"{lost} {stage.unit}"}
    if "already trained with these settings" in text or "Nothing to be done" in text:
        return {"outcome": "; ".join(["finished meanwhile, kept", *notes]), "lost": "0"}
    return {"outcome": "; ".join(["made anew, whole", *notes]), "lost": "the stage"}


def finished_pipeline(folder: Path) -> None:
    """The tiny pipeline, once from start to end; SFT's steps are all recorded."""
    folder.mkdir()
    project = copy_repository(folder)
    shutil.copy2(TINY, folder / "tiny.yaml")
    program = folder / "scripts/train_sft_trl.py"
    every_tenth = '"--logging-steps", type=int, default=10'
    text = program.read_text(encoding="utf-8")
    assert every_tenth in text
    program.write_text(text.replace(every_tenth, every_tenth.replace("10", "1")), encoding="utf-8")
    outcome = project.run(*ARGUMENTS, timeout=PATIENCE_S)
    if outcome.status:
        raise SystemExit(outcome.text)


def write_page(table: list[dict[str, str]]) -> None:
    """Put the table between the marks of docs/crashes.md; other cells keep their rows."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(MARKS[0])
    old, _, after = rest.partition(MARKS[1])
    columns = ("stage", "fault", "outcome", "lost")
    cells = [[cell.strip() for cell in line.strip("| ").split("|")] for line in old.splitlines()]
    kept = [dict(zip(columns, row, strict=True)) for row in cells if row[0] in STAGES]
    ran = {(row["stage"], row["fault"]) for row in table}
    rows = [*table, *(row for row in kept if (row["stage"], row["fault"]) not in ran)]
    stages, faults = list(STAGES), list(FAULTS)
    rows.sort(key=lambda row: (stages.index(row["stage"]), faults.index(row["fault"])))
    lines = ["| stage | fault | the same command again | lost |", "| --- | --- | --- | --- |"]
    lines += [f"| {' | '.join(row[column] for column in columns)} |" for row in rows]
    text = "\n".join([f"{before}{MARKS[0]}", "", *lines, "", f"{MARKS[1]}{after}"])
    PAGE.write_text(text, encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--stages", nargs="*", choices=STAGES, default=list(STAGES))
    parser.add_argument("--faults", nargs="*", choices=FAULTS, default=list(FAULTS))
    parser.add_argument("--write", action="store_true", help="put the table into docs/crashes.md")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="crash-matrix-") as scratch:
        finished = Path(scratch) / "finished"
        finished_pipeline(finished)
        table = []
        for name in args.stages:
            for fault in args.faults:
                if not applies(name, fault):
                    continue
                folder = Path(scratch) / f"cell-{len(table)}"
                row = {"stage": name, "fault": fault}
                table.append(row | run_cell(name, fault, finished, folder))
                print(" | ".join(table[-1].values()), flush=True)
                shutil.rmtree(folder, ignore_errors=True)
    if args.write:
        write_page(table)
    return any(row["outcome"].startswith("FAILED") for row in table)


if __name__ == "__main__":
    sys.exit(main())
