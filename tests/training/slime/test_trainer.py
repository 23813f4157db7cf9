"""A stage as a slime job, with stand-ins for slime and Ray: begin, kill, resume, check, export."""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import marked_weights
import pytest
from model_configs import config

from tau2_agent.benchmark.tasks import load_tasks
from tau2_agent.records.validation import WeightsGone
from tau2_agent.training.megatron import checkpoints as store
from tau2_agent.training.resumable import Diverged, Stage
from tau2_agent.training.slime import ray_head
from tau2_agent.training.slime import trainer as slime_training
from tau2_agent.training.slime.arguments import checkpoint_arguments
from tau2_agent.training.slime.install import Install
from tau2_agent.training.slime.log import WrongStart
from tau2_agent.training.slime.marked_processes import marked_processes
from tau2_agent.training.slime.ray_head import JobError
from tau2_agent.training.slime.trainer import Training, TrainingFailed, last_rollout

pytestmark = pytest.mark.slow

STAND_IN = Path(__file__).parents[2] / "slime_stand_in"


@pytest.fixture(autouse=True)
def stand_ins(monkeypatch):
    monkeypatch.setattr(ray_head, "RAY", [sys.executable, str(STAND_IN / "ray.py")])
    monkeypatch.setattr(ray_head, "dashboard_installed", lambda: True)
    monkeypatch.delenv("TAU2_TEST_TROUBLE", raising=False)


@pytest.fixture
def model(tmp_path, tokenizer):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "qwen3", "vocab_size": 8}))
    tokenizer.save_pretrained(folder)
    (folder / "done.json").write_text("of another stage")
    marked_weights.write(folder / "model.safetensors", "base weights")
    return folder


@pytest.fixture
def weights(tmp_path):
    return checkpoint(tmp_path / "sft", 48)


def checkpoint(folder, iteration):
    inner = store.iteration_folder(folder, iteration)
    inner.mkdir(parents=True)
    (inner / "common.pt").write_text(json.dumps({"rollout": iteration}))
    (inner / ".metadata").touch()
    (folder / store.TRACKER).write_text(str(iteration))
    return folder


def train(tmp_path, model, weights, *, rollouts=4, save=1, keep=2, steps=1, **more):
    """One run of a stage; returns it. Raises what the programs would raise."""
    checkpoint = more.get("checkpoint", "last")
    options = argparse.Namespace(
        model=model,
        output=tmp_path / "out" / "rl",
        tracking="none",
        ray_address="",
        gpus=1,
        nodes=1,
        keep_checkpoints=keep,
    )
    settings = {"rollouts": rollouts, "checkpoint": checkpoint}
    with Stage(options.output, {"lr": 1}, settings) as stage:
        if stage.finished:
            return stage
        done = last_rollout(stage, rollouts)
        folder = stage.folder.resolve()
        command = checkpoint_arguments(model=model, weights=weights, folder=folder, save_every=save)
        command += ["--num-rollout", str(rollouts), "--num-steps-per-rollout", str(steps)]
        training = Training(
            Install(STAND_IN, STAND_IN),
            options,
            command,
            weights=weights,
            rollouts=rollouts,
            prompts=74,
            per_rollout=8,
            updates_per_rollout=steps,
            done=done,
            **more,
        )
        stage.finish(training.run(stage, sys.executable))
    return stage


def rows(stage, kind="step"):
    lines = (stage.folder / "metrics.jsonl").read_text().splitlines()
    return [row for row in map(json.loads, lines) if row["kind"] == kind]


def test_begins_with_the_former_stages_weights_and_rollout_0(tmp_path, model, weights):
    stage = train(tmp_path, model, weights)
    assert stage.finished and stage.summary["resumed_at"] == 0
    assert stage.summary["started_from"] == str(weights)
    assert [row["rollout"] for row in rows(stage)] == [0, 1, 2, 3]
    assert rows(stage)[0]["loss"] == 2.0 and rows(stage)[0]["grad_norm"] is None
    assert stage.summary["first_loss"] == 2.0 and stage.summary["final_loss"] == 0.5
    assert marked_processes(str(stage.folder.resolve())) == []


@pytest.mark.parametrize("engines", [True, False])
def test_engines_start_one_job_after_another(tmp_path, model, weights, monkeypatch, engines):
    """The turn begins before the job, and ends when the trainers are up: before any rollout."""
    events = []

    class Turn:
        def wait(self, given_up):
            assert not given_up()
            events.append("wait")

        def over(self):
            trained = list((tmp_path / "out").glob(".store/rl-*/metrics.jsonl"))
            events.append("late" if trained else "over")

    monkeypatch.setattr(slime_training, "EngineStart", Turn)
    train(tmp_path, model, weights, engines=engines)
    assert events[:2] == (["wait", "over"] if engines else ["over", "over"])
    assert ("wait" in events) == engines


def test_the_target_is_a_checkpoint_and_a_model(tmp_path, model, weights):
    train(tmp_path, model, weights)
    target = tmp_path / "out" / "rl"
    assert target.is_symlink()
    store.require_weights(target)
    assert store.is_huggingface_folder(target)
    assert marked_weights.mark(target / "model-00001-of-00001.safetensors") == "weights of 3"
    # what lay beside the weights that slime copied from must not overwrite the store's own marks
    assert "of another stage" not in (target / "done.json").read_text()
    assert not (target / "hf").exists()


def test_only_the_last_checkpoints_stay(tmp_path, model, weights):
    stage = train(tmp_path, model, weights, rollouts=6, keep=2)
    kept = sorted(path.name for path in stage.folder.glob("iter_*"))
    assert kept == ["iter_0000004", "iter_0000005"]


def test_a_finished_stage_starts_nothing(tmp_path, model, weights, monkeypatch):
    train(tmp_path, model, weights)
    monkeypatch.setattr(ray_head, "RAY", ["/nonexistent"])
    assert train(tmp_path, model, weights).summary["rollouts"] == 4


def test_more_rollouts_go_on_where_the_fewer_ended(tmp_path, model, weights):
    train(tmp_path, model, weights, rollouts=3)
    stage = train(tmp_path, model, weights, rollouts=5)
    assert stage.summary["resumed_at"] == 3
    assert [row["rollout"] for row in rows(stage)] == [0, 1, 2, 3, 4]
    assert marked_weights.mark(stage.folder / "model-00001-of-00001.safetensors") == "weights of 4"


def test_fewer_rollouts_than_there_are_begin_anew(tmp_path, model, weights):
    train(tmp_path, model, weights, rollouts=5)
    stage = train(tmp_path, model, weights, rollouts=2)
    assert stage.summary["resumed_at"] == 0
    assert [row["rollout"] for row in rows(stage)] == [0, 1]
    assert len(list(stage.folder.parent.glob("*.aside-*"))) == 1


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        ("wrong-load", "loaded /somewhere/else at iteration 0"),
        ("no-load", "never says that a checkpoint was loaded"),
    ],
)
def test_another_start_than_was_meant_is_an_error(
    tmp_path, model, weights, monkeypatch, trouble, said
):
    monkeypatch.setenv("TAU2_TEST_TROUBLE", trouble)
    with pytest.raises(WrongStart, match=said):
        train(tmp_path, model, weights)
    assert not (tmp_path / "out" / "rl").exists()


def test_an_error_in_slime_is_shown_and_the_next_run_resumes(tmp_path, model, weights, monkeypatch):
    monkeypatch.setenv("TAU2_TEST_TROUBLE", "fail:2")
    with pytest.raises(TrainingFailed, match=r"(?s)rollout 1, wanted: 3.*out of memory"):
        train(tmp_path, model, weights)
    monkeypatch.delenv("TAU2_TEST_TROUBLE")
    stage = train(tmp_path, model, weights)
    assert stage.summary["resumed_at"] == 2
    assert [row["rollout"] for row in rows(stage)] == [0, 1, 2, 3]


@pytest.mark.parametrize("trouble", ["kill-before-export", "cut-tracker"])
def test_a_kill_between_the_last_checkpoint_and_its_export(
    tmp_path, model, weights, monkeypatch, trouble
):
    monkeypatch.setenv("TAU2_TEST_TROUBLE", f"{trouble}:3")
    with pytest.raises((TrainingFailed, store.CheckpointError)):
        train(tmp_path, model, weights)
    monkeypatch.delenv("TAU2_TEST_TROUBLE")
    stage = train(tmp_path, model, weights)
    # nothing was left to train: the CPU tool made the model
    assert (
        marked_weights.mark(stage.folder / "model-00000-of-1.safetensors")
        == "converted iter_0000003"
    )
    assert store.lifted_iteration(stage.folder) == 3


def test_a_kill_before_the_data_position_was_saved(tmp_path, model, weights, monkeypatch, capsys):
    torch = pytest.importorskip("torch")
    monkeypatch.setenv("TAU2_TEST_TROUBLE", "kill-before-position:1")
    with pytest.raises(TrainingFailed):
        train(tmp_path, model, weights)
    monkeypatch.delenv("TAU2_TEST_TROUBLE")
    stage = train(tmp_path, model, weights)
    assert "computed anew" in capsys.readouterr().out
    state = torch.load(stage.folder / "rollout" / "global_dataset_state_dict_1.pt")
    assert state["sample_offset"] == 16 and state["sample_index"] == 16


def test_steps_are_counted_by_rollout(tmp_path, model, weights):
    stage = train(tmp_path, model, weights, rollouts=2, steps=2)
    assert [row["rollout"] for row in rows(stage)] == [0, 0, 1, 1]


def test_ray_that_does_not_start(tmp_path, model, weights, monkeypatch):
    monkeypatch.setenv("TAU2_TEST_RAY", "fails")
    with pytest.raises(JobError, match="scripted failure"):
        train(tmp_path, model, weights)


def test_the_job_is_ended_when_its_log_cannot_be_believed(tmp_path, model, weights, monkeypatch):
    monkeypatch.setenv("TAU2_TEST_TROUBLE", "wrong-load")
    with pytest.raises(WrongStart):
        train(tmp_path, model, weights, rollouts=100000)
    assert marked_processes(str(next((tmp_path / "out" / ".store").glob("rl-*")).resolve())) == []


SOLVED = "0.9 0.2 0.6 0.6 0.1 0.3 0.4"  # rollout 2 is the best: 0 is not trained, 3 is later


def lifted(stage):
    (file,) = stage.folder.glob("model-*.safetensors")
    return marked_weights.mark(file)


@pytest.fixture
def solved(monkeypatch):
    monkeypatch.setenv("TAU2_TEST_SOLVED", SOLVED)


def test_the_best_on_validation_outlives_the_kept_checkpoints(tmp_path, model, weights, solved):
    stage = train(tmp_path, model, weights, rollouts=6, keep=1, checkpoint="best")
    assert lifted(stage) == "weights of 1"  # slime counts rollouts from 0
    assert stage.summary["taken"] == {
        **{"checkpoint": "best", "rollout": 2, "of": 6, "validated": 7},
        **{"tasks": 10, "pass_at_1": 0.6, "pass_at_1_at_first": 0.9},
    }
    assert [path.name for path in stage.folder.glob("iter_*")] == ["iter_0000005"]
    assert [path.name for path in stage.folder.glob("hf/*")] == ["1"]


def test_the_other_checkpoint_is_taken_without_training(
    tmp_path, model, weights, solved, monkeypatch
):
    train(tmp_path, model, weights, rollouts=6, keep=1)
    monkeypatch.setattr(ray_head, "RAY", ["/nonexistent"])
    found = []
    for checkpoint in ("best", "last", "best", "last"):
        found.append(lifted(train(tmp_path, model, weights, rollouts=6, checkpoint=checkpoint)))
    assert found == ["weights of 1", "converted iter_0000005"] * 2


def test_a_later_best_takes_the_place_of_the_earlier_one(
    tmp_path, model, weights, solved, monkeypatch
):
    train(tmp_path, model, weights, rollouts=4, checkpoint="best")
    monkeypatch.setenv("TAU2_TEST_SOLVED", SOLVED.replace("0.4", "0.7"))
    stage = train(tmp_path, model, weights, rollouts=6, checkpoint="best")
    assert lifted(stage) == "weights of 5"


def test_best_weights_that_somebody_removed_are_an_error_with_a_way_out(
    tmp_path, model, weights, solved
):
    stage = train(tmp_path, model, weights, rollouts=4)
    shutil.rmtree(stage.folder / "hf")
    with pytest.raises(WeightsGone, match=r"rollout 2, whose weights are not there\. Take grpo"):
        train(tmp_path, model, weights, rollouts=4, checkpoint="best")


class Validating:
    """Writes a row for what it is given, every second rollout."""

    def __init__(self):
        self.played = []

    def is_missing(self, rollout):
        return rollout % 2 == 0 and rollout not in [number for number, _ in self.played]

    def play(self, model, rollout):
        (weights,) = model.glob("*.safetensors")
        self.played.append((rollout, marked_weights.mark(weights)))


@pytest.mark.parametrize(
    ("at", "rollouts", "played"),
    [
        (1, 4, [(2, "weights of 1")]),  # before the next job begins
        (3, 4, [(4, "weights of 3")]),  # where no job is needed any more
        (2, 4, []),  # nothing was due
    ],
)
def test_a_validation_that_a_kill_left_out_is_made_good(
    tmp_path, model, weights, monkeypatch, at, rollouts, played
):
    monkeypatch.setenv("TAU2_TEST_TROUBLE", f"kill-before-validation:{at}")
    with pytest.raises(TrainingFailed):
        train(tmp_path, model, weights, rollouts=rollouts)
    monkeypatch.delenv("TAU2_TEST_TROUBLE")
    validating = Validating()
    train(tmp_path, model, weights, rollouts=rollouts, validate=validating)
    assert validating.played == played


def task_line():
    task = {"task_id": load_tasks("small")[0].id, "domain": "telecom"}
    return json.dumps({"index": 0, "metadata": task}) + "\n"


def start_program(tmp_path, model, weights, rollouts, trouble=""):
    """train_grpo_slime.py as its user runs it, against the stand-ins."""
    (tmp_path / "tasks.jsonl").write_text(task_line())
    return subprocess.Popen(
        [
            *(sys.executable, str(STAND_IN / "run.py"), "train_grpo_slime.py"),
            *("--model", str(model), "--sft", str(weights), "--tasks", "tasks.jsonl"),
            *("--output", "checkpoints/x_rl", "--rollouts", str(rollouts), "--gpus", "1"),
            *("--tensor-parallel", "1", "--prompts-per-rollout", "1", "--save-rollouts", "1"),
            *("--prompt", "short"),  # tau2's would not fit into the context with this tokenizer
        ],
        cwd=tmp_path,
        env={
            **os.environ,
            "SLIME_HOME": str(STAND_IN),
            "MEGATRON_HOME": str(STAND_IN),
            "TAU2_TEST_TROUBLE": trouble,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture
def full_model(model):
    (model / "config.json").write_text(json.dumps(config()))
    return model


def wait_for(condition, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.05)


def test_kill_9_of_the_program_ends_its_ray_and_the_next_run_resumes(tmp_path, full_model, weights):
    killed = start_program(tmp_path, full_model, weights, 4, "hang:2")
    found = []

    def hanging():
        found[:] = (tmp_path / "checkpoints" / ".store").glob("x_rl-*/hanging")
        assert killed.poll() is None, killed.stdout.read()
        return found

    wait_for(hanging)
    folder = found[0].parent.resolve()
    assert len(marked_processes(str(folder))) >= 2  # Ray and the trainer
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    again = start_program(tmp_path, full_model, weights, 4)
    text, _ = again.communicate(timeout=120)
    assert again.returncode == 0, text
    assert f"training begins with {folder} at iteration 1, optimizer included" in text
    done = json.loads((tmp_path / "checkpoints" / "x_rl" / "done.json").read_text())
    assert done["summary"]["resumed_at"] == 2
    assert marked_processes(str(folder)) == []


def test_a_stop_signal_ends_the_job_and_keeps_what_is_there(tmp_path, full_model, weights):
    stopped = start_program(tmp_path, full_model, weights, 4, "hang:2")
    place = tmp_path / "checkpoints" / ".store"
    wait_for(lambda: list(place.glob("x_rl-*/hanging")))
    stopped.send_signal(signal.SIGTERM)
    text, _ = stopped.communicate(timeout=60)
    assert stopped.returncode == 128 + signal.SIGTERM, text
    assert "run the same command again to resume" in text
    folder = next(place.glob("x_rl-*"))
    assert store.latest_iteration(folder) == 1
    assert marked_processes(str(folder.resolve())) == []


def test_the_summary_says_which_stack_ran(tmp_path, model, weights):
    versions = train(tmp_path, model, weights).summary["versions"]
    assert {"python", "torch", "sglang", "slime", "megatron"} <= set(versions)


def test_losses_of_a_missing_file(tmp_path):
    assert slime_training._losses(tmp_path / "none.jsonl") == []


@pytest.mark.parametrize("trouble", ["diverge-loss:2", "diverge-weights:1", "diverge-weights:3"])
def test_a_job_whose_numbers_are_none_is_never_done(tmp_path, model, weights, monkeypatch, trouble):
    monkeypatch.setenv("TAU2_TEST_TROUBLE", trouble)
    with pytest.raises(
        Diverged, match=r"diverged at step \d .*not finite.*Lower the learning rate"
    ):
        train(tmp_path, model, weights)
    assert not (tmp_path / "out/rl").exists()
    assert not list(tmp_path.glob("out/.store/*/done.json"))
