# What the rules share: the checked configuration, the backend, file names, flags.
import json
import os
import shlex
import shutil
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

ROOT = Path(workflow.basedir)
if not ROOT.samefile(Path.cwd()):
    raise WorkflowError(
        f"the working directory is {Path.cwd()}, but programs, presets and config.yaml are in "
        f"{ROOT}: run snakemake there, without --directory; for results in another place, copy that "
        "folder"
    )
sys.path.insert(0, str(ROOT / "scripts"))

from tau2_agent.config import backend as backends
from tau2_agent.config import user_options as user_config
from tau2_agent.files import code_digest
from tau2_agent.config.layers import (
    COMMAND_LINE,
    ConfigError,
    check_command_line,
    choice,
    file_layers,
)
from tau2_agent.config.settings import SPLITS
from tau2_agent.rollout.template_files import template_file
from tau2_agent.config.sweeps import PLAIN, Run, resolve_runs

# --- where jobs run ------------------------------------------------------------------------------
# A cluster executor sets a number of jobs (nodes). In a dry run `-j` does so too, hence the second
# half: cluster profiles have default resources. A job on a node is part of a cluster run.
REMOTE = workflow.remote_exec or (
    workflow.resource_settings.nodes is not None
    and (
        not workflow.output_settings.dryrun
        or workflow.resource_settings.default_resources is not None
    )
)
CONTAINER = "APPTAINER" in {
    method.name for method in workflow.deployment_settings.deployment_method
}

# Jobs find the Python that runs Snakemake, activated or not, and its output is not held back. They
# read and write UTF-8 whatever the locale; so do tau2's files, which it opens without saying how.
os.environ.update(
    PATH=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
    PYTHONUNBUFFERED="1",
    PYTHONUTF8="1",
)
# A failure anywhere in a command fails the job (the first part, Snakemake's own default). A stop
# signal is the program's to answer: the shell waits for it to save its state, and tee, which shows
# and keeps its output, outlives it, or the program would die of its next line.
shell.prefix(
    "set -euo pipefail; trap : TERM USR1; "
    """tee() {{ trap '' INT TERM USR1; command tee "$@"; }}; """
    # A container has a PATH of its own; what was added to its packages lies here.
    + ('if [ -d .venv-gpu ]; then PATH="$PWD/.venv-gpu/bin:$PATH"; fi; ' if CONTAINER else "")
)

# --- configuration -------------------------------------------------------------------------------


def configuration_layers():
    """(file, values) of all places that configure, lowest first."""
    if workflow.is_main_process:
        check_command_line(sys.argv[1:])
    files = [Path("config.yaml"), *map(Path, workflow.config_settings.configfiles)]
    layers = file_layers([Path(os.path.relpath(file)) for file in files])
    return [*layers, (COMMAND_LINE, dict(workflow.config_settings.config))]


def choose_backend(wanted, wanted_by):
    return backends.choose(wanted, wanted_by, remote=REMOTE, container=CONTAINER)


if isinstance(config.get("run"), Run):
    RUN = config["run"]  # one of a sweep: see runs.smk
else:
    try:
        RUNS = resolve_runs(configuration_layers(), ROOT / "presets", choose_backend)
    except ConfigError as error:
        raise WorkflowError(f"the configuration has mistakes:\n{error}") from None
    RUN = RUNS[PLAIN]
SETTINGS = RUN.settings
config.clear()
config.update(SETTINGS.config)

BACKEND = config["backend"]
if workflow.is_main_process and RUN.name == PLAIN:
    print(
        f"backend: {BACKEND} ({SETTINGS.backend.reason}); preset: {SETTINGS.preset}",
        file=sys.stderr,
    )


onstart:
    # Only in real runs: a dry run shows every backend anywhere.
    here = workflow.executor_plugin.name if workflow.is_main_process else ""
    if here == "slurm" and shutil.which("sbatch") is None:
        raise WorkflowError(
            "--profile slurm: there is no SLURM here (no sbatch in PATH). Run it on a login node of "
            "a cluster, load the cluster's SLURM module, or leave the profile out"
        )
    if not REMOTE:
        try:
            backends.require(BACKEND, GPUS + USER_GPUS, container=CONTAINER)
        except backends.BackendUnavailable as error:
            raise WorkflowError(str(error)) from None
    if workflow.is_main_process:
        require_language_models()


# --- names ---------------------------------------------------------------------------------------
# What a run of a sweep makes itself is marked by its name: models/demo+RUN, results/RUN/. What it
# shares has the name of the run that makes it.


def marked(path, stage):
    """The file of a stage: its name, and +RUN unless it is the plain run's."""
    return f"{path}+{RUN.owners[stage]}" if RUN.owners[stage] else path


def results_files(run):
    """Stage -> pattern of the evaluation file, of one run."""
    folder = {stage: f"{owner}/" if owner else "" for stage, owner in run.owners.items()}
    return {
        "base": f"results/{folder['base results']}base/eval_{{split}}.json",
        "sft": f"results/{folder['sft results']}sft/eval_{{split}}.json",
        "rl": f"results/{f'{run.name}/' if run.name else ''}eval_{{split}}.json",
    }


def evaluated(run):
    """The evaluation files of a run, shared ones included."""
    wanted = run.settings.config["evaluation"]
    files = results_files(run)
    return expand(
        [files[stage] for stage in [*wanted["compare_with"], "rl"]], split=wanted["splits"]
    )


NAME = config["model"]["name"]
CHECKPOINTS = {
    "base": marked(f"models/{NAME}", "base"),
    "sft": marked(f"checkpoints/{NAME}", "sft") + "_sft_telecom",
    "rl": marked(f"checkpoints/{NAME}", "rl") + "_rl_telecom",
}
CONVERTED = CHECKPOINTS["base"] + "_torch_dist"
TRACES = marked("data/teacher_traces", "traces") + ".jsonl"
LEAKS = marked("data/leaks_{split}", "traces") + ".json"
RESULTS = results_files(RUN)
USER_MODEL = marked(f"models/{NAME}_user", "traces")  # which is made anew when the user changes
if config["user"]["serve"] and user_config.is_folder(config["user"]["serve"]):
    USER_MODEL = config["user"]["serve"]["source"]


wildcard_constraints:
    split="[A-Za-z0-9_]+",


def known_split(wildcards):
    """No file; fails for a split that tau2 and this project do not have."""
    if wildcards.split not in SPLITS:
        raise WorkflowError(
            f"there is no split {wildcards.split!r}; {choice(wildcards.split, SPLITS)}"
        )
    return []


def tasks_file(split):
    return f"data/telecom_{split}_tasks.jsonl"


# --- flags ---------------------------------------------------------------------------------------


def flags(values=None, **more):
    """Command-line flags from keys and values; None gives none, truth values --key or --no-key.

    Put into a rule's params, they are what triggers its rerun, so only what matters to it goes in.
    """
    words = []
    for key, value in {**(values or {}), **more}.items():
        if value is None:
            continue
        flag = key.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        elif isinstance(value, str) and value.startswith("--"):
            words.append(f"--{flag}={value}")  # or it would be taken for another flag
        else:
            words += [f"--{flag}", *map(str, value if isinstance(value, list) else [value])]
    return shlex.join(words)


def only(section, keys):
    """The named keys (one text, with blanks between) of a section of the configuration."""
    return {key: config[section][key] for key in keys.split()}


def teacher_flags(values):
    """Values of the section traces under the names of flags."""
    asked = "model temperature max_tokens options api_base timeout_s budget_usd budget_tokens price"
    named = {f"teacher_{key}" if key in asked.split() else key: values[key] for key in values}
    if "teacher_options" in named:
        options = named["teacher_options"]
        named["teacher_options"] = json.dumps(options) if options else None
    return named


# Of action, communicate and assertion checks, as the programs take them.
PARTIAL_WEIGHTS = ",".join(
    str(config["reward"]["weights"][check]) for check in ("action", "communicate", "assertion")
)


def untracked_flags(**values):
    """Flags that change nothing in the result, such as how often to save: no rerun for these.

    Snakemake leaves params out of its reasons when they are functions of the resources.
    """
    return lambda wildcards, resources: flags(values)


# --- sharing between copies of the project (--cache) ----------------------------------------------
# Only what comes out the same each time: a language model would not, a folder may have changed. Such
# rules may have no benchmark.
SAME_TRACES = config["traces"]["teacher"] == config["user"]["simulator"] == "scripted"
SAME_MODEL = bool(config["model"]["revision"]) or (
    config["model"]["source"] == "demo" and SAME_TRACES
)


def code(wildcards, resources):
    """What else decides a cached file: our programs and the packages that they use.

    A param for the cache's sake: Snakemake hashes params, not programs. It gives no rerun.
    """
    return code_digest(ROOT / "scripts")


# --- who plays the user -----------------------------------------------------------------------
SIMULATORS = {stage: user_config.simulator_of(config, stage) for stage in user_config.STAGES}


def language_models():
    """Section -> settings of the language models that will be asked, without any key."""
    asked = {}
    keys = "model api_base max_tokens budget_usd budget_tokens options price"
    if any(simulator.llm and not simulator.serve for simulator in SIMULATORS.values()):
        asked["user"] = only("user", keys)
    if config["traces"]["teacher"] == "llm" and not Path(TRACES).exists():
        asked["traces"] = only("traces", keys)
    return asked


def require_language_models():
    """Fail before anything is made if a language model cannot be asked: no key, no price."""
    asked = language_models()
    if not asked:
        return
    from tau2_agent.llm.client import LLMFailure, LLMSettings, check_model

    for section, settings in asked.items():
        try:
            check_model(LLMSettings(**settings))
        except LLMFailure as failure:
            raise WorkflowError(f"{section}: {failure.detail}") from None


def user_model(stage):
    """The folder of the model that plays the user in a stage, if it is served here."""
    return USER_MODEL if SIMULATORS[stage].serve else []


def beside_user_model(stage, job):
    """What goes before a command whose user is served here; nothing else. An untracked param.

    job: names the server's log; may hold wildcards.
    """
    serve = SIMULATORS[stage].serve
    folder = f"logs/{RUN.name}/" if RUN.name else "logs/"

    def command(wildcards, resources):
        if not serve:
            return ""
        words = flags(
            model=USER_MODEL,
            name=user_config.model_name(config["user"]).removeprefix("openai/"),
            gpus=serve["gpus"],
            server_args=serve["server_args"] or None,
            log=f"{folder}user_model_{job}.log".format(**dict(wildcards.items())),
        )
        return f"python scripts/with_user_model.py {words} -- "

    return command


NODES = config["resources"]["nodes"]


# What training programs are told about the machine and its records.
KEEP = only("resources", "keep_checkpoints")
MACHINE = {
    "cpu": KEEP,
    "slime": {
        "gpus": config["resources"]["gpus"],
        "nodes": NODES if NODES > 1 else None,
        **only(
            "slime",
            "tensor_parallel pipeline_parallel context_parallel expert_parallel"
            " max_tokens_per_gpu recompute optimizer_offload attention_backend",
        ),
        **KEEP,
        "extra_args": config["slime"]["extra_args"] or None,
        "tracking": config["tracking"]["tool"],
        "wandb_project": config["tracking"]["project"],
        "wandb_mode": "offline" if config["tracking"]["offline"] else "online",
    },
}[BACKEND]

# --- resources -----------------------------------------------------------------------------------
GPUS = config["resources"]["gpus"] if BACKEND == "slime" else 0
# A training on several nodes starts srun itself, as the cluster plugin's MPI jobs do; it counts
# GPUs over all nodes.
TRAINING_NODES = (
    {"nodes": NODES, "tasks": NODES, "tasks_per_gpu": 0, "mpi": "srun"} if NODES > 1 else {}
)
THREADS = config["resources"]["threads"] or workflow.resource_settings.cores or 8

USER_GPUS = max(simulator.gpus for simulator in SIMULATORS.values())

if GPUS + USER_GPUS and workflow.is_main_process and not REMOTE:
    # Without a cap Snakemake would start as many GPU jobs at once as there are cores.
    workflow.global_resources.setdefault("gpu", backends.visible_gpus() or GPUS + USER_GPUS)


def memory_mb(wildcards, attempt):
    """Megabytes; a retry gets half as much again."""
    return int(config["resources"]["memory_gb"] * 1000 * (1 + attempt) / 2)


def runtime(wildcards, attempt):
    """Minutes on a cluster; a retry gets as much again."""
    return max(1, int(attempt * config["resources"]["time_limit_hours"] * 60))
