"""What the page is made of: packed episodes, figures, curves of both backends, costs."""

from __future__ import annotations

import base64
import gzip
import html
import json
import os
import re
import shutil
from itertools import pairwise

import pytest
from made_evaluations import play, write_evaluation
from program_runs import run_here

import make_report
from tau2_agent.benchmark.tasks import load_tasks
from tau2_agent.errors import InputError
from tau2_agent.evaluation.results import read_summary
from tau2_agent.files import DONE_FILE, write_json
from tau2_agent.records.transcripts import read_transcripts, transcripts_path
from tau2_agent.records.validation import Validation, append_validation, choice
from tau2_agent.report import episodes, figures, provenance
from tau2_agent.report.charts import _spread
from tau2_agent.report.costs import jobs, usages
from tau2_agent.report.figures import Evaluated
from tau2_agent.report.page import Sources, _json, make_page
from tau2_agent.report.trainings import VALIDATION, Training, ends, panels
from tau2_agent.training.resumable import Stage


def unpacked(chunk):
    return json.loads(gzip.decompress(base64.b64decode(chunk)))


def tasks_of(split):
    """The tasks of the evaluations."""
    return load_tasks(split)[::5]


def drawn(training):
    """Title -> {line: values} of a training's panels."""
    found = {}
    for panel, _, rows in panels([training]):
        lines = found.setdefault(panel.title, {})
        for row in rows:
            lines.setdefault(row["line"], []).append(row["value"])
    return found


# --- one file ------------------------------------------------------------------------------------


def test_the_page_is_one_file_that_names_no_other(page_file):
    page = page_file.read_text("utf-8")
    policy = html.unescape(re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1])
    assert policy.startswith("default-src 'none'") and "unsafe-eval" not in policy
    assert "script-src 'sha256-" in policy and "http" not in policy
    written = re.sub(r"<script.*?</script>", "", page, flags=re.S)
    assert not re.search(r"""\bsrc=|@import|url\(|href=["'](?!#|data:,")""", written)


def test_no_script_of_ours_makes_markup_of_text():
    for file in (make_report.Path(episodes.__file__).parent / "assets").glob("*.js"):
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b\(",
            file.read_text("utf-8"),
        ), file


def test_no_text_ends_a_script_or_a_block_of_data():
    value = {"</script>": ["<!--", "]]>", "\u2028", "</ScRipt"]}
    assert "<" not in _json(value) and json.loads(_json(value)) == value
    config = {"model": {"name": "</script><script>window.hacked = 1</script>"}}
    page = make_page(Sources([], [], [], [], config=config))
    assert "<script>window.hacked" not in page and "&lt;/script&gt;" in page


def test_the_same_records_make_the_same_page(evaluations, tmp_path):
    pages = []
    for name in ("a", "b"):
        words = ["--results", str(evaluations["rl"]), "--output", str(tmp_path / name)]
        make_report.main(words)
        pages.append((tmp_path / name).read_bytes())
    assert pages[0] == pages[1]


def test_a_result_that_is_not_there_is_an_error_in_one_line(monkeypatch, capfd, tmp_path):
    words = ["--results", tmp_path / "eval_test.json", "--output", tmp_path / "report.html"]
    status, text = run_here(monkeypatch, capfd, "make_report.py", *words)
    assert status == 2 and "eval_test.json" in text and len(text.splitlines()) == 1


def test_an_evaluation_without_conversations_has_its_numbers(evaluations, tmp_path):
    alone = tmp_path / "eval_test.json"
    alone.write_bytes(evaluations["rl"].read_bytes())
    make_report.main(["--results", str(alone), "--output", str(tmp_path / "report.html")])
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "GRPO solves 8 of 8 test tasks." in page and 'href="#episodes"' not in page


# --- episodes ------------------------------------------------------------------------------------


def test_a_conversation_keeps_every_message_call_result_and_change(evaluations):
    for told in read_transcripts(transcripts_path(evaluations["rl"])):
        packed = episodes.conversation(told)
        calls = [call for message in packed["messages"] for call in message.get("calls", [])]
        results = [said for said in told.messages if said.role == "tool"]
        assert [call["result"] for call in calls] == [said.content or "" for said in results]
        assert [call["i"] for call in calls] == [
            place for place, said in enumerate(told.messages) if said.role == "tool"
        ]
        assert len(packed["messages"]) + len(calls) == len(told.messages)
        shown = [*packed["messages"], *calls]
        assert sum(len(one.get("changes", [])) for one in shown) == len(told.changes)


def test_a_call_that_the_end_left_without_result_is_kept(evaluations):
    told = read_transcripts(transcripts_path(evaluations["rl"]))[0]
    last = max(place for place, said in enumerate(told.messages) if said.tool_calls)
    told.messages = told.messages[: last + 1]
    call = episodes.conversation(told)["messages"][-1]["calls"][0]
    assert call["name"] and "result" not in call


def test_tokens_are_packed_so_that_log_probs_come_back(evaluations):
    told = read_transcripts(transcripts_path(evaluations["rl"]))[0]
    packed = episodes.token_stream(told)
    wanted = [log for log, on in zip(told.tokens.log_probs, told.tokens.mask, strict=True) if on]
    assert [-log / 1000 for log in packed["logs"]] == pytest.approx(wanted, abs=5e-4)
    for message, start, end in packed["turns"]:
        assert told.messages[message].role == "assistant"
        assert all(told.tokens.mask[start:end])


def test_chunks_hold_each_episode_once_under_its_place_in_the_index(evaluations):
    columns = [
        episodes.Column(
            "test", stage, stage, read_transcripts(transcripts_path(evaluations[stage]))
        )
        for stage in ("base", "rl")
    ]
    index, chunks = episodes.viewer(columns)
    keys = [
        int(key)
        for name, chunk in chunks.items()
        if name.startswith("c")
        for key in unpacked(chunk)["episodes"]
    ]
    assert sorted(keys) == list(range(len(index["episodes"]["task"])))
    task = index["episodes"]["task"][-1]
    assert str(keys[-1]) in unpacked(chunks[f"c{task}"])["episodes"]


def test_a_page_that_would_be_too_heavy_keeps_whole_tasks_and_says_so(evaluations, monkeypatch):
    columns = [
        episodes.Column(
            "test", stage, stage, read_transcripts(transcripts_path(evaluations[stage]))
        )
        for stage in ("base", "rl")
    ]
    monkeypatch.setattr(episodes, "MAX_EPISODES", 7)
    index, _ = episodes.viewer(columns)
    assert index["left_out"] == 16 - 6
    assert index["episodes"]["task"] == [0, 1, 2, 0, 1, 2]


# --- figures -------------------------------------------------------------------------------------


def test_models_stand_in_the_order_of_stages_and_gain_over_the_one_before(evaluations):
    files = [evaluations[stage] for stage in ("rl", "base", "sft")]
    found = figures.ordered(list(figures.read_evaluations({"plain": files}).values()))
    table = figures.main_table(found)
    assert [row["label"] for row in table] == ["base", "SFT", "GRPO"]
    assert table[0]["gain"] is None
    rates = [row["rates"]["all"].value for row in table]
    assert table[2]["gain"].value == pytest.approx(rates[2] - rates[1])
    fix, transfer = (table[1]["rates"][kind] for kind in ("fix", "transfer"))
    assert (fix.value, transfer.value) == (0.0, 1.0)  # it only transfers
    solved = f"GRPO solves 8 of 8 test tasks; SFT {transfer.tasks}, base 0."
    assert figures.headline(found) == solved


def test_runs_of_a_sweep_are_told_apart_and_share_what_they_share(evaluations, tmp_path):
    other = write_evaluation(tmp_path / "eval_test.json", "rl", play("scripted", tasks_of("test")))
    base, own = evaluations["base"], evaluations["rl"]
    runs = {"plain": [base, own], "seed1": [base, other]}
    found = figures.ordered(list(figures.read_evaluations(runs).values()))
    assert [one.id for one in found] == ["plain:base", "plain:rl", "seed1:rl"]
    assert [row["label"] for row in figures.comparisons(found)] == [
        "base plain → GRPO plain",
        "base plain → GRPO seed1",
    ]
    page = tmp_path / "report.html"
    words = ["--results", base, own, "--run", "seed1", base, other, "--output", page]
    make_report.main(list(map(str, words)))
    index = json.loads(re.search(r'id="index">(.*?)</script>', page.read_text("utf-8"))[1])
    assert [column["before"] for column in index["columns"]] == [None, 0, 0]


def test_several_trials_have_pass_hat_k_and_their_own_links(tmp_path):
    tasks = tasks_of("test")[:3]
    played = []
    for trial, agent in enumerate(("scripted", "do_nothing")):
        for row, told in play(agent, tasks):
            more = {"trial": trial}
            played.append((row.model_copy(update=more), told.model_copy(update=more)))
    file = write_evaluation(tmp_path / "eval_test.json", "rl", played)
    told = figures.ks([Evaluated("plain", read_summary(file))])
    assert [one.value for one in told["rows"][0]["hat"]] == [0.5, 0.0]
    assert [one.value for one in told["rows"][0]["at"]] == [0.5, 1.0]


def test_labels_of_baselines_never_lie_on_each_other():
    for values in ([0, 0, 0.01], [1, 0.99, 0.98, 0.3], [0.5] * 6, [0, 1]):
        placed = _spread([{"label": str(v), "value": v} for v in values])
        places = sorted(line["place"] for line in placed)
        assert all(b - a > 0.069 for a, b in pairwise(places))
        assert places[0] >= 0 and places[-1] <= 1


# --- curves, costs -------------------------------------------------------------------------------


def test_curves_of_the_cpu_backend(trained):
    rl = drawn(Training.read("plain", "rl", trained["rl"]))
    assert rl["Reward"]["tau2's reward"] == [0, 0.25, 0.5, 0.75]
    assert rl["Reward"]["partial"] == [0.5] * 4
    assert rl["Groups without a spread"]["share"] == [1, 0, 0, 0]
    assert rl["Length"]["trained"] == [700] * 4 and len(rl["Loss"]["loss"]) == 5
    assert rl["Repeated and cut turns"] == {"repeated": [3] * 4, "cut": [0] * 4}
    assert not {"KL", "Validation", "Dropped groups"} & rl.keys()
    assert drawn(Training.read("plain", "sft", trained["sft"])).keys() == {
        *("Loss", "Gradient norm", "Learning rate")
    }


def test_curves_of_the_slime_backend(tmp_path):
    rows = [
        {"kind": "rollout", "rollout": 0, "time": 1.0, "rollout/response_len": 10.0},
        {
            "kind": "tau2",
            "rollout": 0,
            "time": 2.0,
            "reward": 0.5,
            "seconds": 9.0,
        },
        {"kind": "step", "rollout": 0, "time": 3.0, "loss": 0.5, "grad_norm": 2.0, "kl_loss": 0.1},
    ]
    (tmp_path / "metrics.jsonl").write_text("".join(f"{json.dumps(r)}\n" for r in rows), "utf-8")
    found = drawn(Training.read("plain", "rl", tmp_path))
    assert found["Sampling"]["seconds"] == [9.0]
    assert found["KL"]["KL"] == [0.1] and found["Loss"]["loss"] == [0.5]


def test_dropped_groups_are_counted_and_no_part_of_the_means(tmp_path):
    groups = [
        ("all_solved", 1.0, 100),
        ("all_failed", 0.0, 100),
        ("surplus", 1.0, 500),
        ("not_finished", 0.0, 2),
        (None, 0.5, 300),
    ]
    rows = [
        {
            **{"rollout": 0, "group": number, "dropped": why, "task_id": "t", "end": "user_stop"},
            **{"reward": reward, "partial": 0.0, "shaped": reward, "tokens": tokens},
            "status": "aborted" if why == "not_finished" else "completed",
        }
        for number, (why, reward, tokens) in enumerate(groups)
        for _ in range(2)
    ]
    rows.append(rows[-1] | {"status": "aborted", "shaped": 0.0, "tokens": 2})  # one that was lost
    (tmp_path / "rollouts.jsonl").write_text("".join(f"{json.dumps(r)}\n" for r in rows), "utf-8")
    training = Training.read("plain", "rl", tmp_path)
    found = drawn(training)
    counts = {"all solved": [1], "all failed": [1], "other": [2]}
    assert found["Dropped groups"] == counts
    assert found["Shaped reward"]["shaped"] == [0.5]
    assert found["Length"] == {"trained": [300], "played": [250]}
    assert [row["count"] for row in ends(training)] == [3]


def test_the_validation_curve_and_what_was_taken(trained, tmp_path):
    folder = tmp_path / "rl"
    shutil.copytree(trained["rl"], folder)
    for rollout, solved in ((0, 0.2), (2, 0.6), (4, 0.5)):
        row = Validation(
            rollout=rollout,
            tasks=10,
            pass_at_1=solved,
            avg_reward=solved,
            avg_partial_score=0.7,
            by_issue={"mms_issue": (rollout, 4), "mobile_data_issue": (4 - rollout, 5)},
            seconds=1.0,
        )
        append_validation(folder, row)
    assert VALIDATION not in drawn(Training.read("plain", "rl", trained["rl"]))
    found = drawn(Training.read("plain", "rl", folder))
    assert found[VALIDATION] == {"pass@1": [0.2, 0.6, 0.5], "partial": [0.7] * 3}
    of_issues = {"MMS": [0.0, 0.5, 1.0], "mobile data": [0.8, 0.4, 0.0]}
    assert found["Validation by issue"] == of_issues
    summary = {"taken": choice(folder, "best", 2, 4)}
    write_json(folder / "done.json", {"summary": summary})
    one = Training.read("plain", "rl", folder)
    (note,) = [panel.note for panel, _, _ in panels([one]) if panel.title == VALIDATION]
    assert note == "greedy, tasks of extra_dev; the model is that of rollout 2, the best"


def test_ends_of_rollouts_count_every_episode(trained):
    rows = ends(Training.read("plain", "rl", trained["rl"]))
    assert [row["count"] for row in rows] == [4] * 4 and rows[0]["kind"] == "user stop"


def test_a_job_has_its_times_memory_and_gpu_hours(tmp_path):
    head = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"
    (tmp_path / "seed1").mkdir()
    for time, (name, row) in enumerate(
        {
            "sft": "3600\t-\t2000\t0\t0\t0\t0\t0\t0\t7000",
            "seed1/evaluate_test": "-\t-\tNA\t0\t0\t0\t0\t0\t0\t-",
        }.items()
    ):
        (tmp_path / f"{name}.tsv").write_text(f"{head}{row}\n", "utf-8")
        os.utime(tmp_path / f"{name}.tsv", (time, time))
    sft, evaluation = jobs(tmp_path, gpus=4)
    assert sft == ("sft", 3600, 7000, 2.0, 4.0)
    assert evaluation == ("seed1/evaluate_test", None, None, None, None)


def test_the_page_says_what_rejection_sampling_kept_and_dropped(page_file):
    page = page_file.read_text("utf-8")
    said = "3 of 12 episodes kept, on 3 of 4 tasks (3 were solved); dropped: 7 unsolved, 2 surplus."
    assert page.count(said) == 1
    training = page[page.index('<section id="training">') :]
    assert training.index("<h3>SFT</h3>") < training.index("<h3>rejection sampling</h3>")
    assert training.index("<h3>rejection sampling</h3>") < training.index(said)
    assert training.index(said) < training.index("<h3>GRPO</h3>")
    assert "user simulator, rejection sampling" in page and "sampled_traces.jsonl" in page


def test_what_language_models_cost_is_gathered_from_every_record(evaluations, trained, tmp_path):
    usage = {"calls": 3, "prompt_tokens": 100, "completion_tokens": 10, "dollars": 0.5}
    (tmp_path / "traces.usage.json").write_text(
        json.dumps({"teacher": usage, "user": usage}), "utf-8"
    )
    summary = read_summary(evaluations["rl"]).model_copy(update={"user_usage": usage})
    found = usages(
        [Evaluated("plain", summary)],
        [Training.read("plain", "rl", trained["rl"])],
        tmp_path / "traces.jsonl",
    )
    assert [one.dollars for one in found] == [0.5] * 3
    assert found[0].what == "teacher traces: teacher"


@pytest.mark.parametrize(
    ("config", "says"),
    [("{cut", "--config is not valid JSON"), ("5", "no mapping"), ("[1]", "no mapping")],
)
def test_a_configuration_that_is_none_is_one_line(tmp_path, config, says) -> None:
    words = ["--results", "absent.json", "--config", config, "--output", str(tmp_path / "r.html")]
    with pytest.raises(InputError, match=says):
        make_report.main(words)


def test_a_training_is_named_by_the_id_that_its_stage_gave_it(tmp_path) -> None:
    with Stage(tmp_path / "x_sft", {"lr": 1}) as stage:
        stage.finish({"steps": 2})
    done = json.loads((stage.folder / DONE_FILE).read_text())
    facts = provenance._stage(Training.read("plain", "sft", tmp_path / "x_sft"))["facts"]
    assert facts["id"] == done["id"] and facts["steps"] == "2"
