"""The trace stage with every kind of teacher: its command, and what reruns it."""

from __future__ import annotations

import re

import pytest
from fake_openai import FakeOpenAI
from teacher_behind_api import teacher_answers

pytestmark = pytest.mark.workflow
TRACES = "data/teacher_traces.jsonl"


def command(project, config: str) -> str:
    outcome = project.dry_run("-p", TRACES, "--config", f"traces={config}")
    assert outcome.status == 0, outcome.text
    return re.search(r"Shell command: (python scripts/\w+_traces.py .*?) 2>&1", outcome.text)[1]


def test_teacher_that_is_a_language_model(project) -> None:
    text = command(
        project,
        "{teacher: llm, model: openai/x, api_base: 'http://h:1/v1', budget_usd: 2,"
        " price: {input: 0.1, output: 0.4}, options: {reasoning_effort: low}}",
    )
    assert text.startswith("python scripts/teacher_traces.py --tasks data/telecom_train_tasks")
    for part in (
        "--teacher llm",
        "--teacher-model openai/x --teacher-temperature 0.7",
        """--teacher-options '{"reasoning_effort": "low"}' --attempts 4""",
        "--teacher-api-base http://h:1/v1 --teacher-timeout-s 120.0 --teacher-budget-usd 2.0",
        "--teacher-price 0.1 0.4 --concurrency 16",
    ):
        assert part in text


def test_traces_from_a_file_need_no_tasks_and_a_changed_file_reruns(project) -> None:
    (project.folder / "mine.jsonl").write_text("{}\n")
    config = "traces={teacher: file, source: mine.jsonl}"
    outcome = project.dry_run("-p", TRACES, "--config", config)
    assert outcome.jobs == {"teacher_traces": 1}
    assert "import_traces.py --output data/teacher_traces.jsonl --teacher file" in outcome.text
    assert "--source mine.jsonl --no-replace-prompt --max-rejected-share 0.1" in outcome.text
    missing = project.dry_run(TRACES, "--config", "traces={teacher: file, source: none.jsonl}")
    assert missing.status != 0 and "none.jsonl" in missing.text


def test_tokens_are_counted_by_the_model_that_is_trained(project) -> None:
    config = ["preset=qwen3-4b", "traces={teacher: hub, source: a/b, revision: v1, max_length: 99}"]
    outcome = project.dry_run("-p", TRACES, "--config", *config)
    assert outcome.jobs == {"teacher_traces": 1, "base_model": 1}
    assert "--tokenizer models/qwen3-4b-instruct-2507 --source a/b --revision v1" in outcome.text
    assert "--max-length 99" in outcome.text


def test_user_that_is_a_language_model_takes_attempts_too(project) -> None:
    config = ["traces={attempts: 2}", "user={simulator: llm}"]
    text = project.dry_run("-p", TRACES, "--config", *config).text
    assert "--teacher scripted --user llm" in text
    assert "--attempts 2" in text and "--concurrency 16" in text
    assert "--attempts" not in project.dry_run("-p", TRACES).text


def test_missing_key_of_the_teacher_is_found_before_anything_is_made(project, monkeypatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    config = "traces={teacher: llm, model: openai/gpt-4o-mini}"
    outcome = project.run(TRACES, "--cores", "1", "--config", config)
    assert outcome.status != 0
    assert "traces: openai/gpt-4o-mini needs OPENAI_API_KEY in the environment" in outcome.text
    assert not (project.folder / "data").exists()
    assert project.dry_run(TRACES, "--config", config).status == 0


@pytest.mark.slow
def test_traces_are_paid_once(project) -> None:
    """A real run against a stand-in; budgets rerun nothing, more attempts ask for nothing twice."""
    traces = project.folder / TRACES

    def config(*more: str) -> list[str]:
        llm = ["teacher: llm", "model: openai/stand-in", f"api_base: '{server.url}'", *more]
        return ["--config", "tasks={sft: small}", f"traces={{{', '.join(llm)}}}"]

    with FakeOpenAI(teacher_answers) as server:
        outcome = project.run(TRACES, "--cores", "1", *config())
        assert outcome.status == 0, outcome.text
        assert "teacher openai/stand-in: " in outcome.text
        paid, first = len(server.requests), traces.read_bytes()
        assert len(first.splitlines()) == 20
        more = config("budget_usd: 3", "price: {input: 1, output: 2}", "concurrency: 2")
        assert project.dry_run(TRACES, *more).jobs == {}
        outcome = project.run(TRACES, "--cores", "1", *config("attempts: 8"))
        assert outcome.status == 0, outcome.text
        assert outcome.jobs == {"teacher_traces": 1}
        assert len(server.requests) == paid
    assert traces.read_bytes() == first
