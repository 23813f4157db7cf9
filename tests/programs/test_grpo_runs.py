"""When a GRPO run goes on and when it is another one, on both backends."""

import pytest

import train_grpo_slime
import train_grpo_trl

PROGRAMS = {
    "cpu": (train_grpo_trl, ["--model", "m", "--tasks", "t", "--output", "o"]),
    "slime": (train_grpo_slime, ["--model", "m", "--sft", "s", "--tasks", "t", "--output", "o"]),
}


@pytest.fixture(params=PROGRAMS)
def decisive(request):
    program, files = PROGRAMS[request.param]
    return lambda *flags: program.decisive(program.parse([*files, *flags]))


def test_more_rollouts_continue_a_run_of_constant_learning_rate(decisive) -> None:
    assert decisive("--rollouts", "5") == decisive("--rollouts", "9")


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_more_rollouts_are_another_run_where_the_rate_ends_with_them(decisive, schedule) -> None:
    flags = ("--lr-schedule", schedule, "--rollouts")
    assert decisive(*flags, "5") != decisive(*flags, "9")
    assert decisive(*flags, "5") == decisive(*flags, "5")
    assert decisive(*flags, "5") != decisive("--rollouts", "5")


@pytest.mark.parametrize("flags", [("--save-rollouts", "3"), ("--keep-checkpoints", "1")])
def test_how_much_is_kept_decides_nothing(decisive, flags) -> None:
    assert decisive(*flags) == decisive()
