"""What a slime job's log lines mean."""

import json

import pytest

from tau2_agent.training.slime.log import JobLog, Start, WrongStart, drop_rows_from, parse_metrics

LOADED = (
    "\x1b[36m(MegatronTrainRayActor pid=7)\x1b[0m   successfully loaded checkpoint from {} "
    "[ t 1/2, p 1/1 ] at iteration {}"
)


def feed(log, *lines):
    for line in lines:
        log.feed(line)
    return log


def test_weights_only_is_what_megatron_calls_iteration_0():
    feed(JobLog(Start("/sft")), LOADED.format("/sft", 0), "rollout 0: {'rollout/x': 1}")


@pytest.mark.parametrize(
    ("start", "lines"),
    [
        (Start("/sft"), [LOADED.format("/sft", 48)]),  # the former stage's optimizer too
        (Start("/sft"), [LOADED.format("/base", 0)]),  # slime's silent fallback
        (Start("/rl", 9), [LOADED.format("/sft", 0)]),  # its own run was not found
        (Start("/rl", 9), [LOADED.format("/rl", 0)]),
        (Start("/sft"), [LOADED.format("/sft", 0), "rollout 49: {'rollout/x': 1}"]),
        (Start("/rl", 9), [LOADED.format("/rl", 9), "rollout 0: {'rollout/x': 1}"]),
    ],
)
def test_every_other_start_is_an_error(start, lines):
    with pytest.raises(WrongStart):
        feed(JobLog(start), *lines)


def test_a_resumed_run_and_its_reference_model():
    log = feed(
        JobLog(Start("/rl", 9)),
        LOADED.format("/rl", 9),
        LOADED.format("/sft", 0),  # the reference model of the KL term
        "rollout 10: {'rollout/x': 1}",
    )
    assert log.loaded == ("/rl", 9) and log.first_rollout == 10


def test_saved_checkpoints_are_noticed():
    line = (
        "  [2026-01-01 00:00:00.0] successfully saved checkpoint from iteration      12 to /rl [ t"
    )
    assert feed(JobLog(Start("/sft")), line).saved == [12]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("{'train/loss': 0.5, 'train/step': 3}", {"train/loss": 0.5, "train/step": 3}),
        ("{'a': nan, 'b': inf, 'c': -inf}", {"a": None, "b": None, "c": None}),
        ("{'a': np.float64(0.25), 'b': np.int64(3)}", {"a": 0.25, "b": 3}),
        ("{'a': tensor(0.5), 'b': tensor(2, dtype=torch.int64)}", {"a": 0.5, "b": 2}),
        ("{'a': tensor(1.5, device='cuda:0')}", {"a": 1.5}),
        ("{'nan_share': 0.0, 'info': 1}", {"nan_share": 0.0, "info": 1}),
        ("{'ends': {'user_stop': 3}, 'x': None}", {"ends": {"user_stop": 3}, "x": None}),
        ("{'a': <object at 0x7f>}", None),
        ("[1]", None),
    ],
)
def test_metrics_as_python_prints_them(text, values):
    assert parse_metrics(text) == values


def test_metrics_become_json_lines_under_the_names_of_both_backends(tmp_path):
    log = JobLog(Start("/sft"), tmp_path / "metrics.jsonl", updates_per_rollout=2)
    feed(
        log,
        "x model.py:1 - step 5: {'train/loss': 1.5, 'train/lr-pg_0': 2e-05, 'train/step': 5}",
        "x rollout.py:1 - tau2 2: {'reward': 0.25, 'aborted': 0}",
        "x - perf 2: {'perf/actor_train_tflops': 9.0}",
        "nothing of interest",
    )
    log.close()
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [row["rollout"] for row in rows] == [2, 2, 2]
    assert rows[0]["loss"] == 1.5 and rows[0]["learning_rate"] == 2e-05 and rows[0]["step"] == 5
    assert rows[1]["reward"] == 0.25
    assert log.last["step"]["loss"] == 1.5


def test_what_a_killed_job_wrote_beyond_its_checkpoint_is_dropped(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"rollout": 0}\n{"rollout": 1}\n{"rollout": 2}\n{"rol')
    drop_rows_from(path, 2)
    assert path.read_text() == '{"rollout": 0}\n{"rollout": 1}\n'
    drop_rows_from(tmp_path / "none.jsonl", 0)
    assert (tmp_path / "none.jsonl").read_text() == ""


def test_the_cause_of_a_failure_is_found():
    lines = [f"line {i}" for i in range(50)] + ["Traceback (most recent call last):", "  File x"]
    log = feed(JobLog(Start("/sft")), *lines, "torch.OutOfMemoryError: CUDA out of memory")
    text = log.trouble()
    assert "OutOfMemoryError" in text and "line 49" in text and "line 40" not in text
