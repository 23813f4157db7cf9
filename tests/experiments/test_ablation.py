"""The ablation: what each arm changes, that all have the same compute, and what the table says."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import ablation
import ablation_table
import pytest
from ablation import Plan
from ablation_arms import ARMS, PHRASINGS, SPLITS

from tau2_agent.benchmark.tasks import load_tasks
from tau2_agent.config.backend import Backend
from tau2_agent.config.resolve import resolve
from tau2_agent.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
PLAN = Plan(Path("runs"))


def settings(name):
    """An arm's whole configuration, checked as the workflow checks it."""
    layers = [("the ablation", PLAN.config(ARMS[name], 1))]
    return resolve(layers, ROOT / "presets", lambda *_: Backend("cpu", "told")).config


def changes(name):
    def flat(values, above=""):
        for key, value in values.items():
            if isinstance(value, dict):
                yield from flat(value, f"{above}{key}.")
            else:
                yield above + key, value

    default = dict(flat(settings("default")))
    return {key: value for key, value in flat(settings(name)) if default[key] != value}


@pytest.mark.parametrize("name", ARMS)
def test_every_arm_is_a_configuration_and_changes_something(name):
    assert bool(changes(name)) != (name in ("default", "sft"))


@pytest.mark.parametrize("name", [name for name, arm in ARMS.items() if arm.stage == "rl"])
def test_no_arm_has_more_compute_than_the_default(name):
    def compute(config):
        grpo, rejection = config["grpo"], config["rejection_sampling"]
        groups = grpo["prompts_per_rollout"]
        groups += grpo["max_resampled_groups"] * grpo["dynamic_sampling"]
        episodes = grpo["rollouts"] * groups * grpo["samples_per_prompt"]
        return episodes + rejection["samples_per_task"] * len(load_tasks("train"))

    config, default = settings(name), settings("default")
    batch = config["grpo"]["prompts_per_rollout"] * config["grpo"]["samples_per_prompt"]
    assert batch % config["grpo"]["micro_batch_size"] == 0
    assert 0.9 * compute(default) < compute(config) <= compute(default)
    assert config["grpo"]["rollouts"] <= default["grpo"]["rollouts"]
    assert config["sft"] == default["sft"]


@pytest.mark.parametrize("name", ARMS)
def test_no_arm_sees_test_or_trains_on_what_it_is_evaluated_on(name):
    config = settings(name)
    played = {config["tasks"]["sft"], config["tasks"]["grpo"]}
    assert "test" not in played | set(SPLITS) and not played & set(SPLITS)
    assert config["user"]["phrasing"] != "held_out"
    assert config["grpo"]["validation_every"] == 0  # else extra_dev is played in training


# What is run


def names(found):
    return [job.name for job in found]


def test_sft_is_made_once_a_seed_and_before_all_that_goes_on_from_it(tmp_path):
    plan = Plan(tmp_path)
    found = ablation.jobs(plan, list(ARMS), [0, 1])
    for place, job in enumerate(found):
        assert set(job.after) <= set(names(found[:place]))
    assert len(names(found)) == len(set(names(found))) == 2 * (len(ARMS) + 2)
    before = {job.name: job.after for job in found}
    assert before["seed1 alpha_0"] == before["seed1 rejection"] == ("seed1 shared",)
    assert before["seed0 words"] == before["seed0 words_sft"] == ("seed0 shared-train",)
    # the most wanted arm has all its seeds before the next one begins
    assert names(found)[:4] == ["seed0 shared", "seed0 default", "seed1 shared", "seed1 default"]
    folders = {plan.shared(arm, seed) for arm in ARMS.values() for seed in (0, 1)}
    assert len(folders) == 4


def test_what_is_done_is_not_done_again(tmp_path):
    plan = Plan(tmp_path)
    result(tmp_path, "default", 0, {})
    assert names(ablation.jobs(plan, ["default"], [0, 1])) == ["seed1 shared", "seed1 default"]
    assert ablation.jobs(plan, ["default"], [0]) == []


# What the table says


def result(runs, arm, seed, rates, phrasings=("fixed",)):
    """An arm's result: split -> how many of 10 tasks it solves."""
    evaluations = [
        {
            "split": split,
            "phrasing": phrasing,
            "rewards": {f"t{i}": float(i < solved) for i in range(10)},
        }
        for split, solved in rates.items()
        for phrasing in phrasings
    ]
    made = {"arm": arm, "seed": seed, "episodes": 768, "steps": 12, "evaluations": evaluations}
    made["cpu_seconds"] = {"sft": 100.0, "grpo": 150.0}
    (runs / "results").mkdir(exist_ok=True)
    path = runs / "results" / f"{arm}_seed{seed}.json"
    path.write_text(json.dumps(made))


def test_gains_are_paired_over_the_seeds_that_both_have(tmp_path):
    for seed, solved in ((0, 4), (1, 6), (2, 9)):
        result(tmp_path, "default", seed, {"extra_dev": solved, "extra_unseen": 5})
    for seed, solved in ((0, 6), (1, 8)):
        result(tmp_path, "alpha_0", seed, {"extra_dev": solved, "extra_unseen": 5})
    text = ablation_table.table(tmp_path)
    with open(tmp_path / "arms.csv") as stream:
        default, alpha = csv.DictReader(stream)
    assert float(default["extra_dev"]) == pytest.approx((4 + 6 + 9) / 30)
    assert default["extra_dev_gain"] == "" and default["extra_dev_seeds"] == "0.400 0.600 0.900"
    # over seeds 0 and 1: the default's best seed says nothing about an arm that has it not
    assert float(alpha["extra_dev_gain"]) == pytest.approx(0.2)
    assert float(alpha["extra_dev_low"]) < 0.2 < float(alpha["extra_dev_high"])
    assert float(alpha["extra_unseen_gain"]) == 0.0
    assert "| alpha 0: tau2's reward alone | 0.700 | +0.200 [" in text
    assert "| 2 | 768 | 12 | 250 |" in text and "kept-out" not in text


def test_an_arm_without_the_default_has_no_gain(tmp_path):
    result(tmp_path, "no_std", 0, {"extra_dev": 4})
    assert "| 0.400 | - | - | - | 1 |" in ablation_table.table(tmp_path)


def test_words_are_compared_on_each_kind_of_words(tmp_path):
    for name, solved in (("sft", 5), ("default", 7), ("words_sft", 3), ("words", 9)):
        result(tmp_path, name, 0, {"extra_dev": solved}, phrasings=PHRASINGS)
    text = ablation_table.table(tmp_path)
    assert "| SFT and GRPO, varied words | 0.900 | +0.200 [" in text
    assert text.index("SFT and GRPO, varied") > text.index("kept-out")  # in its own table only
    with open(tmp_path / "words.csv") as stream:
        rows = {row["arm"]: row for row in csv.DictReader(stream)}
    assert float(rows["words"]["held_out_gain"]) == pytest.approx(0.2)
    assert float(rows["words_sft"]["train_gain"]) == pytest.approx(-0.2)
    assert rows["default"]["fixed_gain"] == ""


def test_issues_are_compared_apart(tmp_path):
    for name, mms, data in (("sft", 5, 3), ("extra_train", 9, 1), ("balanced", 8, 4)):
        result(tmp_path, name, 0, {"extra_dev": mms})
        path = tmp_path / "results" / f"{name}_seed0.json"
        made = json.loads(path.read_text())
        (evaluation,) = made["evaluations"]
        evaluation["rewards"] = {f"[mms_issue]{i}": float(i < mms) for i in range(10)} | {
            f"[mobile_data_issue]{i}": float(i < data) for i in range(5)
        }
        path.write_text(json.dumps(made))
    text = ablation_table.table(tmp_path)
    with open(tmp_path / "issues.csv") as stream:
        rows = {(row["arm"], row["says"].split()[-1]): row for row in csv.DictReader(stream)}
    row = rows["balanced", "extra_dev"]
    assert (float(row["mms_issue"]), float(row["mobile_data_issue"])) == (0.8, 0.8)
    assert float(row["mms_issue_gain"]) == pytest.approx(-0.1)  # over extra_train
    assert float(row["mobile_data_issue_gain"]) == pytest.approx(0.6)
    assert float(rows["extra_train", "extra_dev"]["mobile_data_issue_gain"]) == pytest.approx(-0.4)
    assert row["service_issue"] == "" and rows["sft", "extra_dev"]["mms_issue_gain"] == ""
    assert "balanced: extra_dev | 0.800 | -0.100 [" in text


def test_a_table_of_nothing_says_what_to_do(tmp_path):
    with pytest.raises(InputError, match=r"no result yet.*ablation\.py run"):
        ablation_table.table(tmp_path)
