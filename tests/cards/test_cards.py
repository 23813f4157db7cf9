"""The cards of a model and of its traces, as the hub's own client reads them."""

from __future__ import annotations

import json

import pytest
from huggingface_hub import DatasetCard, ModelCard
from huggingface_hub.utils import filter_repo_objects
from made_results import lost, row, summary

import make_cards
from tau2_agent.benchmark.tasks import split_ids
from tau2_agent.cards.model import base_of
from tau2_agent.evaluation.baselines import baselines
from tau2_agent.files import write_json, write_jsonl
from tau2_agent.training.resumable import Stage

TEST = split_ids("test")
COMMAND = "snakemake --cores all --config seed=1"


@pytest.fixture
def run(tmp_path):
    """A folder as a run leaves it: two finished stores, evaluations, traces, the leak gate."""
    folders = {}
    for stage, fields in (
        ("sft", {"epochs": 3, "lr": 0.01}),
        ("rl", {"rollouts": 5, "alpha": 0.5}),
    ):
        target = tmp_path / "checkpoints" / f"m_{stage}_telecom"
        with Stage(target, {"inputs": {}, "hyperparameters": fields}) as made:
            (made.folder / "model.safetensors").write_bytes(b"weights")
            (made.folder / "README.md").write_text("a trainer's own card")
            (made.folder / "checkpoint-5").mkdir()
            (made.folder / "checkpoint-5" / "model.safetensors").write_bytes(b"others")
            (made.folder / "rollouts.jsonl").write_text("{}\n")
            made.finish({"seconds": 12.0})
        folders[stage] = target
    solved = [row(task_id, float(i < 10)) for i, task_id in enumerate(TEST[:-1])] + [lost(TEST[-1])]
    results = []
    for stage in ("sft", "rl"):
        made = summary(solved, TEST, stage=stage, baselines=baselines(TEST, tmp_path / "x" / "y"))
        results.append(tmp_path / f"{stage}.json")
        results[-1].write_text(made.model_dump_json())
    traces = tmp_path / "data" / "teacher_traces.jsonl"
    message = {"role": "assistant", "content": "x"}
    traces.parent.mkdir()
    write_jsonl(
        traces, [{"task_id": i, "messages": [message] * 4, "tools": []} for i in split_ids("train")]
    )
    leaks = tmp_path / "leaks.json"
    write_json(leaks, {"split": "test", "leaks": 0, "eval_tasks": 40, "in_sample": False})
    base = tmp_path / "models" / "m"
    base.mkdir(parents=True)
    (base / "README.md").write_text("---\nlicense: apache-2.0\nlanguage: en\n---\n# A model\n")
    options = ["--checkpoint", folders["rl"], "--sft", folders["sft"], "--results", *results]
    options += ["--traces", traces, "--leaks", leaks, "--base-folder", base, "--command", COMMAND]
    options += ["--output", tmp_path / "card.md", "--data-card", traces.with_name("README.md")]
    return tmp_path, [str(option) for option in options]


def test_the_checkpoint_carries_a_card_that_the_hub_reads(run):
    folder, options = run
    make_cards.main([*options, "--base", "Org/Model-1", "--revision", "abc123"])
    carried = folder / "checkpoints" / "m_rl_telecom" / "README.md"
    assert carried.read_text() == (folder / "card.md").read_text()
    card = ModelCard.load(carried)
    assert (card.data.base_model, card.data.license) == ("Org/Model-1", "apache-2.0")
    found = {result.metric_type: result for result in card.data.eval_results}
    assert found["pass@1"].metric_value == pytest.approx(10 / 39, abs=1e-4)
    assert found["pass@1"].dataset_split == "test" and "pass@1, fix tasks" in found
    for words in (
        "Org/Model-1 at revision `abc123`",
        "0.256 [0.15, 0.41]",
        "*transfers at once* | 40 | 0.300 [0.18, 0.45]",
        "`epochs` 3",
        "`rollouts` 5, `alpha` 0.5",
        COMMAND,
        "74 conversations on 74 tasks",
        "with all of them as failures pass@1 is 0.250",
        "code, easier for an agent than a person",
        '"custom" entry',
    ):
        assert words in card.text, words


def test_rejection_sampling_is_in_recipe_data_and_names(run):
    folder, options = run
    sampled = folder / "data" / "sampled_traces.jsonl"
    counts = {"episodes": 120, "tasks": 30, "solved": 80, "kept": 28}
    write_json(sampled.with_suffix(".source.json"), counts)
    second = folder / "checkpoints" / "m_rejection_telecom"
    with Stage(second, {"inputs": {}, "hyperparameters": {"epochs": 7}}) as stage:
        stage.finish({"seconds": 3.0})
    make_cards.main([*options, "--rejection", str(second), "--sampled", str(sampled)])
    text = (folder / "card.md").read_text()
    for words in (
        "of 120 episodes that the SFT model played on 30 tasks, 80 were solved and 28 were learnt",
        "**Supervised fine-tuning on what rejection sampling kept** (3 s): `epochs` 7.",
        "| SFT, rejection sampling, then GRPO |",
    ):
        assert words in text, words
    make_cards.main([*options, "--rejection", "--sampled"])  # as the workflow has it without
    assert "ejection sampling" not in (folder / "card.md").read_text()


@pytest.mark.parametrize(
    ("taken", "told"),
    [
        (
            {"checkpoint": "last", "rollout": 5, "of": 5},
            "The weights are those after rollout 5 of 5, the last.",
        ),
        (
            {"checkpoint": "best", "rollout": 2, "of": 5, "validated": 3, "tasks": 24}
            | {"pass_at_1": 0.625, "pass_at_1_at_first": 0.5},
            "The weights are those after rollout 2 of 5, the best on validation: pass@1 0.625 of "
            "24 tasks of extra_dev, greedily; pass@1 0.500 before the first rollout (3 "
            "validations).",
        ),
    ],
)
def test_it_says_which_weights_were_taken(run, taken, told):
    folder, options = run
    done = folder / "checkpoints/m_rl_telecom/done.json"
    write_json(done, json.loads(done.read_text()) | {"summary": {"taken": taken}})
    make_cards.main(options)
    assert told in (folder / "card.md").read_text()


def test_the_traces_carry_one_too(run):
    folder, options = run
    make_cards.main([*options, "--teacher", "the language model x/y"])
    card = DatasetCard.load(folder / "data" / "README.md")
    assert card.data.configs[0]["data_files"] == "teacher_traces.jsonl"
    assert "Made by the language model x/y" in card.text
    assert "fix 66, transfer 8" in card.text
    assert "`test`: 0 of 40 evaluated tasks share a fault combination" in card.text


def test_a_store_with_a_new_card_is_still_finished_and_no_newer(run):
    folder, options = run
    target = folder / "checkpoints" / "m_rl_telecom"
    before = target.stat().st_mtime_ns
    make_cards.main(options)
    assert target.stat().st_mtime_ns == before
    record = json.loads((target / "stage.json").read_text())["fingerprint"]
    with Stage(target, record) as stage:
        assert stage.finished


def test_what_is_uploaded_is_the_model_and_its_card(run, capsys):
    folder, options = run
    make_cards.main(options)
    words = capsys.readouterr().out
    assert f"hf upload YOU/m_rl_telecom {folder / 'checkpoints' / 'm_rl_telecom'}" in words
    store = (folder / "checkpoints" / "m_rl_telecom").resolve()
    files = [str(path.relative_to(store)) for path in store.rglob("*") if path.is_file()]
    kept = set(filter_repo_objects(files, ignore_patterns=list(make_cards.NOT_PUBLISHED)))
    assert kept == {"README.md", "model.safetensors", "done.json", "stage.json"}


def test_a_base_without_a_licence_is_not_given_one(tmp_path):
    assert base_of("Org/Model", "r", tmp_path).license == "unknown"
    (tmp_path / "README.md").write_text("# no front matter\n")
    assert base_of("Org/Model", "r", tmp_path).license == "unknown"
    assert base_of("demo", None, tmp_path).license == "apache-2.0"
