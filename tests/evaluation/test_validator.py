"""What validates a policy while it is trained: who is asked, what is played, what is written."""

import argparse
import asyncio

import pytest
from made_results import lost, row

import train_grpo_trl
from tau2_agent.evaluation import validation
from tau2_agent.evaluation.validation import Validator, as_evaluation, make_validator, summary
from tau2_agent.records.validation import read_validation
from tau2_agent.rollout.trajectory import EndReason
from tau2_agent.users.registry import Users

ISSUES = ("mms", "mobile_data", "service")
FILES = ["--model", "m", "--tasks", "t", "--output", "o"]


def options(*words: str) -> argparse.Namespace:
    given = ["--validation-tasks", "3", "--validation-every", "2", "--prompt", "short"]
    return train_grpo_trl.parse([*FILES, *given, *words])


def test_the_row_of_a_validation() -> None:
    mms, data, service = (f"[{issue}_issue]airplane_mode_on[PERSONA:None]" for issue in ISSUES)
    rows = [
        row(mms, 1.0),
        row(data, 0.0, partial=0.5, end=EndReason.MAX_STEPS),
        lost(service),
        row(mms, 0.5, partial=0.25),
    ]
    assert summary(rows, 6, 1.26, "digest").model_dump() == {
        "rollout": 6,
        "tasks": 4,
        "excluded": 1,
        "pass_at_1": pytest.approx(1 / 3),
        "avg_reward": pytest.approx(0.5),
        "avg_partial_score": pytest.approx(1.75 / 3),
        "by_issue": {"mms_issue": (1, 2), "mobile_data_issue": (0, 1)},
        "ends": {"user_stop": 2, "max_steps": 1, "user_error": 1},
        "seconds": 1.3,
        "settings": "digest",
    }
    none = summary([lost("a")], 0, 1.0)
    assert none.pass_at_1 is none.avg_reward is none.avg_partial_score is None
    assert (none.tasks, none.excluded, none.settings) == (1, 1, "")


def test_it_asks_the_training_s_users_with_a_count_of_their_own(tmp_path, monkeypatch) -> None:
    users = Users(phrasing="train", max_failure_share=0.25)
    made = make_validator(options(), users, tmp_path)
    assert made.settings.users == users and made.settings.users is not users
    assert made.settings.users.failures is not users.failures

    async def play_all(jobs, policy, codec, settings, args, write):
        assert (policy, codec, settings, args) == ("policy", "codec", made.settings, made.args)
        for task, trial in jobs:
            write(row(task.id, 1.0, trial=trial), "trajectory")

    monkeypatch.setattr(validation, "play_all", play_all)
    found = asyncio.run(made.play("policy", "codec", 4))
    assert read_validation(tmp_path) == [found]
    assert (found.rollout, found.tasks, found.pass_at_1) == (4, 3, 1.0)
    assert 0.0 <= found.seconds < 60.0 and found.settings == made.digest


def test_only_what_was_played_alike_has_the_same_digest(tmp_path) -> None:
    def digest(*words: str, users=None, tasks=("a", "b"), **more) -> str:
        args = as_evaluation(options(*words))
        return Validator(args, tasks, users or Users(), tmp_path, **more).digest

    plain = digest()
    assert len(plain) == 12 and digest("--lr", "0.5", "--validation-concurrency", "3") == plain
    others = [
        digest(tasks=["a"]),
        digest(users=Users(phrasing="train")),
        digest("--seed", "9"),
        digest("--prompt", "tau2"),
        digest("--weights", "1,0,0"),
        digest("--validation-max-new-tokens", "9"),
        digest("--validation-context-length", "99"),
        digest("--validation-max-steps", "9"),
    ]
    assert len({plain, *others}) == 1 + len(others)
    assert digest(digest="known") == "known"
