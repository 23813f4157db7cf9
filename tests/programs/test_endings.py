"""What a training program does around its training: where it goes on, and what it leaves behind."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml
from arrivals import Run, make_inputs
from before_training import BASE, PROGRAMS, Here
from model_configs import config as model_config

from tau2_agent.records import validation as curve
from tau2_agent.source_code import code_digest
from tau2_agent.training import objective, optimizer, trl
from tau2_agent.training.slime.install import Install
from tau2_agent.training.trained_for import TrainedFor

ROLLOUTS = 12
PLAYED_WITH = {"max_new_tokens": 1024, "context_length": 32768, "max_steps": 200}


class Ends(Here):
    """A stage that notes what it is finished with."""

    aside = ""

    def set_aside(self, why: str) -> None:
        self.aside = why

    def finish(self, summary) -> None:
        self.summary = summary


@pytest.fixture
def ends(monkeypatch, random_model, tmp_path):
    """Runs a program whose training is over at once. step: of its last checkpoint on the CPU."""

    def run(program: str, *words: str, step: int = 0, stopped: bool = False) -> SimpleNamespace:
        files, prepare = PROGRAMS[program]
        given = [w for name in files.split() for w in (f"--{name}", str(inputs[name]))]
        given += ["--output", str(tmp_path / "out"), *BASE[program]]
        lists = {"loads": [], "cuts": [], "swept": [], "dropped": [], "taken": []}

        def patches(patch, module, seen, folder):
            prepare(patch, module, seen, folder)
            vars(seen).update(ran=None, finished=None, record=None, **lists)

            def stage(target, mark, settings=None):
                seen.stage, seen.mark, seen.settings = Ends(target), mark, settings
                seen.stage.stop_requested = stopped
                return seen.stage

            def last(folder):
                return folder / f"checkpoint-{step}" if step else None

            def run(*given):
                seen.ran = given
                return SimpleNamespace(training_loss=0.25)

            def finish(*given):
                seen.finished = given

            def load(folder, number):
                seen.loads.append((folder, number))
                return f"weights of {number}"

            def training(*given, **more):
                seen.given = given, more
                return SimpleNamespace(run=train)

            def train(stage, python):
                seen.ran = stage, python
                return {"taken": {"rollout": 7}, "rollouts": 9}

            def config(model):
                assert model == random_model
                return model_config("Qwen3-4B-Instruct-2507")

            def write_record(folder, record):
                seen.record = folder, record

            clock = iter([100.0, 112.34])
            patch.setattr(module, "time", SimpleNamespace(time=lambda: next(clock)), raising=False)
            patch.setattr(module, "Stage", stage)
            dropped = lambda path, first: seen.dropped.append((path.name, first))  # noqa: E731
            patch.setattr(module, "drop_rows_from", dropped, raising=False)
            cut = lambda *cut: seen.cuts.append(("curve", *cut))  # noqa: E731
            patch.setattr(module, "cut_validation", cut, raising=False)
            patch.setattr(module, "take_gpus", lambda gpus: seen.taken.append(gpus), raising=False)
            patch.setattr(module, "sweep", lambda mark: seen.swept.append(mark), raising=False)
            patch.setattr(module, "Training", training, raising=False)
            patch.setattr(module, "read_config", config, raising=False)
            patch.setattr(module, "write_record", write_record, raising=False)
            patch.setattr("trl.SFTTrainer", lambda **made: SimpleNamespace(**made))
            patch.setattr(
                "tau2_agent.training.trl_grpo.ObjectiveTrainer",
                lambda **made: SimpleNamespace(**made),
            )
            for name, put in {
                "last_checkpoint": last,
                "run": run,
                "finish": finish,
                "load_checkpoint": load,
                "cut_metrics": lambda *cut: seen.cuts.append(cut),
            }.items():
                patch.setattr(trl, name, put)

        return Run(monkeypatch, tmp_path, patches, given)(program, *words)

    inputs = make_inputs(tmp_path, random_model, monkeypatch)
    run.model, run.folder = random_model, tmp_path / "store"
    return run


def optimizer_of(options, schedule: str) -> dict:
    return optimizer.trl_arguments(
        lr=options.lr,
        schedule=schedule,
        weight_decay=options.weight_decay,
        beta2=options.adam_beta2,
    )


def as_told(config, options, wanted: dict) -> None:
    """TRL's configuration has what is `wanted` and the seed."""
    assert {name: getattr(config, name) for name in wanted} == wanted
    assert config.seed == options.seed


@pytest.mark.parametrize("step", [0, 2])
def test_sft_with_trl(ends, capsys, step):
    seen = ends("train_sft_trl", step=step)
    assert not seen.error and seen.loaded == {"dtype": torch.float32}
    checkpoint = ends.folder / "checkpoint-2" if step else None
    stage, trainer, from_checkpoint, progress = seen.ran
    assert (stage, from_checkpoint) == (seen.stage, checkpoint)
    assert seen.cuts == [(ends.folder, step)]
    told = trainer.args
    as_told(told, seen.options, optimizer_of(seen.options, "cosine"))
    assert seen.mark["code"] == code_digest("train_sft_trl")
    assert (told.output_dir, told.max_length, told.packing) == (str(ends.folder), None, False)
    assert (told.save_total_limit, told.save_steps) == (2, seen.options.save_steps)
    assert not told.logging_nan_inf_filter and not told.gradient_checkpointing
    steps = trainer.args.max_steps
    assert steps == 2 * seen.options.epochs  # 3 traces, 2 a step
    told = (progress.stage, progress.total, progress.done, progress.unit, progress.says)
    assert told == (f"sft {seen.options.output}", steps, step, "steps", False)
    where = "resumed at step 2" if step else f"from {ends.model}"
    assert f"{steps} steps; {where}\n" in capsys.readouterr().out
    stage, finished, tokenizer, summary, record = seen.finished
    assert (stage, finished) == (seen.stage, trainer)
    assert tokenizer is trainer.processing_class
    assert summary == {
        "stage": "sft",
        "steps": steps,
        "resumed_at": step,
        "seconds": 12.3,
        "train_loss": 0.25,
        "started_from": str(ends.model),
    }
    assert record == TrainedFor(
        stage="sft", prompt=seen.options.prompt, code=code_digest("train_sft_trl")
    )


def record_of_grpo(seen, program: str, checkpoint: str, rollout: int) -> TrainedFor:
    told = {name: getattr(seen.options, name) for name in PLAYED_WITH}
    return TrainedFor(
        stage="grpo",
        prompt=seen.options.prompt,
        user=seen.users.fingerprint(),
        checkpoint=checkpoint,
        rollout=rollout,
        code=code_digest(program),
        **told,
    )


GRPO = ["--rollouts", str(ROLLOUTS), "--validation-every", "0", "--prompts-per-rollout", "2"]


@pytest.mark.parametrize("step", [0, 5, ROLLOUTS, ROLLOUTS + 1])
def test_grpo_with_trl(ends, capsys, monkeypatch, step):
    monkeypatch.setattr("tau2_agent.users.registry.Users.usage", lambda _, path: {"of": path.name})
    seen = ends("train_grpo_trl", *GRPO, step=step)
    assert not seen.error and seen.loaded == {"dtype": torch.float32}
    begun = 0 if step > ROLLOUTS else step  # more than was asked for is another run
    assert (f"it has {step} rollouts" in seen.stage.aside) == (step > ROLLOUTS)
    assert seen.settings == {"rollouts": ROLLOUTS, "checkpoint": "last"}
    assert seen.cuts == [
        (ends.folder, begun),
        (ends.folder, begun - 1, "rollouts.jsonl"),
        ("curve", ends.folder, begun),
    ]
    where = f"resumed its own run at rollout {begun}" if begun else f"from {ends.model}"
    said = capsys.readouterr().out
    assert f"{ROLLOUTS} rollouts of {2 * seen.options.samples_per_prompt} episodes on" in said
    assert where in said
    progress = seen.finished[1].rollout_func.progress
    told = (progress.stage, progress.total, progress.done, progress.unit, progress.says)
    assert told == (f"grpo {seen.options.output}", ROLLOUTS, begun, "rollouts", False)
    stage, trainer, tokenizer, summary, record, weights = seen.finished
    told = trainer.args
    formula = objective.trl_arguments(seen.options)
    as_told(told, seen.options, formula | optimizer_of(seen.options, seen.options.lr_schedule))
    assert (told.reward_weights, trainer.reward_funcs[0].__name__) == ([1.0, 0.0, 0.0], "shaped")
    assert seen.mark["code"] == code_digest("train_grpo_trl")
    assert (told.output_dir, told.shuffle_dataset) == (str(ends.folder), False)
    assert (told.save_total_limit, told.save_steps) == (2, seen.options.save_rollouts)
    assert not told.logging_nan_inf_filter and not told.gradient_checkpointing
    seen.users = trainer.rollout_func.settings.users
    if begun == ROLLOUTS:
        assert seen.ran is None and weights == f"weights of {ROLLOUTS}"
    else:
        checkpoint = ends.folder / f"checkpoint-{begun}" if begun else None
        assert seen.ran[:4] == (seen.stage, trainer, checkpoint, progress)
        assert seen.ran[4].stage is seen.stage and weights is None
    assert stage is seen.stage and tokenizer is trainer.processing_class
    assert summary == {
        "stage": "grpo",
        "steps": ROLLOUTS,
        "resumed_at": begun,
        "seconds": 12.3,
        "started_from": str(ends.model),
        "taken": {"checkpoint": "last", "rollout": ROLLOUTS, "of": ROLLOUTS},
        "user_usage": {"of": "user_calls.jsonl"},
    }
    assert record == record_of_grpo(seen, "train_grpo_trl", "last", ROLLOUTS)


def test_what_was_not_validated_at_the_end_is_validated_on_its_checkpoint(ends, monkeypatch):
    played = []
    callback = "tau2_agent.evaluation.validation_trl.ValidationCallback.validate"
    monkeypatch.setattr(callback, lambda self, *of: played.append(of))
    words = [*GRPO[:2], *GRPO[4:], "--validation-every", "4"]
    seen = ends("train_grpo_trl", *words, step=ROLLOUTS)
    assert not seen.error and seen.ran is None
    assert played == [(f"weights of {ROLLOUTS}", ROLLOUTS)]
    assert seen.loads == [(ends.folder, ROLLOUTS)] * 2  # and once to be left
    # the best on validation is kept beside the newest
    kept = seen.finished[1].args.save_total_limit
    assert kept == seen.options.keep_checkpoints + 1


def test_grpo_leaves_the_best_weights_that_were_asked_for(ends, monkeypatch):
    for module in (curve, "train_grpo_trl"):
        place = module if isinstance(module, str) else module.__name__
        monkeypatch.setattr(f"{place}.chosen_rollout", lambda folder, which, rollouts: 8)
    seen = ends("train_grpo_trl", *GRPO, "--checkpoint", "best", "--validation-every", "4")
    *_, summary, record, weights = seen.finished
    assert summary["taken"]["rollout"] == record.rollout == 8
    assert weights == "weights of 8" and seen.loads == [(ends.folder, 8)]


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_training_that_was_stopped_is_not_finished(ends, program):
    words = GRPO[:2] if "grpo" in program else []
    seen = ends(program, *words, stopped=True)
    assert not seen.error and seen.finished is None and seen.record is None
    assert not hasattr(seen.stage, "summary")


def test_sft_with_slime(ends, tmp_path):
    seen = ends("train_sft_slime", "--epochs", "4")
    assert not seen.error and seen.ran == (seen.stage, sys.executable)
    assert seen.stage.summary == {"stage": "sft", "taken": {"rollout": 7}, "rollouts": 9}
    code = code_digest("train_sft_slime")
    record = TrainedFor(stage="sft", prompt=seen.options.prompt, code=code)
    assert seen.record == (ends.folder, record)
    (install, options, arguments), more = seen.given
    assert isinstance(install, Install) and seen.swept == [str(ends.folder.resolve())]
    assert options.epochs == 4 and "--rollout-batch-size" in arguments
    assert more == {
        "weights": Path(tmp_path / "base"),
        "rollouts": 8,  # 3 traces, 2 a step, 4 times
        "prompts": 3,
        "per_rollout": 2,
        "done": None,
    }
    data = (ends.folder / "tokens.jsonl").read_text(encoding="utf-8")
    assert len(data.splitlines()) == 3


def test_grpo_with_slime(ends, monkeypatch, tmp_path):
    monkeypatch.setattr("tau2_agent.users.registry.Users.usage", lambda _, path: {"of": path.name})
    seen = ends("train_grpo_slime", *GRPO[:2], "--checkpoint", "best")
    assert not seen.error and seen.ran == (seen.stage, sys.executable)
    assert seen.stage.summary == {
        "stage": "grpo",
        "taken": {"rollout": 7},
        "rollouts": 9,
        "user_usage": {"of": "user_calls.jsonl"},
    }
    from tau2_agent.users import registry

    seen.users = registry.from_options(seen.options, seen.options.seed)
    record = record_of_grpo(seen, "train_grpo_slime", "best", 7)
    assert seen.record == (ends.folder, record)
    assert seen.dropped == [("rollouts.jsonl", 0)]
    hooks = yaml.safe_load((ends.folder / "tau2.yaml").read_text(encoding="utf-8"))
    assert hooks["tau2_episode_timeout_s"] == 900.0
    told = (
        "prompt users user_calls alpha partial_weights max_new_tokens max_steps repeat_limit"
        " repeat_penalty episode_timeout_s tasks_path resampled_groups over_sampling_groups"
        " group_order curriculum rollouts_path transcripts_path keep_episodes validation"
    )
    assert set(hooks) == {f"tau2_{name}" for name in told.split()}
    assert hooks["tau2_users"] == registry.to_settings(seen.users)
    assert seen.settings == {"rollouts": ROLLOUTS, "checkpoint": "best"}
    assert seen.taken == [seen.options.gpus]
    (install, options, _), more = seen.given
    assert isinstance(install, Install) and seen.swept == [str(ends.folder.resolve())]
    assert more.pop("validate").validator.folder == ends.folder
    assert more == {
        "weights": tmp_path / "base",
        "rollouts": ROLLOUTS,
        "updates_per_rollout": options.updates_per_rollout,
        "done": None,
        "engines": True,
        "checkpoint": "best",
    }
