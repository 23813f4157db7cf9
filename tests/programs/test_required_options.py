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
