"""The profile on a SLURM that keeps accounts, and takes no job without one."""

from __future__ import annotations

import cluster as clusters
import pytest
from cluster_project import copy_for
from test_slurm import PROFILE, SEES_GPUS

pytestmark = [pytest.mark.workflow, pytest.mark.slow, pytest.mark.slurm]


@pytest.fixture
def project(tmp_path):
    if why := clusters.missing(accounting=True):
        pytest.skip(f"no SLURM with accounting here: {why}")
    with clusters.Cluster(tmp_path / "c", accounting=True) as started:
        (tmp_path / "project").mkdir()
        project = copy_for(tmp_path / "project", started)
        yield project
        project.end()


def test_jobs_are_accounted_for(project, wait_until) -> None:
    (project.folder / "scripts/evaluate_tau2.py").write_text(SEES_GPUS)
    profile = project.folder / "slurm/config.yaml"
    account = f"slurm_account: {clusters.ACCOUNT}"
    profile.write_text(profile.read_text().replace("# slurm_account: ACCOUNT", account))
    config = ("--config", "preset=gpu-smoke", "resources={gpus: 1, threads: 1, memory_gb: 1}")
    project.finish(project.start("results/base/eval_test.json", *PROFILE, *config))
    assert (project.folder / "results/base/eval_test.json").exists()
    asked = ("sacct", "--noheader", "--allocations", "--parsable2", "--format=Account,State")
    wanted = f"{clusters.ACCOUNT}|COMPLETED"  # the database hears of it a moment later
    wait_until(lambda: project.cluster.ask(*asked) == wanted, "the job's account")
