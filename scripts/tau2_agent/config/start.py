"""What is asked once, before the first job of a real run. A dry run shows everything anywhere."""

from __future__ import annotations

import shutil
from collections.abc import Iterable

from tau2_agent.config import backend as backends
from tau2_agent.config import job_resources
from tau2_agent.config.invocation import Invocation
from tau2_agent.config.layers import ConfigError
from tau2_agent.config.stage_files import stage_files
from tau2_agent.config.sweeps import Run
from tau2_agent.config.user_options import language_models


def check_start(runs: Iterable[Run], started: Invocation, executor: str) -> None:
    """Fail if a run cannot work here: no SLURM, no GPU, no slime, no key or price of a model.

    executor: what runs the jobs. Raises ConfigError or BackendUnavailable.
    """
    if executor == "slurm" and shutil.which("sbatch") is None:
        raise ConfigError(
            "--profile slurm: there is no SLURM here (no sbatch in PATH). Run it on a login node "
            "of a cluster, load the cluster's SLURM module, or leave the profile out"
        )
    for run in runs:
        config = run.settings.config
        if not started.remote:
            wanted = job_resources.gpus(config) + job_resources.user_gpus(config)
            backends.require(config["backend"], wanted, container=started.container)
        _require_language_models(run)


def _require_language_models(run: Run) -> None:
    asked = language_models(run.settings.config, stage_files(run).traces)
    if not asked:
        return
    from tau2_agent.llm.client import LLMFailure, LLMSettings, check_model

    for section, settings in asked.items():
        try:
            check_model(LLMSettings(**settings))
        except LLMFailure as failure:
            place = f"runs.{run.name}: " if run.name else ""
            raise ConfigError(f"{place}{section}: {failure.detail}") from None
