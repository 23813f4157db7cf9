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
