"""How long until something begins: the dry run, a stage that has nothing to do, the first step.

    python benchmarks/startup.py PROJECT         a copy of the project in which the demo has run
    python benchmarks/startup.py BEFORE AFTER    two versions in turns, with ratios inside a round

Every command is the one that Snakemake ran, as a process of its own, in a copy of the folder. CPU
seconds are those of the process and of all that it waited for; other programs disturb them less
than the clock's. The trainers are ended at their first optimizer step. What a GPU backend adds
(Ray, SGLang, CUDA graphs) is not measured here: benchmarks/README.md cites the GPU runs.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import IO, NamedTuple

import measure

from tau2_agent import cli
from tau2_agent.errors import InputError

TARGET = "results/eval_test.json"
SNAKEMAKE = {
    "Snakemake alone: --version": "snakemake --version",
    "dry run, everything to do": f"snakemake -n --forceall {TARGET}",
    "dry run, nothing to do": f"snakemake -n {TARGET}",
    "dry run of slime's stages": f"snakemake -n {TARGET} --config backend=slime",
}
LOCAL_POLICY = """
import sys
sys.path.insert(0, "scripts")
from tau2_agent import cli
from transformers import AutoModelForCausalLM, AutoTokenizer
from tau2_agent.inference.transformers_policy import LocalPolicy
from tau2_agent.rollout.chat_template import ChatCodec
codec = ChatCodec(AutoTokenizer.from_pretrained("models/demo"))
LocalPolicy(AutoModelForCausalLM.from_pretrained("models/demo"), codec.stop_ids)
"""
STAND_IN = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from stand_in_server import Speed, StandInServer
StandInServer({{}}, Speed()).__enter__().__exit__()
"""
SERVERS = {
    "local policy, model loaded": f"python -c {shlex.quote(LOCAL_POLICY)}",
    "stand-in server, answering": f"python -c {shlex.quote(STAND_IN)}",
}
# The first make their file anew, the last three see that they are done.
STAGES = ["tasks", "teacher_traces", "leaks", "base_model", "summary", "report"]
STAGES += ["sft", "grpo", "evaluate"]
# Lines by which a trainer says how far it is, in their order.
SFT_MARKS = {
    "imports, traces as tokens": r"^\d+ traces, ",
    "model and trainer": r"^\d+ steps; ",
    "first step": r"^step 1/",
}
GRPO_MARKS = {
    "imports, tasks, model, trainer": r"^\d+ rollouts of ",
    "validation before the first rollout": r"^validation after 0 ",
    "first rollout": r"^rollout 0: ",
    "first step": r"^step 1/",
}


class Run(NamedTuple):
    """Of one process and its children: seconds by the clock and of CPU, and peak memory in MiB."""

    wall: float
    cpu: float
    memory: float


def commands(project: Path) -> dict[str, str]:
    """Rule -> shell command by which it made a file of the demo, without the copy to its log."""
    found = {}
    for file in sorted((project / ".snakemake" / "metadata").glob("*")):
        made = json.loads(file.read_text(encoding="utf-8"))
        if command := made.get("shellcmd"):
            found[made["rule"]] = re.sub(r" 2>&1 \| tee \S+$", "", command)
    if "evaluate" not in found:
        raise InputError(f"{project}: no demo has run there; run `snakemake {TARGET} --cores all`")
    return found


def start(command: str, folder: Path, said: IO | int) -> subprocess.Popen:
    """Begin a command, in a process group of its own."""
    inherited = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.Popen(
        ["bash", "-c", f"exec {command}"],
        cwd=folder,
        env=inherited | {"PATH": path, "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"},
        stdout=said,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def used(process: subprocess.Popen, began: float) -> Run:
    """Wait for a process: what it used since `began`, of time.perf_counter."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    cpu = usage.ru_utime + usage.ru_stime
    return Run(time.perf_counter() - began, cpu, usage.ru_maxrss / 1024)


def run(command: str, folder: Path) -> Run:
    """Run a command to its end. Raises InputError with its last lines if it fails."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as said:
        began = time.perf_counter()
        process = start(command, folder, said)
        taken = used(process, began)
        said.seek(0)
        if process.returncode:
            raise InputError(f"{folder}: {command[:200]}\n{said.read()[-2000:]}")
    return taken


def first_step(
    command: str, folder: Path, marks: Mapping[str, str]
) -> tuple[Run, dict[str, float]]:
    """Run a trainer from nothing to its first optimizer step, and end it there.

    Returns what it used, and for each mark the seconds from the one before to its line. Raises
    InputError if the trainer ends without.
    """
    command = re.sub(r"--output \S+", "--output first_step/model", command)
    shutil.rmtree(folder / "first_step", ignore_errors=True)
    began = last = time.perf_counter()
    process = start(command, folder, subprocess.PIPE)
    phases: dict[str, float] = {}
    lines = []
    for line in process.stdout:
        lines.append(line)
        name = next((name for name, text in marks.items() if re.search(text, line)), None)
        if name is not None:
            phases[name], last = time.perf_counter() - last, time.perf_counter()
        if name == list(marks)[-1]:
            os.killpg(process.pid, signal.SIGKILL)
            break
    process.stdout.close()
    taken = used(process, began)
    if list(phases) != list(marks):
        raise InputError(f"{folder}: {command[:200]}\n{''.join(lines)[-2000:]}")
    return taken, phases


def compared(
    projects: Sequence[Path], cases: Mapping[str, Callable[[Path], Run]], rounds: int
) -> dict[str, list[list[Run]]]:
    """Case -> of each project the runs, one in each round; projects and cases take turns."""
    turns = {(name, p): partial(case, p) for name, case in cases.items() for p in projects}
    runs = measure.interleaved(turns, rounds)
    return {name: [runs[name, project] for project in projects] for name in cases}


def rows(runs: Mapping[str, list[list[Run]]]) -> list[list[object]]:
    """Lines of the table: CPU, clock and memory of the last project, and the first one's beside."""
    found = []
    for name, projects in runs.items():
        line = [name]
        for of in ("cpu", "wall"):
            line += [measure.spread([getattr(r, of) for r in each]) for each in projects]
        line += [f"{median(r.memory for r in each):.0f}" for each in projects]
        if len(projects) == 2:
            cpu = [[r.cpu for r in each] for each in projects]
            line.append(f"{measure.ratio(cpu[1], cpu[0]):.2f}")
        found.append(line)
    return found


def header(projects: Sequence[Path]) -> list[str]:
    names = ["before", "after"] if len(projects) == 2 else [""]
    columns = ["CPU s", "wall s", "MiB"]
    return ["what", *(f"{column} {name}".strip() for column in columns for name in names)] + (
        ["CPU after / before"] if len(projects) == 2 else []
    )


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument("projects", type=Path, nargs="+", metavar="PROJECT")
    parser.add_argument("--rounds", type=int, default=5, help="of the short ones")
    parser.add_argument("--first-steps", type=int, default=2, help="rounds of the trainers")
    args = parser.parse_args()
    if len(args.projects) > 2:
        parser.error("one project, or two to compare")
    print(measure.machine("snakemake", "torch", "trl"))
    with tempfile.TemporaryDirectory(prefix="startup-") as scratch:
        projects = {}
        for number, project in enumerate(args.projects):
            copy = Path(scratch, str(number))
            projects[copy] = commands(project)
            packages = shutil.ignore_patterns(".venv", ".uv")  # this Python's are used
            shutil.copytree(project, copy, symlinks=True, ignore=packages)
        report(projects, args.rounds, args.first_steps)


def report(projects: dict[Path, dict[str, str]], rounds: int, first_steps: int) -> None:
    """Measure and print the tables. projects: folder -> rule -> command."""
    cases = {name: partial(run, command) for name, command in {**SNAKEMAKE, **SERVERS}.items()}
    for rule in STAGES:
        if all(rule in made for made in projects.values()):
            cases[f"{rule} again"] = lambda p, rule=rule: run(projects[p][rule], p)
    cases["slime's GRPO: its options"] = partial(run, "python scripts/train_grpo_slime.py --help")
    if rounds:
        for project in projects:  # the first run may compile, and fills the disk's cache
            for case in cases.values():
                case(project)
        show(list(projects), compared(list(projects), cases, rounds))
    if first_steps:
        sft = {project: f"{made['sft']} --logging-steps 1" for project, made in projects.items()}
        begin("SFT", sft, SFT_MARKS, first_steps)
        grpo = {project: made["grpo"] for project, made in projects.items()}
        begin("GRPO", grpo, GRPO_MARKS, first_steps)


def begin(name: str, made: dict[Path, str], marks: Mapping[str, str], rounds: int) -> None:
    """Measure a trainer up to its first step, and print it with its parts."""
    projects = list(made)
    parts: dict[Path, list[dict[str, float]]] = {project: [] for project in projects}

    def once(project: Path) -> Run:
        taken, seconds = first_step(made[project], project, marks)
        parts[project].append(seconds)
        return taken

    show(projects, compared(projects, {f"{name}, to the first step": once}, rounds))
    lines = [
        [mark, *(measure.spread([taken[mark] for taken in parts[p]]) for p in projects)]
        for mark in marks
    ]
    print(f"\n{measure.table(header(projects)[: 1 + len(projects)], lines)}".replace("CPU", "wall"))


def show(projects: list[Path], runs: dict[str, list[list[Run]]]) -> None:
    rounds = len(next(iter(runs.values()))[0])
    print(f"\n{rounds} rounds\n\n{measure.table(header(projects), rows(runs))}", flush=True)


if __name__ == "__main__":
    cli.run(main)
