"""The validation curve: what is kept of it after a kill, and which checkpoint is the best."""

import stat

import pytest

from tau2_agent.errors import PipelineError
from tau2_agent.records.validation import (
    VALIDATION,
    Validation,
    append_validation,
    best_of,
    choice,
    chosen_rollout,
    cut_validation,
    is_due,
    read_validation,
)


def row(rollout, solved, settings="a", **more):
    return Validation(
        rollout=rollout,
        tasks=10,
        pass_at_1=solved,
        avg_reward=solved,
        avg_partial_score=0.5,
        seconds=1.0,
        settings=settings,
        **more,
    )


def curve(folder, *rows):
    for one in rows:
        append_validation(folder, one)
    return folder


def test_it_is_due_before_the_first_rollout_every_so_many_and_at_the_end() -> None:
    assert [n for n in range(12) if is_due(n, 4, 11)] == [0, 4, 8, 11]
    assert not any(is_due(n, 0, 11) for n in range(12))


def test_its_line_says_what_was_solved_and_how_episodes_ended() -> None:
    one = row(4, 0.25, ends={"user_stop": 10})
    said = "pass@1 0.250  partial 0.500  10 tasks  ends {'user_stop': 10}  1.0 s"
    assert one.line() == said
    lost = one.model_copy(update={"excluded": 3})
    assert lost.line() == said.replace("10 tasks", "10 tasks  excluded 3")
    apart = one.model_copy(update={"by_issue": {"mms_issue": (2, 4), "service_issue": (0, 4)}})
    told = "0.250 (mms_issue 2/4, service_issue 0/4)"
    assert apart.line() == said.replace("0.250", told)
    assert Validation.model_validate_json(apart.model_dump_json()) == apart


def test_ties_go_to_the_earlier_one() -> None:
    assert best_of([row(2, 0.5), row(4, 0.7), row(6, 0.7), row(8, 0.6)]).rollout == 4


def test_the_model_that_the_training_began_with_is_no_checkpoint_of_it() -> None:
    assert best_of([row(0, 0.9), row(1, 0.5)]).rollout == 1
    assert best_of([row(0, 0.9)]) is None


def test_only_what_was_played_alike_is_compared() -> None:
    rows = [row(2, 0.9, "forty tasks"), row(4, 0.5, "ten"), row(6, 0.6, "ten")]
    assert best_of(rows).rollout == 6


def test_a_validation_in_which_nothing_counted_is_never_the_best() -> None:
    lost = row(4, None, excluded=10)
    assert best_of([row(2, 0.0), lost]).rollout == 2
    assert "no episode counted" in lost.line() and "excluded 10" in lost.line()


def test_what_will_be_trained_again_is_dropped_and_a_cut_line_too(tmp_path) -> None:
    curve(tmp_path, row(0, 0.1), row(2, 0.2), row(4, 0.3))
    with open(tmp_path / VALIDATION, "a", encoding="utf-8") as stream:
        stream.write('{"rollout": 6, "ta')
        stream.write("\n" + row(1, 0.2).model_dump_json() + "\n")
    assert not stat.S_IMODE((tmp_path / VALIDATION).stat().st_mode) & 0o111  # no program
    assert [one.rollout for one in cut_validation(tmp_path, 2)] == [0, 2, 1]
    append_validation(tmp_path, row(4, 0.4))
    assert [(one.rollout, one.pass_at_1) for one in read_validation(tmp_path)] == [
        (0, 0.1),
        (2, 0.2),
        (1, 0.2),
        (4, 0.4),
    ]


def test_a_folder_without_validation_has_no_curve_and_no_file(tmp_path) -> None:
    assert cut_validation(tmp_path, 3) == [] == read_validation(tmp_path)
    assert not list(tmp_path.iterdir())
    assert chosen_rollout(tmp_path, "last", 7) == 7
    with pytest.raises(PipelineError, match=r"Take grpo\.checkpoint last"):
        chosen_rollout(tmp_path, "best", 7)


def test_the_summary_says_which_and_how_good_it_was(tmp_path) -> None:
    curve(tmp_path, row(0, 0.1), row(2, 0.6), row(4, 0.3))
    assert chosen_rollout(tmp_path, "best", 4) == 2
    assert choice(tmp_path, "best", 2, 4) == {
        "checkpoint": "best",
        "rollout": 2,
        "of": 4,
        "validated": 3,
        "tasks": 10,
        "pass_at_1": 0.6,
        "pass_at_1_at_first": 0.1,
    }


def test_the_summary_compares_with_what_was_played_alike(tmp_path) -> None:
    curve(tmp_path, row(0, 0.1, "forty"), row(2, 0.9, "forty"), row(4, 0.5, "ten"))
    assert choice(tmp_path, "best", 4, 9) == {
        **{"checkpoint": "best", "rollout": 4, "of": 9},
        **{"validated": 1, "tasks": 10, "pass_at_1": 0.5},
    }
    assert choice(tmp_path, "last", 9, 9) == {"checkpoint": "last", "rollout": 9, "of": 9}
