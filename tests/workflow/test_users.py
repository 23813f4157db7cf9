"""User simulators that are language models in the workflow: commands, reruns, keys."""

from __future__ import annotations

import re

import pytest
from fake_openai import FakeOpenAI, Simulator

from tau2_agent.benchmark.tasks import load_tasks

pytestmark = pytest.mark.workflow
TARGET = "results/eval_test.json"
KEY = "sk-planted-0123456789abcdef"
SERVED = "{simulator: llm, serve: {source: a/b, revision: abc, gpus: 2}}"


def commands(project, *config: str) -> dict[str, str]:
    """Log's name -> command of each job of the demo."""
    outcome = project.dry_run("-p", TARGET, "--config", "preset=demo", *config)
    assert outcome.status == 0, outcome.text
    found = re.findall(r"Shell command: (.*?) 2>&1 \| tee logs/(\w+)\.log", outcome.text)
    return {name: command for command, name in found}


def test_every_stage_gets_the_user(project) -> None:
    found = commands(project, "user={simulator: llm, concurrency: 5}")
    for name in ("teacher_traces", "grpo", "evaluate_test", "evaluate_sft_test"):
        assert "--user llm --user-model gemini/gemini-2.5-flash-lite" in found[name]
        assert "--user-concurrency 5" in found[name]
    assert all("user" not in found[name] for name in ("sft", "base_model", "leaks_test"))


def test_evaluation_on_another_user_than_the_trained_one(project) -> None:
    found = commands(project, "evaluation={user: {scripted: 1, llm: 3}}")
    assert "--user scripted" in found["grpo"] and "--user-model" not in found["grpo"]
    assert "--user llm=0.75,scripted=0.25 --user-model" in found["evaluate_test"]


def test_a_model_served_beside_the_policy(project) -> None:
    found = commands(project, f"user={SERVED}")
    assert found["user_model"].endswith("--only-served --source a/b --revision abc")
    for name in ("teacher_traces", "grpo", "evaluate_test"):
        assert found[name].startswith(
            "python scripts/with_user_model.py --model models/user_model --name a/b@abc --gpus 2 "
        )
        assert f"--log logs/user_model_{name}.log -- python scripts/" in found[name]
        assert "--user-model openai/a/b@abc" in found[name]


def test_a_model_in_a_folder_is_served_from_there(project) -> None:
    (project.folder / "mine").mkdir()
    found = commands(project, "user={simulator: llm, serve: {source: mine}}")
    assert "user_model" not in found
    assert "--model mine --name mine --gpus 1" in found["grpo"]


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("user={simulator: human}", "user simulator 'human' does not exist"),
        ("evaluation={user: {llm: 0}}", "but the share of llm is 0"),
        ("user={serve: {source: a/b}}", "pin user.serve.revision"),
        ("user={serve: {source: a/b, revision: c}, api_base: 'http://x'}", "user.api_base"),
        ("user={price: {input: 1}}", "user.price"),
        ("user={max_failure_share: 2}", "at most 1"),
    ],
)
def test_mistakes_are_told_before_anything_runs(project, config, words) -> None:
    outcome = project.dry_run(TARGET, "--config", "preset=demo", config)
    assert outcome.status != 0 and words in outcome.text


def test_a_missing_key_is_found_before_anything_is_made(project, monkeypatch) -> None:
    for name in ("GEMINI_API_KEY", "GOOGLE_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    config = ["--config", "preset=demo", "evaluation={user: llm}"]
    outcome = project.run(TARGET, "--cores", "1", *config)
    assert outcome.status != 0 and "GEMINI_API_KEY" in outcome.text
    assert not (project.folder / "data").exists()
    assert project.dry_run(TARGET, *config).status == 0


@pytest.mark.slow
def test_a_key_is_found_nowhere_and_money_reruns_nothing(project, monkeypatch) -> None:
    """A real stage whose user wants a key: logs, metadata and traces do not hold it."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    traces = "data/teacher_traces.jsonl"

    def config(*more: str) -> list[str]:
        user = ["simulator: llm", "model: openai/stand-in", f"api_base: '{server.url}'", *more]
        return ["--config", "preset=demo", "tasks={sft: small}", f"user={{{', '.join(user)}}}"]

    with FakeOpenAI(Simulator(load_tasks("small")), authorize=KEY) as server:
        outcome = project.run(traces, "--cores", "1", *config())
        assert outcome.status == 0, outcome.text
        assert len((project.folder / traces).read_text().splitlines()) == 20
        paid = len(server.requests)
        assert paid == server.answered
        cheaper = config("budget_usd: 3", "price: {input: 1, output: 2}", "concurrency: 2")
        assert project.dry_run(traces, *cheaper).jobs == {}
        assert "teacher_traces" in project.dry_run(traces, *config("temperature: 0.5")).jobs
        assert len(server.requests) == paid
    assert KEY not in outcome.text
    files = [path for path in project.folder.rglob("*") if path.is_file()]
    assert any(".snakemake" in path.parts for path in files)
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []
