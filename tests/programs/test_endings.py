"""What a training program does around its training: where it goes on, and what it leaves behind."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml
from arrivals import Run, make_inputs
from before_training import BASE, PROGRAMS, Here, by_flag
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
    """Runs a program whose training is over at once.

    step: of its last checkpoint on the CPU. done: the last rollout that slime's folder holds.
    """

    def run(
        program: str,
        *words: str,
        step: int = 0,
        done: int | None = None,
        stopped: bool = False,
    ) -> SimpleNamespace:
        files, prepare = PROGRAMS[program]
        given = [w for name in files.split() for w in (f"--{name}", str(inputs[name]))]
        given += ["--output", str(tmp_path / "out"), *BASE[program]]
        names = "loads cuts swept dropped taken required needed recovered validated"
        lists: dict[str, list] = {name: [] for name in names.split()}

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

            def recover(stage, rollouts):
                seen.recovered.append((stage, rollouts))
                return done

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
            patch.setattr(module, "last_rollout", recover, raising=False)
            patch.setattr(module, "require_weights", seen.needed.append, raising=False)
            if hasattr(module, "preflight"):
                patch.setattr(module.preflight, "require", lambda *of: seen.required.append(of))
            patch.setattr(module, "read_config", config, raising=False)
            patch.setattr(module, "write_record", write_record, raising=False)
            patch.setattr(
                "tau2_agent.evaluation.validation_slime.cut_validation",
                lambda *cut: seen.validated.append(cut) or [],
            )
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
    assert not seen.error and seen.status == 0
    assert seen.loaded["dtype"] == torch.float32
    checkpoint = ends.folder / "checkpoint-2" if step else None
    stage, trainer, from_checkpoint, progress = seen.ran
    assert (stage, from_checkpoint) == (seen.stage, checkpoint)
    assert trainer.model == f"weights of {ends.model}"
    assert seen.cuts == [(ends.folder, step)]
    told = trainer.args
    assert told.logging_steps == 10
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
    said = capsys.readouterr().out
    assert f"{steps} steps; {where}\n" in said
    rows = trainer.train_dataset
    tokens = sum(map(len, rows["input_ids"]))
    trained = sum(label != -100 for labels in rows["labels"] for label in labels)
    assert f"3 traces, {tokens} tokens, loss on {trained} of them\n" in said
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
    assert not seen.error and seen.status == 0
    assert seen.loaded["dtype"] == torch.float32
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
    # One optimizer step a rollout, whose places in the batch are two prompts.
    steps, rest = divmod(2 * seen.options.samples_per_prompt, seen.options.micro_batch_size)
    assert told.gradient_accumulation_steps == steps and rest == 0
    assert isinstance(told.gradient_accumulation_steps, int)  # a range of them is gone through
    assert trainer.model == f"weights of {ends.model}"
    assert len(set(trainer.train_dataset["prompt"])) == 2
    seen.users = trainer.rollout_func.settings.users
    if begun == ROLLOUTS:
        assert seen.ran is None and weights == f"weights of {ROLLOUTS}"
    else:
        checkpoint = ends.folder / f"checkpoint-{begun}" if begun else None
        assert seen.ran[:4] == (seen.stage, trainer, checkpoint, progress)
        validate = seen.ran[4]
        assert (validate.stage, validate.progress) == (seen.stage, progress)
        assert validate.codec is trainer.rollout_func.codec and weights is None
        assert validate.validator.settings.users is not seen.users
        assert validate.validator.folder == ends.folder
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
    def chosen(folder, which, rollouts):
        assert (folder, which, rollouts) == (ends.folder, "best", ROLLOUTS)
        return 8

    for module in (curve, "train_grpo_trl"):
        place = module if isinstance(module, str) else module.__name__
        monkeypatch.setattr(f"{place}.chosen_rollout", chosen)
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


def needs_of(seen, folder: Path, data: list[Path], length: int) -> None:
    """The machine was asked for what this training needs, of the slime that is there."""
    [(needs, install)] = seen.required
    assert install is seen.given[0][0] and isinstance(install, Install)
    told = (needs.stores, needs.data, needs.context_length, needs.sample_length)
    assert told == ((folder,), tuple(data), length, length)
    assert (needs.model, needs.gpus) == (seen.options.model, seen.options.gpus)


@pytest.mark.parametrize("done", [None, 4])
def test_sft_with_slime(ends, tmp_path, capsys, done):
    seen = ends("train_sft_slime", "--epochs", "4", done=done)
    assert not seen.error and seen.ran == (seen.stage, sys.executable)
    assert seen.status == 0
    assert seen.stage.summary == {"stage": "sft", "taken": {"rollout": 7}, "rollouts": 9}
    code = code_digest("train_sft_slime")
    record = TrainedFor(stage="sft", prompt=seen.options.prompt, code=code)
    assert seen.record == (ends.folder, record) and seen.mark["code"] == code
    (_, options, arguments), more = seen.given
    folder = ends.folder.resolve()
    assert seen.swept == [str(folder)] and seen.recovered == [(seen.stage, 8)]
    needs_of(seen, ends.folder, options.traces, options.max_length)
    assert seen.needed == [tmp_path / "base"]
    assert options.epochs == 4
    assert more == {
        "weights": Path(tmp_path / "base"),
        "rollouts": 8,  # 3 traces, 2 a step, 4 times
        "prompts": 3,
        "per_rollout": 2,
        "done": done,
    }
    flags = by_flag(arguments)
    assert flags["--rollout-batch-size"] == "2"
    assert (flags["--load"], flags["--save"]) == (str(folder), str(folder))
    assert flags["--prompt-data"] == str(folder / "tokens.jsonl")
    text = (folder / "tokens.jsonl").read_text(encoding="utf-8")
    rows = [json.loads(line) for line in text.splitlines()]
    # slime takes a row's prompt from the key that it is told
    assert [row[flags["--input-key"]] for row in rows] == [0, 1, 2]
    trained = sum(sum(row["metadata"]["loss_mask"]) for row in rows)
    assert f" in all, loss on {trained} of them\n" in capsys.readouterr().out


HOOKS = (
    "prompt users user_calls alpha partial_weights max_new_tokens max_steps repeat_limit"
    " repeat_penalty episode_timeout_s tasks_path resampled_groups over_sampling_groups"
    " group_order curriculum issues rollouts_path transcripts_path keep_episodes validation"
)


@pytest.mark.parametrize("done", [None, 4])
def test_grpo_with_slime(ends, monkeypatch, tmp_path, done):
    monkeypatch.setattr("tau2_agent.users.registry.Users.usage", lambda _, path: {"of": path.name})
    seen = ends("train_grpo_slime", *GRPO[:2], "--checkpoint", "best", done=done)
    assert not seen.error and seen.ran == (seen.stage, sys.executable)
    assert seen.status == 0
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
    assert seen.mark["code"] == code_digest("train_grpo_slime")
    trained = 0 if done is None else done + 1  # rows of later rollouts go
    folder = ends.folder.resolve()
    assert seen.recovered == [(seen.stage, ROLLOUTS)]
    assert seen.dropped == [("rollouts.jsonl", trained)]
    assert seen.validated == [(folder, trained)]
    hooks = yaml.safe_load((folder / "tau2.yaml").read_text(encoding="utf-8"))
    assert set(hooks) == {f"tau2_{name}" for name in HOOKS.split()}
    assert hooks["tau2_episode_timeout_s"] == 900.0
    assert hooks["tau2_users"] == registry.to_settings(seen.users)
    # Other processes, of other folders, read these.
    places = {
        "user_calls": folder / "user_calls.jsonl",
        "rollouts_path": folder / "rollouts.jsonl",
        "transcripts_path": folder / "transcripts.jsonl.gz",
        "tasks_path": tmp_path / "tasks",
    }
    assert {name: hooks[f"tau2_{name}"] for name in places} == {
        name: str(place) for name, place in places.items()
    }
    assert seen.settings == {"rollouts": ROLLOUTS, "checkpoint": "best"}
    assert seen.taken == [seen.options.gpus]
    (_, options, arguments), more = seen.given
    needs_of(seen, ends.folder, [options.tasks], options.context_length)
    assert seen.needed == [tmp_path / "base"] and seen.swept == [str(folder)]
    flags = by_flag(arguments)
    assert (flags["--load"], flags["--save"]) == (str(folder), str(folder))
    assert flags["--custom-config-path"] == str(folder / "tau2.yaml")
    assert flags["--eval-prompt-data"] == f"validation {folder / 'validation_tasks.jsonl'}"
    validate = more.pop("validate")
    assert (validate.folder, validate.ledger) == (folder, folder / "user_calls.jsonl")
    assert validate.validator.folder == folder
    assert more == {
        "weights": tmp_path / "base",
        "rollouts": ROLLOUTS,
        "updates_per_rollout": options.updates_per_rollout,
        "done": done,
        "engines": True,
        "checkpoint": "best",
    }


@pytest.mark.parametrize("program", ["train_sft_slime", "train_grpo_slime"])
@pytest.mark.parametrize(
    ("words", "here"),
    [
        (["--gpus", "4"], True),
        (["--gpus", "4", "--ray-address", "http://head:8265"], False),
        (["--gpus", "4", "--nodes", "2", "--ray-address", "http://head:8265"], False),
        (["--gpus", "4", "--nodes", "2"], False),  # each node takes its own
    ],
)
def test_gpus_are_taken_where_the_job_runs_on_this_machine_alone(ends, program, words, here):
    seen = ends(program, *words, "--batch-size" if "sft" in program else "--rollouts", "4")
    assert seen.taken == ([4] if here else [])
