"""A result belongs to what made it: edits of code, of tau2's data and of folders are seen."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys

import pytest

from tau2_agent.benchmark import data_files
from tau2_agent.records.episode_log import read_rows

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

EVALUATIONS = {"evaluate", "evaluate_base", "evaluate_sft"}
LAST = {"summary", "cards", "report"}
EVERYTHING = {
    "teacher_traces",
    "leaks",
    "base_model",
    "sft",
    "grpo",
    *LAST,
    *EVALUATIONS,
}
TINY = ("--cores", "2", "--configfile", "tiny.yaml")


def reruns(project, *words: str):
    outcome = project.dry_run("--configfile", "tiny.yaml", *words)
    assert outcome.status == 0, outcome.text
    return set(outcome.jobs), outcome.text


@pytest.fixture
def edit(tiny_project):
    """Edit a file of the finished project; it is as it was afterwards."""
    kept = {}

    def replace(name: str, old: str, new: str) -> None:
        path = tiny_project.folder / name
        kept[path] = path.read_text(encoding="utf-8")
        assert old in kept[path], f"{name} has no {old!r}"
        path.write_text(kept[path].replace(old, new, 1), encoding="utf-8")

    yield replace
    for path, text in kept.items():
        path.write_text(text, encoding="utf-8")
    assert reruns(tiny_project)[0] == set()


REWARD = "scripts/tau2_reward_shaping.py"
GRPO = "scripts/train_grpo_trl.py"
PAGE = "scripts/tau2_agent/report/page.py"
TABLE = "scripts/tau2_agent/evaluation/table.py"
EPISODE = "scripts/tau2_agent/rollout/episode.py"
SHAPED = "def shaped_reward"
MAIN = "def main() -> int:\n"
SCORED = {"grpo", *LAST, *EVALUATIONS}


@pytest.mark.parametrize(
    ("name", "old", "new", "expected"),
    [
        (REWARD, SHAPED, f"X = 1\n\n\n{SHAPED}", SCORED),
        (EPISODE, "T = TypeVar", "X = 1\nT = TypeVar", EVERYTHING),
        (GRPO, MAIN, f"X = 1\n\n\n{MAIN}", {"grpo", "evaluate", *LAST}),
        (TABLE, "WIDTH = 132", "WIDTH = 99", {*LAST, *EVALUATIONS}),
        (PAGE, "STYLES = (", "X = 1\nSTYLES = (", {"report"}),
        (REWARD, '"""', '"""Some words more. ', set()),
        (REWARD, SHAPED, f"# a comment\n{SHAPED}", set()),
        (GRPO, MAIN, "def main() -> int:  # the program\n\n", set()),
    ],
)
def test_an_edit_of_code_reruns_what_it_decides(tiny_project, edit, name, old, new, expected):
    edit(name, old, new)
    jobs, text = reruns(tiny_project)
    assert jobs == expected, text
    if expected:
        assert re.search(r"[Pp]arams", text), text  # the reason
        assert re.search(r"\w+\.py [0-9a-f]{16}", text), text


def test_an_edited_reward_trains_and_scores_anew(tiny_copy) -> None:
    folder = tiny_copy.folder
    sft = read_rows(folder / "results/sft/eval_test.episodes.jsonl")
    before = (folder / "checkpoints/demo_rl_telecom").resolve()
    reward = folder / REWARD
    reward.write_text(
        reward.read_text().replace("def shaped_reward", "X = 1\n\n\ndef shaped_reward", 1)
    )
    outcome = tiny_copy.run(*TINY)
    assert outcome.status == 0, outcome.text
    assert "demo_rl_telecom: already trained" not in outcome.text
    after = (folder / "checkpoints/demo_rl_telecom").resolve()
    assert after != before and before.exists()  # in a store of its own; the old one stays
    result = json.loads((folder / "results/eval_test.json").read_text())
    assert result["evaluated"] == 4
    # The same SFT model: its episodes are scored anew, not played.
    assert "4 episodes were scored by other code or weights: scored anew" in outcome.text
    again = read_rows(folder / "results/sft/eval_test.episodes.jsonl")[-4:]
    assert [(row.task_id, row.seconds) for row in again] == [(r.task_id, r.seconds) for r in sft]
    assert not {row.scored_by for row in again} & {row.scored_by for row in sft}


def test_a_later_commit_is_not_put_on_older_episodes(tiny_copy) -> None:
    folder, target = tiny_copy.folder, "results/sft/eval_test.json"
    before = json.loads((folder / target).read_text())
    assert before["played_at"] == {"": 4} and len(before["played_by"]) == 1  # a copy without git
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", "-C", str(folder)]
    for words in (["init", "-q"], ["add", "scripts"], ["commit", "-qm", "all"]):
        subprocess.run([*git, *words], check=True)
    outcome = tiny_copy.run(*TINY, "--forcerun", "evaluate_sft", "--", target)
    assert outcome.status == 0 and "4 episodes of 4 are done already" in outcome.text, outcome.text
    after = json.loads((folder / target).read_text())
    assert (after["played_at"], after["commit"]) == ({"": 4}, None)


@pytest.mark.parametrize("stage", ["sft", "rl"])
def test_a_checkpoint_evaluated_by_hand_plays_as_in_the_workflow(tiny_project, tmp_path, stage):
    """With the program's own defaults it would meet tau2's whole prompt, and score nothing."""
    folder = tiny_project.folder
    words = ["--checkpoint", str(folder / f"checkpoints/demo_{stage}_telecom"), "--backend", "cpu"]
    words += ["--output-path", str(tmp_path / "eval.json"), "--num-tasks", "4"]
    if stage == "sft":  # supervised training has no limits to remember
        words += ["--max-new-tokens", "8", "--context-length", "256"]
    done = subprocess.run(
        [sys.executable, str(folder / "scripts/evaluate_tau2.py"), *words],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    place = "results/sft" if stage == "sft" else "results"
    by_hand = read_rows(tmp_path / "eval.episodes.jsonl")
    workflow = read_rows(folder / place / "eval_test.episodes.jsonl")
    assert {row.fingerprint for row in by_hand} == {
        row.fingerprint for row in workflow
    }  # all that decides
    key = ("task_id", "end", "reward", "partial", "total_tokens")
    both = [sorted([getattr(row, k) for k in key] for row in rows) for rows in (by_hand, workflow)]
    assert both[0] == both[1]


def test_tau2_s_data_decides(tiny_project, tmp_path, monkeypatch) -> None:
    shutil.copytree(data_files.data_folder(), tmp_path / data_files.INSIDE)
    monkeypatch.setenv("TAU2_DATA_DIR", str(tmp_path))
    assert reruns(tiny_project)[0] == set()  # another place, the same data
    with open(tmp_path / data_files.INSIDE / "db.toml", "a", encoding="utf-8") as stream:
        stream.write("\n# edited\n")
    assert reruns(tiny_project)[0] == EVERYTHING | {"tasks"}


def test_a_model_s_folder_that_is_edited_in_place(tiny_copy) -> None:
    shutil.copytree(tiny_copy.folder / "models/demo", tiny_copy.folder / "mine")
    source = ("--config", "model={name: mine, source: mine}")
    target = ("models/mine",)
    first = tiny_copy.run("--cores", "1", "--configfile", "tiny.yaml", *source, "--", *target)
    assert first.status == 0, first.text
    words = ("--configfile", "tiny.yaml", *source, "--", *target)
    assert tiny_copy.dry_run(*words).jobs == {}
    path = tiny_copy.folder / "mine/generation_config.json"
    path.write_text(path.read_text().replace("{", '{"top_k": 7, ', 1))
    outcome = tiny_copy.dry_run(*words)
    assert outcome.jobs == {"base_model": 1}, outcome.text


def test_a_folder_of_traces_that_is_edited_in_place(tiny_copy) -> None:
    folder, target = tiny_copy.folder, "data/teacher_traces.jsonl"
    (folder / "mine").mkdir()
    lines = (folder / target).read_text(encoding="utf-8").splitlines(keepends=True)
    (folder / "mine/a.jsonl").write_text("".join(lines[:20]), encoding="utf-8")
    words = ("--configfile", "tiny.yaml", "--config", "traces={teacher: file, source: mine}")
    first = tiny_copy.run("--cores", "1", *words, "--", target)
    assert first.status == 0, first.text
    assert tiny_copy.dry_run(*words, "--", target).jobs == {}
    with open(folder / "mine/a.jsonl", "a", encoding="utf-8") as stream:
        stream.write(lines[20])
    outcome = tiny_copy.dry_run(*words, "--", target)
    assert outcome.jobs == {"teacher_traces": 1}, outcome.text


def test_traces_that_are_not_there_do_not_pass_for_older_ones(tiny_project) -> None:
    words = "traces={teacher: file, source: misspelt.jsonl, max_length: null}"
    outcome = tiny_project.dry_run("--configfile", "tiny.yaml", "--config", words)
    assert outcome.status != 0
    assert "traces.source misspelt.jsonl is not there" in outcome.text
