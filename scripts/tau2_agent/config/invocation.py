"""How Snakemake was started. The only place that knows its inside.

Of the `workflow` object only a few attributes are documented. Those that are used here hold in the
versions below; tests/workflow runs them. Every other file asks this one.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tau2_agent.config.layers import COMMAND_LINE, ConfigError, Layer, file_layers

VERSIONS = (9, 10)  # from the first, below the second: tried with 9.27.1
OWN_FILE = Path("config.yaml")


class Invocation(NamedTuple):
    """What the command line says apart from targets.

    main: not a job's own process. remote: jobs run on a cluster, or this is one of them. container:
    jobs run in slime's container. cores: None where nothing limits them.
    """

    main: bool
    remote: bool
    container: bool
    cores: int | None
    files: tuple[Path, ...]
    values: Mapping[str, Any]

    def layers(self) -> list[Layer]:
        """Where values come from, lowest first. Raises ConfigError."""
        files = [OWN_FILE, *(Path(os.path.relpath(file)) for file in self.files)]
        return [*file_layers(files), (COMMAND_LINE, self.values)]

    def again(self) -> str:
        """The command that makes everything again with the same values, where config.yaml is."""
        words = ["snakemake", "--cores", "all"]
        if self.files:
            words += ["--configfile", *(os.path.relpath(file) for file in self.files)]
        if self.values:
            given = (f"{key}={json.dumps(value)}" for key, value in self.values.items())
            words += ["--config", *given]
        return shlex.join(words)


def read(workflow: Any) -> Invocation:
    """Read Snakemake's `workflow`."""
    resources = workflow.resource_settings
    # A cluster executor sets a number of jobs (nodes). In a dry run `-j` does so too, hence the
    # default resources, which cluster profiles have.
    cluster = resources.nodes is not None and (
        not workflow.output_settings.dryrun or resources.default_resources is not None
    )
    methods = {method.name for method in workflow.deployment_settings.deployment_method}
    return Invocation(
        main=workflow.is_main_process,
        remote=bool(workflow.remote_exec or cluster),
        container="APPTAINER" in methods,
        cores=resources.cores,
        files=tuple(map(Path, workflow.config_settings.configfiles)),
        values=dict(workflow.config_settings.config),
    )


def executor(workflow: Any) -> str:
    """The name of what runs the jobs, such as slurm; known when they start."""
    return workflow.executor_plugin.name


def cap_gpus(workflow: Any, gpus: int) -> None:
    """Let jobs use `gpus` GPUs at a time, unless the command line says another number.

    Without a cap Snakemake would start as many GPU jobs at once as there are cores.
    """
    workflow.global_resources.setdefault("gpu", gpus)


def check_version(version: str) -> None:
    """Refuse a Snakemake whose inside was not tried. Raises ConfigError."""
    first, below = VERSIONS
    if not first <= int(version.split(".")[0]) < below:
        raise ConfigError(
            f"Snakemake {version} is not one that this workflow knows: install one from {first}.0, "
            f"below {below}, such as ./run setup does"
        )
