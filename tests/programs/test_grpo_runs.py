"""When a GRPO run goes on and when it is another one, on both backends."""

import pytest

import train_grpo_slime
import train_grpo_trl

PROGRAMS = {
    "cpu": (train_grpo_trl, ["--model", "m", "--tasks", "t", "--output", "o"]),
    "slime": (train_grpo_slime, ["--model", "m", "--sft", "s", "--tasks", "t", "--output", "o"]),
}


@pytest.fixture(params=PROGRAMS)
def fingerprint_fields(request):
    program, files = PROGRAMS[request.param]
    return lambda *flags: program.fingerprint_fields(program.parse([*files, *flags]))


def test_more_rollouts_continue_a_run_of_constant_learning_rate(fingerprint_fields) -> None:
    flags = ("--lr-schedule", "constant", "--rollouts")
    assert fingerprint_fields(*flags, "5") == fingerprint_fields(*flags, "9")


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_more_rollouts_are_another_run_where_the_rate_ends_with_them(
    fingerprint_fields, schedule
) -> None:
    flags = ("--lr-schedule", schedule, "--rollouts")
    assert fingerprint_fields(*flags, "5") != fingerprint_fields(*flags, "9")
    assert fingerprint_fields(*flags, "5") == fingerprint_fields(*flags, "5")
    constant = fingerprint_fields("--lr-schedule", "constant", "--rollouts", "5")
    assert fingerprint_fields(*flags, "5") != constant


@pytest.mark.parametrize("flags", [("--save-rollouts", "3"), ("--keep-checkpoints", "1")])
def test_how_much_is_kept_decides_nothing(fingerprint_fields, flags) -> None:
    assert fingerprint_fields(*flags) == fingerprint_fields()
