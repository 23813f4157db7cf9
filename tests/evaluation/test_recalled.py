"""An evaluation by hand plays what the checkpoint was trained for, unless it is told otherwise."""

from __future__ import annotations

import argparse
import json
import shutil
import sys

import pytest

import evaluate_tau2
from tau2_agent.errors import InputError
from tau2_agent.evaluation import recalled
from tau2_agent.training.trained_for import TrainedFor, write_record
from tau2_agent.users import registry as users

USER = users.Users("scripted", phrasing="train", one_action=True)
ASKED = {"reasoning_effort": "low", "top_p": 0.5}
LLM = users.Users("llm", llm=users.LLMSettings("openai/gpt-5-mini", options=ASKED))


@pytest.fixture
def options(random_model, tmp_path, monkeypatch):
    """Options of evaluate_tau2.py, filled from a checkpoint trained with `user`."""

    def read(*words, user=USER, record=True):
        folder = tmp_path / "checkpoint"
        shutil.copytree(random_model, folder, dirs_exist_ok=True)
        if record:
            about = TrainedFor(
                stage="grpo",
                prompt="short",
                user=user.fingerprint(),
                max_new_tokens=24,
                context_length=300,
                max_steps=50,
            )
            write_record(folder, about)
        seen = []
        monkeypatch.setattr(evaluate_tau2, "evaluate", seen.append)
        monkeypatch.setattr("tau2_agent.evaluation.table.show", lambda summaries: None)
        words = ["--checkpoint", str(folder), "--output-path", "x.json", "--backend", "cpu", *words]
        monkeypatch.setattr(sys, "argv", ["evaluate_tau2.py", *words])
        evaluate_tau2.main()
        recalled.recall(seen[0], folder)
        return seen[0]

    return read


def test_what_is_left_out_is_as_it_was_trained(options, capsys) -> None:
    args = options()
    found = (args.prompt, args.max_new_tokens, args.context_length, args.max_steps)
    assert found == ("short", 24, 300, 50)
    assert users.from_options(args, 0).fingerprint() == USER.fingerprint()
    assert "otherwise than trained" not in capsys.readouterr().out


def test_a_language_model_is_asked_as_in_training(options) -> None:
    args = options(user=LLM)  # which does not take top_p
    assert args.user_options == {"reasoning_effort": "low"} and args.user_temperature == 0.0
    assert users.from_options(args, 0).fingerprint()["user_settings"]["model"] == LLM.llm.model


def test_what_the_model_does_not_take_is_no_difference(options, capsys) -> None:
    words = json.dumps(ASKED)
    options("--user", "llm", "--user-temperature", "0.0", "--user-options", words, user=LLM)
    assert "otherwise than trained" not in capsys.readouterr().out


def test_an_option_of_which_the_training_knew_nothing_is_a_difference(options, capsys) -> None:
    words = json.dumps({"reasoning_effort": "low", "seed": 1})
    options("--user", "llm", "--user-options", words, user=LLM)
    said = "user_options {'reasoning_effort': 'low', 'seed': 1}, trained with"
    assert said in capsys.readouterr().out


def test_what_is_told_wins_and_one_line_says_so(options, capsys) -> None:
    args = options("--prompt", "tau2", "--max-steps", "50", "--user-phrasing", "fixed")
    assert (args.prompt, args.user_phrasing, args.max_new_tokens) == ("tau2", "fixed", 24)
    (line,) = capsys.readouterr().out.splitlines()
    assert "prompt 'tau2', trained with 'short'" in line
    assert "user_phrasing 'fixed', trained with 'train'" in line
    assert "max_steps" not in line  # told the same


def test_a_model_that_nobody_trained_here_takes_the_preset_s(options) -> None:
    args = options(record=False)
    assert (args.prompt, args.max_new_tokens, args.max_steps) == ("short", 64, 200)  # demo's
    assert (args.user, args.user_phrasing, args.user_one_action) == ("scripted", "fixed", False)


def test_no_longer_context_than_the_model_has(options, random_model) -> None:
    longest = recalled.positions(random_model)
    assert options("--context-length", str(longest)).context_length == longest
    with pytest.raises(InputError, match=f"--context-length {longest + 1}: .* {longest} tokens"):
        options("--context-length", str(longest + 1))


@pytest.mark.parametrize("record", [True, False])
def test_a_context_that_nobody_told_ends_where_the_model_ends(
    options, random_model, monkeypatch, record
) -> None:
    monkeypatch.setattr(recalled, "positions", lambda folder: 200)
    assert options(record=record).context_length == 200
    assert recalled.default("evaluation.context_length", "cpu") > 200


def test_options_that_a_program_has_not_are_passed_over() -> None:
    last = list({**recalled.EPISODE, **recalled.USER})[-1]
    for names in ([last], ["max_steps"]):
        args = argparse.Namespace(backend="cpu", **dict.fromkeys(names))
        assert recalled.recall(args, None) is None
        assert set(vars(args)) == {"backend", *names} and getattr(args, names[0]) is not None
