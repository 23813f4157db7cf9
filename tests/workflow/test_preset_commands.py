"""Each preset's commands, down to slime's own arguments, and what jobs may use, as golden files.

Those of one preset on GPUs and of the demo stand whole in their files; the others' files say where
theirs differ from the first. Write them anew with TAU2_WRITE_GOLDEN=1 and read the difference.
"""

import difflib
import itertools
import os
import re
import shlex
from pathlib import Path

import pytest
from model_configs import config

import train_grpo_slime
import train_sft_slime
from tau2_agent.inference.sglang_server import ServerOptions, server_command

pytestmark = pytest.mark.workflow
GOLDEN = Path(__file__).parents[1] / "golden" / "presets"
BASE, DEMO = "qwen3-4b", "demo"
# Preset -> the model that its arguments are made for; tests/preflight has the other presets.
PRESETS = {
    BASE: "Qwen3-4B-Instruct-2507",  # first: the others' files are written against its
    DEMO: "",
    "gpu-smoke": "Qwen3-4B-Instruct-2507",  # not the demo model, which is no published one
    "qwen3-4b-1gpu": "Qwen3-4B-Instruct-2507",
    "qwen3-4b-4gpu": "Qwen3-4B-Instruct-2507",
    "qwen3-4b-8gpu": "Qwen3-4B-Instruct-2507",
    "qwen3-4b-2x8gpu": "Qwen3-4B-Instruct-2507",
    "smollm2-135m": "SmolLM2-135M-Instruct",
    "qwen3-30b-a3b-8gpu": "Qwen3-30B-A3B-Instruct-2507",
}


def slime_arguments(words, model):
    """What a training program of ours hands to slime."""
    program, flags = Path(words[1]).name, words[2:]
    if program == "train_sft_slime.py":
        options = train_sft_slime.parse(flags)
        return train_sft_slime.slime_arguments(
            options,
            config=config(model),
            folder=Path("STORE"),
            data=Path("STORE/tokens.jsonl"),
            steps=train_sft_slime.count_steps(options, 74),
        )
    if program == "train_grpo_slime.py":
        options = train_grpo_slime.parse(flags)
        return train_grpo_slime.slime_arguments(
            options, config=config(model), folder=Path("STORE"), hooks=Path("STORE/tau2.yaml")
        )
    return []


def server_words(words):
    """How an evaluation starts its server."""
    if Path(words[1]).name != "evaluate_tau2.py":
        return []
    given = dict(itertools.pairwise(words))
    if given["--backend"] == "cpu":
        return []  # played in the program itself
    options = ServerOptions(
        Path(given["--checkpoint"]),
        tensor_parallel=int(given["--tensor-parallel"]),
        context_length=int(given["--context-length"]),
        seed=int(given["--seed"]),
    )
    return server_command(options, 30000, "python")


def one_flag_a_line(words):
    lines = []
    for word in words:
        if word.startswith("-") or not lines:
            lines.append(word)
        else:
            lines[-1] += f" {word}"
    return lines


def differences(text, base):
    """The lines of `text` that are not those of `base`, with the line before each group."""
    found = difflib.unified_diff(base.splitlines(), text.splitlines(), n=1, lineterm="")
    return "".join(f"{'@@' if line.startswith('@@') else line}\n" for line in list(found)[2:])


def what_jobs_may_use(text):
    """(what a job may use, its command) of each job of a dry run whose rules say no message."""
    job = r"^rule (\w+):\n(.*?)^Shell command: (.*?)$"
    for _rule, information, command in re.findall(job, text, re.MULTILINE | re.DOTALL):
        threads = re.search(r"^ *threads: (\d+)$", information, re.MULTILINE)
        resources = re.search(r"^ *resources: (.*)$", information, re.MULTILINE)[1].split(", ")
        own = [one for one in resources if not re.match("tmpdir|disk|mem_mib|mem=", one)]
        yield " ".join([f"threads={threads[1] if threads else 1}", *own]), command


@pytest.mark.parametrize("preset", PRESETS)
def test_golden_commands_of_a_preset(project, preset):
    # Snakemake shows no resources of a job that has a message.
    for rules in (project.folder / "rules").glob("*.smk"):
        text = rules.read_text(encoding="utf-8")
        rules.write_text(re.sub(r"\n *message:\n.*", "", text), encoding="utf-8")
    outcome = project.dry_run(
        "-p", "results/eval_test.json", "--cores", "8", "--config", f"preset={preset}"
    )
    assert outcome.status == 0, outcome.text
    jobs = sorted({command: used for used, command in what_jobs_may_use(outcome.text)}.items())
    own_tasks = preset in (DEMO, "gpu-smoke", "smollm2-135m")  # GRPO plays what the teacher did not
    assert len(jobs) == 11 + own_tasks - (preset == DEMO)
    lines = []
    for command, used in jobs:
        words = shlex.split(command.split(" 2>&1")[0])
        lines += [f"# {used}"]
        for part in (words, slime_arguments(words, PRESETS[preset]), server_words(words)):
            shown = [word.replace(str(project.folder), "HERE") for word in part]
            lines += [*one_flag_a_line(shown), ""] if part else []
    text = "\n".join(lines).replace(os.getcwd(), "HERE")
    path = GOLDEN / f"{preset}.txt"
    if preset not in (BASE, DEMO):
        path = path.with_suffix(".diff")
        text = differences(text, (GOLDEN / f"{BASE}.txt").read_text(encoding="utf-8"))
    if os.environ.get("TAU2_WRITE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), f"{path} differs; see this file's docstring"
