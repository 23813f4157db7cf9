"""A program that is told too little says what is missing, and does nothing."""

import importlib

import pytest

REQUIRED = {
    "base_model": "--output",
    "check_leakage": "--train --eval-split --output",
    "convert_checkpoint": "--to --input --output",
    "evaluate_tau2": "--checkpoint --output-path",
    "import_traces": "--source --output",
    "rejection_sampling": "--checkpoint --tasks --output",
    "tau2_mock": "--local_dir",
    "teacher_traces": "--tasks --output",
    "train_grpo_slime": "--model --sft --tasks --output",
    "train_grpo_trl": "--model --tasks --output",
    "train_sft_slime": "--model --base --traces --output",
    "train_sft_trl": "--model --traces --output",
    "with_user_model": "--model",
}


@pytest.mark.parametrize("program", REQUIRED)
def test_what_is_missing_is_named(program, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", [program])
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(program).main()
    missing = REQUIRED[program].replace(" ", ", ")
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert said.endswith(f"{program}: error: the following arguments are required: {missing}\n")


@pytest.mark.parametrize(
    "program", ["rejection_sampling", "teacher_traces", "train_grpo_slime", "train_grpo_trl"]
)
def test_what_is_learnt_from_is_not_played_with_words_kept_for_evaluation(
    program, monkeypatch, capsys
):
    for name, words in ((program, "invalid choice: 'held_out'"), ("evaluate_tau2", "required: --")):
        monkeypatch.setattr("sys.argv", [name, "--user-phrasing", "held_out"])
        with pytest.raises(SystemExit):
            importlib.import_module(name).main()
        assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("review_episodes", ["--concurrency", "0"]),
        ("review_episodes", ["--budget-usd", "-1"]),
        ("review_episodes", ["--timeout-s", "nan"]),
        ("review_episodes", ["--options", "[]"]),
        ("compare_users", ["--plan", "--agent-budget-tokens", "0"]),
        ("compare_users", ["--plan", "--agent-temperature", "-1"]),
        ("stores", ["--older-than", "-3"]),
        ("stores", ["--older-than", "nan"]),
    ],
)
def test_a_number_out_of_range_is_refused_by_programs_without_a_stage(
    program, words, monkeypatch, capsys
):
    monkeypatch.setattr("sys.argv", [program, *words])
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(program).main()
    assert ended.value.code == 2
    assert f"error: argument {words[-2]}: " in (said := capsys.readouterr().err) or (
        f"{words[-2]} {words[-1]}: days are 0 or more" in said
    )
