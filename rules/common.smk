# What the rules share: the settings in force, file names, resources.
import json
import os
import shlex
import sys
from pathlib import Path

from snakemake.common import __version__ as snakemake_version
from snakemake.exceptions import WorkflowError

ROOT = Path(workflow.basedir)
if not ROOT.samefile(Path.cwd()):
    raise WorkflowError(
        f"the working directory is {Path.cwd()}, but programs, presets and config.yaml are in "
        f"{ROOT}: run snakemake there, without --directory; for results in another place, copy that "
        "folder"
    )
sys.path.insert(0, str(ROOT / "scripts"))

from tau2_agent.config import invocation, job_resources, made_by, run_flags, stage_flags
from tau2_agent.config.backend import choose, visible_gpus
from tau2_agent.config.command_line import check_command_line
from tau2_agent.config.layers import choice
from tau2_agent.config.settings import SPLITS
from tau2_agent.config.stage_files import (
    all_evaluated,
    all_sampled,
    all_trained,
    chat_template,
    compared,
    evaluated,
    gone_stores,
    report_parts,
    stage_files,
)
from tau2_agent.config.start import check_start
from tau2_agent.config.sweeps import PLAIN, Run, resolve_runs
from tau2_agent.config.task_splits import gated_splits, learnt_from, sampled_split, tasks_file
from tau2_agent.config.user_options import simulator_of
from tau2_agent.errors import PipelineError

STARTED = invocation.read(workflow)

# Jobs find the Python that runs Snakemake, activated or not, and its output is not held back. They
# read and write UTF-8 whatever the locale; so do tau2's files, which it opens without saying how.
os.environ.update(
    PATH=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
    PYTHONUNBUFFERED="1",
    PYTHONUTF8="1",
    TAU2_AGENT_PROGRESS="results/progress.json",  # where long stages say how far they are
)
# A failure anywhere in a command fails the job (the first part, Snakemake's own default). A stop
# signal is the program's to answer: the shell waits for it to save its state, and tee, which shows
# and keeps its output, outlives it, or the program would die of its next line.
shell.prefix(
    "set -euo pipefail; trap : TERM USR1; "
    """tee() {{ trap '' INT TERM USR1; command tee "$@"; }}; """
    # A container has a PATH of its own; what was added to its packages lies here.
    + (
        'if [ -d .venv-gpu ]; then PATH="$PWD/.venv-gpu/bin:$PATH"; fi; '
        if STARTED.container
        else ""
    )
)

# --- configuration -------------------------------------------------------------------------------


def choose_backend(wanted, wanted_by):
    return choose(wanted, wanted_by, remote=STARTED.remote, container=STARTED.container)


if isinstance(config.get("run"), Run):
    RUN = config["run"]  # one of a sweep: see runs.smk
else:
    try:
        invocation.check_version(snakemake_version)
        if STARTED.main:
            check_command_line(sys.argv[1:])
        made_by.tau2_data()  # a folder that is not there must not cost a file
        RUNS = resolve_runs(STARTED.layers(), ROOT / "presets", choose_backend)
    except PipelineError as error:
        raise WorkflowError(f"the configuration has mistakes:\n{error}") from None
    if STARTED.main and (gone := gone_stores(RUNS.values())):
        raise WorkflowError(gone)
    RUN = RUNS[PLAIN]
config.clear()
config.update(RUN.settings.config)
if STARTED.main and RUN.name == PLAIN:
    print(
        f"backend: {config['backend']} ({RUN.settings.backend.reason}); preset: {config['preset']}",
        file=sys.stderr,
    )

# --- files ---------------------------------------------------------------------------------------
FILES = stage_files(RUN)


wildcard_constraints:
    split="[A-Za-z0-9_]+",


def known_split(wildcards):
    """No file; fails for a split that tau2 and this project do not have."""
    if wildcards.split not in SPLITS:
        raise WorkflowError(
            f"there is no split {wildcards.split!r}; {choice(wildcards.split, SPLITS)}"
        )
    return []


# --- params --------------------------------------------------------------------------------------


def untracked(value):
    """A param that gives no rerun when it changes: Snakemake compares no functions of resources."""
    return lambda wildcards, resources: value


# Copies share (--cache) only what comes out the same each time. Such rules may have no benchmark, and
# say which packages they rest on.
PACKAGES = untracked(made_by.packages())
SAME_TRACES, SAME_MODEL = job_resources.same_each_time(config)


def user_model(stage):
    """The folder of the model that plays the user in a stage, if it is served here."""
    return FILES.user_model if simulator_of(config, stage).serve else []


def beside_user_model(stage, job):
    """What goes before a command whose user is served here. job: names the server's log."""
    folder = f"logs/{RUN.name}/" if RUN.name else "logs/"

    def command(wildcards, resources):
        log = f"{folder}user_model_{job}.log".format(**dict(wildcards.items()))
        return stage_flags.user_server(config, stage, FILES.user_model, log)

    return command


# --- resources -----------------------------------------------------------------------------------
GPUS = job_resources.gpus(config)
NODES = config["resources"]["nodes"]
TRAINING_NODES = job_resources.training_nodes(config)
THREADS = config["resources"]["threads"] or STARTED.cores or 8

if STARTED.main and not STARTED.remote:
    most = GPUS + job_resources.user_gpus(config)
    if most:
        invocation.cap_gpus(workflow, visible_gpus() or most)


def memory_mb(wildcards, attempt):
    return job_resources.memory_mb(config, attempt)


def runtime(wildcards, attempt):
    return job_resources.runtime(config, attempt)
