"""The stages of both backends, shown by `snakemake -n` anywhere, and mistakes that it finds."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.workflow

CPU_STAGES = {
    "tasks": 2,  # train for the teacher, extra_train for GRPO
    "teacher_traces": 1,
    "leaks": 2,  # test, and extra_dev, which validation plays
    "base_model": 1,
    "sft": 1,
    "grpo": 1,
    "evaluate_base": 1,
    "evaluate_sft": 1,
    "evaluate": 1,
}
SLIME_STAGES = {**CPU_STAGES, "convert_model": 1, "tasks": 1}  # train for both


def test_demo_shows_every_stage_and_the_backend(project) -> None:
    outcome = project.dry_run("results/eval_test.json")
    assert outcome.status == 0
    assert outcome.jobs == CPU_STAGES
    assert "backend: cpu (" in outcome.text
    assert "preset: demo" in outcome.text


def test_slime_shows_every_stage_without_a_gpu(project) -> None:
    outcome = project.dry_run("results/eval_test.json", "--config", "backend=slime")
    assert outcome.status == 0
    assert outcome.jobs == SLIME_STAGES
    assert "preset: qwen3-4b" in outcome.text


def cpu_seconds(project, *arguments: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert project.run(*arguments).status == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize("config", ["backend=cpu", "backend=slime"])
def test_dry_run_is_quick(project, config: str) -> None:
    """Under two seconds where it was measured; most of them are Snakemake's own start."""
    start = min(cpu_seconds(project, "--version") for _ in range(2))  # the first may compile
    # Once more if need be: other programs on the machine are not the workflow's fault.
    assert any(cpu_seconds(project, "-n", "--config", config) < 2 * start for _ in range(3))


@pytest.mark.parametrize("preset", sorted(path.stem for path in (ROOT / "presets").glob("*.yaml")))
def test_every_preset_can_be_shown(project, preset: str) -> None:
    outcome = project.dry_run("--config", f"preset={preset}")
    assert outcome.status == 0, outcome.text
    assert outcome.jobs["grpo"] == 1


def test_default_targets_are_the_summary_the_cards_and_the_report(project) -> None:
    assert project.dry_run().jobs == {**CPU_STAGES, "summary": 1, "cards": 1, "report": 1}


@pytest.mark.parametrize("stage", ["base", "sft"])
def test_earlier_models_alone_need_no_later_stage(project, stage: str) -> None:
    jobs = project.dry_run(f"results/{stage}/eval_train.json").jobs
    assert jobs[f"evaluate_{stage}"] == 1
    assert "grpo" not in jobs
    assert ("sft" in jobs) == (stage == "sft")


def test_comparison_can_be_left_out(project) -> None:
    jobs = project.dry_run(
        "results/eval_test.json", "--config", "evaluation={compare_with: []}"
    ).jobs
    assert "evaluate_base" not in jobs and "evaluate_sft" not in jobs


SAMPLED = {"rejection_sampling": 1, "rejection_sft": 1}


@pytest.mark.parametrize(
    ("backend", "start", "began_with"),
    [
        ("cpu", "base", "--model models/M "),
        ("cpu", "sft", "--model checkpoints/M_sft_telecom "),
        ("slime", "base", "--model models/M --base models/M_torch_dist "),
        ("slime", "sft", "--model checkpoints/M_sft_telecom --base checkpoints/M_sft_telecom "),
    ],
)
def test_rejection_sampling_comes_between_sft_and_grpo(project, backend, start, began_with):
    section = f"{{samples_per_task: 4, start_from: {start}, lr: 7.0e-5}}"
    values = (f"backend={backend}", f"rejection_sampling={section}", "model={name: M}")
    outcome = project.dry_run("results/eval_test.json", "-p", "--config", *values)
    assert outcome.status == 0, outcome.text
    stages, split = {"cpu": (CPU_STAGES, "extra_train"), "slime": (SLIME_STAGES, "train")}[backend]
    assert outcome.jobs == {**stages, **SAMPLED, "evaluate_rejection": 1}
    sampling, second, grpo = (
        next(line for line in outcome.text.splitlines() if f"--output {output} " in line)
        for output in (
            "data/sampled_traces.jsonl",
            "checkpoints/M_rejection_telecom",
            "checkpoints/M_rl_telecom",
        )
    )
    assert "--checkpoint checkpoints/M_sft_telecom" in sampling
    assert f"--tasks data/telecom_{split}_tasks.jsonl" in sampling
    assert began_with in second and "--lr 7e-05" in second
    assert "--traces data/teacher_traces.jsonl data/sampled_traces.jsonl " in second
    assert "--model checkpoints/M_rejection_telecom " in grpo


def test_what_rejection_sampling_plays_passes_the_leak_gate_first(project) -> None:
    values = ("rejection_sampling={samples_per_task: 4}", "tasks={rejection_sampling: extra_train}")
    outcome = project.dry_run("data/leaks_test.json", "-p", "--config", *values)
    assert outcome.jobs["tasks"] == 2
    assert "data/telecom_extra_train_tasks.jsonl" in outcome.text
    jobs = project.dry_run("data/sampled_traces.jsonl", "--config", *values).jobs
    assert jobs["leaks"] == 1


def test_runs_share_what_comes_before_rejection_sampling(project) -> None:
    values = "{rejection_sampling: {samples_per_task: 4}}"
    jobs = project.dry_run("--config", f"runs={{rs: {values}}}").jobs
    alone = project.dry_run().jobs
    own = {"rs_rejection_sampling", "rs_rejection_sft", "rs_grpo"}
    own |= {"rs_evaluate_rejection", "rs_evaluate"}
    assert jobs == {**alone, **dict.fromkeys(own, 1)}


def test_other_splits_get_their_own_files_and_gate(project) -> None:
    jobs = project.dry_run("results/eval_extra_unseen.json").jobs
    assert jobs["leaks"] == 3  # the held-out split and validation's, and the evaluated one


def test_without_validation_its_split_is_free(project) -> None:
    words = ("results/eval_test.json", "--config", "grpo={validation_every: 0}")
    assert project.dry_run(*words).jobs["leaks"] == 1
    also = "tasks={grpo: extra_dev}"
    assert project.dry_run(*words, also).status == 0
    told = project.dry_run("results/eval_test.json", "--config", also).text
    assert "tasks.grpo extra_dev holds extra_dev" in told


def test_the_gate_reads_what_either_training_is_given(project) -> None:
    other = ["--config", "tasks={sft: train, grpo: extra_train}"]
    text = project.dry_run("data/leaks_test.json", "-p", *other).text
    (command,) = re.findall(r"check_leakage.py --train (.*) --eval-split test", text)
    assert set(command.split()) == {
        "data/telecom_train_tasks.jsonl",
        "data/telecom_extra_train_tasks.jsonl",
        "data/teacher_traces.jsonl",
    }


def test_cluster_profile_means_slime_unless_the_config_says_cpu(project) -> None:
    assert "backend: slime (jobs run on a cluster)" in project.dry_run("--profile", "slurm").text
    project.write_config("backend: cpu")
    assert "backend: cpu (" in project.dry_run("--profile", "slurm").text


def test_dry_run_with_many_jobs_is_no_cluster(project) -> None:
    assert "backend: cpu (" in project.dry_run("-j", "4").text


def test_jobs_find_the_python_that_runs_snakemake(project) -> None:
    """Called by its path, without an activated environment."""
    script = project.folder / "rules" / "tasks.smk"
    script.write_text(script.read_text().replace("python scripts/tau2_mock.py", "which python #"))
    path = os.environ.pop("PATH")
    os.environ["PATH"] = "/usr/bin:/bin"
    try:
        text = project.run(
            "data/telecom_test_tasks.jsonl", "--cores", "1", "--latency-wait", "0"
        ).text
    finally:
        os.environ["PATH"] = path
    assert str(Path(project.command()[0]).parent / "python") in text


# --- mistakes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "parts"),
    [
        ("grop: {lr: 1.0e-4}", ["config.yaml: unknown key grop; did you mean grpo?"]),
        ("grpo: {learning_rate: 1.0e-4}", ["unknown key grpo.learning_rate"]),
        ("grpo: {lr: fast}", ["config.yaml: grpo.lr is 'fast'", "must be a number"]),
        ("tasks: {grpo: tran}", ["tasks.grpo is 'tran'", "did you mean train?"]),
        ("seed: 1\nsft: {lr: 0.1}\nseed: 2", ["config.yaml: line 3: seed stands there twice"]),
        ("grpo: {lr: .inf}", ["config.yaml: grpo.lr is inf", "must be a finite number"]),
        ("traces: {teacher: typo}", ["traces.teacher is 'typo'", "Valid: scripted, llm, file"]),
        ("grpo: {std: true}", ["grpo.std is now called grpo.scale_by_group_std; rename it"]),
        ("a: [1", ["config.yaml: line", "no valid YAML"]),
        ("preset: demmo", ["preset 'demmo' is not there; did you mean demo?"]),
    ],
)
def test_mistake_in_the_file(project, config: str, parts: list[str]) -> None:
    project.write_config(config)
    outcome = project.dry_run()
    assert outcome.status != 0
    for part in parts:
        assert part in outcome.text
    assert "Traceback" not in outcome.text


def test_number_that_yaml_reads_as_text_is_a_number(project) -> None:
    project.write_config("grpo: {lr: 1e-6}")
    outcome = project.dry_run("-p")
    assert outcome.status == 0
    assert "--lr 1e-06 " in outcome.text


def test_command_line_wins_over_a_file_over_config_yaml_over_the_preset(project) -> None:
    project.write_config("grpo: {lr: 0.1, rollouts: 71, prompts_per_rollout: 16}")
    (project.folder / "mine.yaml").write_text("grpo: {lr: 0.2, rollouts: 72}")
    text = project.dry_run("-p", "--configfile", "mine.yaml", "--config", "grpo={lr: 0.3}").text
    assert "--lr 0.3 " in text
    assert "--rollouts 72 --prompts-per-rollout 16 --samples-per-prompt " in text


@pytest.mark.parametrize(
    "target",
    ["results/eval_tets.json", "results/sft/eval_tets.json", "data/telecom_tets_tasks.jsonl"],
)
def test_split_that_does_not_exist(project, target: str) -> None:
    outcome = project.dry_run(target)
    assert outcome.status != 0
    assert "there is no split 'tets'; did you mean test? Valid: train, test, small" in outcome.text


def test_slime_without_a_gpu_fails_at_once_and_names_what_is_missing(project, monkeypatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    outcome = project.run("--cores", "1", "--config", "backend=slime")
    assert outcome.status != 0
    for part in ("backend slime cannot run here", "no NVIDIA GPU", "--config backend=cpu"):
        assert part in outcome.text
    assert not (project.folder / "data").exists()
    # GPUs are capped, or jobs would share them by accident.
    assert 'gpu=Resource("gpu", 2)' in outcome.text


def test_preflight_asks_with_the_presets_numbers(project) -> None:
    outcome = project.dry_run("preflight", "-p", "--config", "preset=qwen3-4b-4gpu")
    assert outcome.status == 0, outcome.text
    assert outcome.jobs == {"preflight": 1}
    for part in ("--backend slime", "--gpus 4", "--tensor-parallel 2", "--context-length 32768"):
        assert part in outcome.text


def test_nothing_on_the_command_line_is_dropped(project) -> None:
    outcome = project.dry_run("--config", "seed=1", "--config", "grpo={rollouts: 3}")
    assert outcome.status != 0 and "Traceback" not in outcome.text
    assert "--config is given twice, and only the last would count" in outcome.text


def test_settings_in_force_are_shown_with_their_places(project) -> None:
    project.write_config("grpo: {lr: 0.1}\n")
    words = ["--config", "preset=gpu-smoke", "seed=4", "runs={low: {grpo: {lr: 1.0e-5}}}"]
    shown = subprocess.run(
        [sys.executable, "scripts/show_config.py", *words],
        cwd=project.folder,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for line in (
        r"grpo\.lr: 0\.1 +# config\.yaml",
        r"seed: 4 +# --config",
        r"sft\.steps: 200 +# presets/gpu-smoke\.yaml",
        r"grpo\.micro_batch_size: 8 +# presets/demo\.yaml",
        r"grpo\.max_steps: 200 +# default",
        r"grpo\.lr: 1\.0e-5 +# --config: runs\.low",
    ):
        assert re.search(f"(?m)^{line}$", shown), line
