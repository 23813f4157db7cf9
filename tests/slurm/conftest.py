"""A cluster for the session, and copies of the project whose jobs it runs."""

from __future__ import annotations

import time

import cluster as clusters
import pytest
from cluster_project import copy_for


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    if why := clusters.missing():
        pytest.skip(f"no SLURM here: {why}")
    with clusters.Cluster(tmp_path_factory.mktemp("slurm") / "c") as started:
        yield started


@pytest.fixture(scope="session")
def project(tmp_path_factory, cluster):
    project = copy_for(tmp_path_factory.mktemp("project"), cluster)
    yield project
    project.end()


@pytest.fixture
def own_project(tmp_path, cluster):
    """A copy of the repository for one test."""
    project = copy_for(tmp_path, cluster)
    yield project
    project.end()


@pytest.fixture
def wait_until():
    """Poll a condition; the deadline only ends a hanging test."""

    def wait(condition, what: str, seconds: float = 900.0):
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < deadline, f"{what} did not happen"
            time.sleep(0.1)
        return found

    return wait
