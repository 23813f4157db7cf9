"""What reruns a stage on GPUs. Nothing is trained: the files are empty, and Snakemake takes them as
made with the settings of the moment (`--touch`)."""

from __future__ import annotations

import pytest
from project_copy import copy_repository

pytestmark = pytest.mark.workflow

TARGET = "results/eval_test.json"
FOLDERS = (
    *("models/gpu-smoke", "models/gpu-smoke_torch_dist"),
    *("checkpoints/gpu-smoke_sft_telecom", "checkpoints/gpu-smoke_rl_telecom"),
)
FILES = (
    *("data/telecom_train_tasks.jsonl", "data/telecom_extra_train_tasks.jsonl"),
    "data/teacher_traces.jsonl",
    *("data/leaks_test.json", "data/leaks_extra_dev.json"),
)
HOOKS = "--custom-config-path hooks.yaml --custom-rm-path my_hooks.score"
ENDS = (".json", ".tau2.json")
SERVED = "user={simulator: llm, serve: {source: mine}}"
EVALUATIONS = {"evaluate", "evaluate_base", "evaluate_sft"}
TRAININGS = {"sft", "grpo", "evaluate_sft", "evaluate"}
EVERYTHING = {"teacher_traces", "leaks", "base_model", "convert_model", *TRAININGS, *EVALUATIONS}


@pytest.fixture(scope="module")
def reruns(tmp_path_factory):
    """A function from settings to the jobs that a dry run would do, in a project that is done."""
    project = copy_repository(tmp_path_factory.mktemp("slime"))
    (project.folder / "mine").mkdir()
    (project.folder / "mine/config.json").write_text("{}")
    (project.folder / "hooks.yaml").write_text("a: 1\n")
    (project.folder / "scripts/my_hooks.py").write_text("def score(): return 1\n")
    results = [f"results/{s}eval_test{e}" for s in ("base/", "sft/", "") for e in ENDS]
    for name in (*FOLDERS, *FILES, *results):
        path = project.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir() if name in FOLDERS else path.write_text("")
    # A cluster's profile, so that no GPU is looked for here.
    words = ("--profile", "slurm", "--config", "preset=gpu-smoke", SERVED)
    settings = [f"slime={{extra_args: {HOOKS}}}"]
    outcome = project.run("--touch", "--forceall", *words, *settings, "--", TARGET)
    assert outcome.status == 0, outcome.text

    def jobs(*other: str) -> set[str]:
        outcome = project.dry_run(*words, *(other or settings), "--", TARGET)
        assert outcome.status == 0, outcome.text
        return set(outcome.jobs)

    jobs.folder = project.folder
    return jobs


@pytest.mark.parametrize(
    ("slime", "expected"),
    [
        (f"extra_args: {HOOKS}", set()),
        (f"extra_args: {HOOKS}, server_args: --quantization fp8", EVALUATIONS),
        (f"extra_args: {HOOKS}, server_args: --mem-fraction-static 0.5", set()),
        (f"extra_args: {HOOKS} --sglang-quantization fp8", TRAININGS),
        (f"extra_args: {HOOKS} --use-tis", TRAININGS),
        (f"extra_args: {HOOKS} --sglang-log-level info --recompute-num-layers 2", set()),
        ("extra_args: ''", TRAININGS),
        (f"extra_args: {HOOKS}, tensor_parallel: 1, max_tokens_per_gpu: 99", set()),
    ],
)
def test_arguments_that_change_a_result_rerun_it(reruns, slime, expected) -> None:
    assert reruns(f"slime={{{slime}}}") == expected


@pytest.mark.parametrize("name", ["hooks.yaml", "scripts/my_hooks.py"])
def test_a_file_that_the_arguments_name_is_edited(reruns, name) -> None:
    path = reruns.folder / name
    text = path.read_text()
    path.write_text(text.replace("1", "2"))
    assert reruns() == TRAININGS
    path.write_text(text)


def test_a_served_user_that_is_edited_in_place(reruns) -> None:
    path = reruns.folder / "mine/config.json"
    path.write_text('{"a": 1}')
    assert reruns() == EVERYTHING
    path.write_text("{}")
    assert reruns() == set()
