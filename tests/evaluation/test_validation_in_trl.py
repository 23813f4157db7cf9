"""TRL's callback for validation: when it plays, what it leaves alone, which checkpoint it keeps."""

from types import SimpleNamespace

import pytest

from tau2_agent.benchmark.tasks import split_ids
from tau2_agent.errors import InputError
from tau2_agent.evaluation import validation, validation_trl
from tau2_agent.evaluation.validation_trl import ValidationCallback
from tau2_agent.records.validation import Validation, append_validation, is_due, read_validation


class Validator:
    """Writes what the test says that the policy solves, every second rollout of eight."""

    args = SimpleNamespace(seed=0, concurrency=4)

    def __init__(self, folder, solved):
        self.folder, self.solved, self.modes = folder, solved, []

    def is_missing(self, rollout):
        known = {row.rollout for row in read_validation(self.folder)}
        return is_due(rollout, 2, 8) and rollout not in known

    async def play(self, policy, codec, rollout):
        self.modes.append(policy.training)
        share = self.solved[rollout]
        row = Validation(
            **{"rollout": rollout, "tasks": 10, "seconds": 1.0, "settings": "s"},
            **{"pass_at_1": share, "avg_reward": share, "avg_partial_score": share},
        )
        append_validation(self.folder, row)
        return row


class Model:
    training = True

    def eval(self):
        self.training = False

    def train(self, mode):
        self.training = mode


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """A function that passes through some steps as a trainer does; returns the trainer's state."""
    monkeypatch.setattr(validation_trl, "LocalPolicy", lambda model, *_, **__: model)

    def go(solved, first, last, stop_at=None):
        stage, said = SimpleNamespace(stop_requested=False), []
        progress = SimpleNamespace(validated=said.append)
        validator, model = Validator(tmp_path, solved), Model()
        codec = SimpleNamespace(stop_ids=())
        callback = ValidationCallback(validator, codec, stage, progress)
        state = SimpleNamespace(global_step=first, best_global_step=None)
        state.best_model_checkpoint = None
        callback.on_train_begin(None, state, None, model=model)
        for step in range(first + 1, last + 1):
            state.global_step = step
            stage.stop_requested = step == stop_at
            callback.on_step_end(None, state, None, model=model)
            if not step % 2 or stage.stop_requested:
                (tmp_path / f"checkpoint-{step}").mkdir()
        assert model.training and not any(validator.modes)
        return state, said

    return go


def test_the_best_so_far_is_what_the_trainer_keeps(trained, tmp_path):
    state, said = trained({0: 0.9, 2: 0.4, 4: 0.6, 6: 0.6, 8: 0.5}, 0, 8)
    assert said == [0.9, 0.4, 0.6, 0.6, 0.5]
    assert state.best_global_step == 4
    assert state.best_model_checkpoint == str(tmp_path / "checkpoint-4")


def test_who_is_asked_to_stop_validates_when_resumed(trained, tmp_path):
    solved = {0: 0.1, 2: 0.2, 4: 0.3, 6: 0.2, 8: 0.2}
    trained(solved, 0, 4, stop_at=4)
    assert [row.rollout for row in read_validation(tmp_path)] == [0, 2]
    state, said = trained(solved, 4, 8)
    assert [row.rollout for row in read_validation(tmp_path)] == [0, 2, 4, 6, 8]
    assert said == [0.3, 0.2, 0.2] and state.best_global_step == 4


@pytest.mark.parametrize(
    ("checkpoint", "every", "refused"),
    [("best", 0, True), ("best", 3, True), ("best", 4, False), ("last", 0, False)],
)
def test_the_best_checkpoint_is_one_that_is_kept(monkeypatch, checkpoint, every, refused):
    asked = []
    monkeypatch.setattr(validation, "require_positions", lambda *of: asked.append(of))
    options = SimpleNamespace(checkpoint=checkpoint, validation_every=every, save_rollouts=2)
    vars(options).update(model="m", tasks="t", validation_context_length=99, validation_tasks=2)
    if refused:
        with pytest.raises(InputError, match=f"now {every}, to be a multiple of --save-rollouts 2"):
            validation.check(options, [])
        return
    validation.check(options, split_ids("train"))
    assert asked == ([("m", 99, "evaluation.context_length")] if every else [])
    if every:
        with pytest.raises(InputError, match=r"t: .* and 1 others have the faults of validation"):
            validation.check(options, validation.task_ids(options))
