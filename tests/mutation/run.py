"""Mutation testing of the modules that decide numbers: does a test fail when the code is wrong?

    python tests/mutation/run.py --jobs 2

mutmut changes one place of one function at a time and runs the tests that call this function. What
survives is a gap in the tests, or stands in excused.toml with a reason. A run that was killed goes
on where it was. Which modules and which tests: setup.cfg. It works in a copy, `.mutation/`.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import fnmatch
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
COPIED = (
    *("Snakefile", "config.yaml", "README.md", "LICENSE", "pyproject.toml", "uv.lock", "run"),
    *("benchmarks", "docs", "envs", "experiments", "presets", "profiles", "rules", "slurm"),
    *("tests", ".ci"),
)
# Exit statuses of a mutant's tests, as mutmut keeps them.
STATES = {0: "survived", 1: "killed", 3: "killed", 5: "no tests", 33: "no tests", None: "not run"}
TIMEOUTS = {36, -24, 24, 152, 255}


class Mutant(NamedTuple):
    """A mutant, such as tau2_agent.evaluation.rates.x_totals__mutmut_3, and what became of it."""

    name: str
    module: str
    state: str
    source: Path


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="mutants to test again: tau2_agent.reward.*")
    parser.add_argument("--survivors", action="store_true", help="test again what survived")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="mutants at a time")
    parser.add_argument("--minutes", type=float, help="stop after so many; run again to go on")
    parser.add_argument(
        "--test-seconds", type=float, default=10, help="most that one mutant's tests may take"
    )
    parser.add_argument("--folder", type=Path, default=ROOT / ".mutation", help="to work in")
    parser.add_argument("--report", action="store_true", help="only say what is known")
    parser.add_argument("--output", type=Path, help="write the report there too")
    options = parser.parse_args()
    status = 0
    if options.survivors:
        lived = (one for one in mutants(options.folder) if one.state == "survived")
        options.names += [one.name for one in lived if excuse(one, excuses()) is None]
        options.report |= not options.names
    if not options.report:
        lay_out(options.folder)
        status = mutate(options)
    found = list(mutants(options.folder))
    text = report(found, options.folder)
    print(text)
    if options.output:
        options.output.write_text(text + "\n", encoding="utf-8")
    return status


def lay_out(folder: Path) -> None:
    """Copy the project into `folder`, scripts/ as src/; what did not change keeps its results."""
    # Where it is, digests of code are remembered: mutated files are long to read.
    (folder / "mutants" / ".snakemake").mkdir(parents=True, exist_ok=True)
    changed = [copy(ROOT / name, folder / name) for name in COPIED]
    if any(changed):  # mutmut sees new tests, and not what else a changed one calls
        (folder / "mutants" / "mutmut-stats.json").unlink(missing_ok=True)
    copy(ROOT / "scripts", folder / "src")
    shutil.copy2(HERE / "setup.cfg", folder / "setup.cfg")
    scripts = folder / "mutants" / "scripts"
    if not scripts.is_symlink():
        scripts.symlink_to("src")


def copy(source: Path, target: Path) -> bool:
    """Like rsync --delete; returns whether anything changed.

    What is the same keeps its time, by which mutmut knows it.
    """
    if source.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        names = {path.name for path in source.iterdir()} - {"__pycache__"}
        gone = [path for path in target.iterdir() if path.name not in names]
        for path in gone:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        changed = [copy(source / name, target / name) for name in names]
        return any(changed) or bool(gone)
    if target.exists() and source.read_bytes() == target.read_bytes():
        return False
    shutil.copyfile(source, target)
    shutil.copymode(source, target)
    return True


def mutate(options: argparse.Namespace) -> int:
    """Run mutmut in the folder. Its exit status; what it prints is in mutmut.log."""
    folder, minutes = options.folder, options.minutes
    seconds = {"TEST_SECONDS": str(options.test_seconds)}
    environment = {**os.environ, **seconds, "OMP_NUM_THREADS": "1", "NO_COLOR": "1"}
    command = [sys.executable, str(HERE / "nearest_first.py"), "run"]
    command += ["--max-children", str(options.jobs), *options.names]
    log = folder / "mutmut.log"
    print(f"mutmut is at work: {log}", flush=True)
    with open(log, "w", encoding="utf-8") as stream:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
        try:
            status = process.wait(minutes and 60 * minutes)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            process.send_signal(signal.SIGINT)  # it writes down what it knows
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(15)
            status = 0
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if status:
        print(log.read_text(encoding="utf-8")[-20_000:])
    return status


def mutants(folder: Path) -> Iterator[Mutant]:
    """Every mutant that mutmut made, in order of modules."""
    for path in sorted((folder / "mutants" / "src").rglob("*.py.meta")):
        known = json.loads(path.read_text(encoding="utf-8"))
        source = path.with_suffix("")
        module = ".".join(source.relative_to(folder / "mutants" / "src").with_suffix("").parts)
        for name, status in known["exit_code_by_key"].items():
            state = "killed" if status in TIMEOUTS else STATES.get(status, f"status {status}")
            yield Mutant(name, module, state, source)


def difference(mutant: Mutant) -> str:
    """The lines that the mutant changes."""
    spans = json.loads(mutant.source.with_name(mutant.source.name + ".spans").read_text())["spans"]
    lines = mutant.source.read_text(encoding="utf-8").splitlines()
    short = mutant.name.rpartition(".")[2]
    texts = []
    for name in (short.rpartition("_")[0] + "_orig", short):
        first, last = spans[name]
        texts.append([line for line in lines[first - 1 : last] if "def x" not in line])
    changes = list(difflib.unified_diff(*texts, lineterm="", n=0))[2:]
    return "\n".join(line for line in changes if not line.startswith("@@"))


def excuses() -> list[dict]:
    """Each of excused.toml: a pattern of names, regular expressions one of which is met, why."""
    with open(HERE / "excused.toml", "rb") as stream:
        return tomllib.load(stream)["excused"]


def excuse(mutant: Mutant, known: list[dict]) -> int | None:
    """The place of what excuses a mutant; None if nothing does."""
    for place, entry in enumerate(known):
        if fnmatch.fnmatchcase(mutant.name, entry["names"]) and any(
            re.search(change, difference(mutant), re.MULTILINE)
            for change in entry.get("changes", [""])
        ):
            return place
    return None


def report(found: list[Mutant], folder: Path) -> str:
    """A table of modules, and each survivor that nothing excuses."""
    known = excuses()
    used: set[int] = set()
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    left = []
    for mutant in found:
        state = mutant.state
        if state not in ("killed", "not run"):
            if (place := excuse(mutant, known)) is not None:
                used.add(place)
                state = "excused"
            else:
                left.append(mutant)
                state = "survived" if state == "survived" else "no tests"
        counts[mutant.module][state] += 1
        counts["all"][state] += 1
    counts["all"] = counts.pop("all", Counter())  # last
    columns = ("killed", "survived", "no tests", "excused", "not run")
    lines = [
        "module                                    "
        + "".join(f"{c:>10}" for c in columns)
        + "     score"
    ]
    for module, count in counts.items():
        tested = count["killed"] + count["survived"] + count["no tests"]
        score = f"{100 * count['killed'] / tested:.1f}" if tested else ""
        row = "".join(f"{count[column]:>10}" for column in columns)
        lines.append(f"{module:<42}{row}{score:>10}")
    for place, entry in enumerate(known):
        if place not in used and not counts["all"]["not run"]:
            lines.append(f"excused, but nothing such survives: {entry['names']}: {entry['reason']}")
    for mutant in left:
        lines += ["", f"{mutant.name}: {mutant.state}", difference(mutant)]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
