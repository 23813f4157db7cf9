"""Parts of an evaluation: tasks that are drawn, rates by facet, baselines, two models, counters."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from types import SimpleNamespace

import pytest
from made_results import lost, row, summary
from tau2.metrics.agent_metrics import is_successful

from tau2_agent.benchmark.facets import facets
from tau2_agent.benchmark.selection import draw, draw_evenly
from tau2_agent.benchmark.tasks import faults, split_ids
from tau2_agent.errors import InputError
from tau2_agent.evaluation import baselines as played
from tau2_agent.evaluation import summary_csv, table
from tau2_agent.evaluation.baselines import baselines
from tau2_agent.evaluation.comparison import compare
from tau2_agent.evaluation.model_evaluation import chosen_tasks, selection
from tau2_agent.evaluation.rates import rate
from tau2_agent.rollout.trajectory import EndReason

TEST = split_ids("test")


@pytest.mark.parametrize("reward", [0.0, 0.5, 1 - 2e-6, 1 - 9e-7, 1.0])
def test_solved_is_what_tau2_calls_successful(reward):
    assert row("t", reward).solved is is_successful(reward)


def test_a_rate_of_nothing_is_no_number():
    assert rate([]).model_dump() == {"value": None, "interval": None, "tasks": 0}


# Which tasks


def issues(task_ids) -> Counter:
    return Counter(faults(task_id)[0] for task_id in task_ids)


@pytest.mark.parametrize("split", ["test", "train", "full"])
def test_tasks_are_drawn_issue_by_issue_in_proportion(split):
    ids = split_ids(split)
    whole = issues(ids)
    for number in (1, 3, 9, 20, len(ids) // 2, len(ids)):
        drawn = draw(ids, number)
        assert len(drawn) == number and drawn == [i for i in ids if i in set(drawn)]
        for issue, count in whole.items():
            assert abs(issues(drawn)[issue] - number * count / len(ids)) <= 1
    assert issues(ids[:9]).most_common(1)[0][1] == 9  # what drawing is for


def test_a_draw_is_the_same_in_every_version():
    faults_of = [sorted(faults(task_id)[1]) for task_id in draw(TEST, 4)]
    assert faults_of[1:3] == [
        ["airplane_mode_on", "overdue_bill_suspension"],
        ["break_app_sms_permission", "data_mode_off"],
    ]
    assert [len(names) for names in faults_of] == [7, 2, 2, 7]


def test_a_draw_is_stable_and_grows():
    drawn = [set(draw(TEST, number)) for number in range(1, 41)]
    assert all(small < large for small, large in itertools.pairwise(drawn))
    assert draw(list(reversed(TEST)), 9) == list(reversed(draw(TEST, 9)))


@pytest.mark.parametrize("split", ["test", "train", "extra_train"])
def test_an_even_draw_has_as_many_of_each_issue_as_there_are(split):
    ids = split_ids(split)
    whole, before = issues(ids), set()
    for number in (1, 3, 10, 27, len(ids) - 1, len(ids), len(ids) + 1):
        drawn = draw_evenly(ids, number)
        assert drawn == [i for i in ids if i in set(drawn)] and before <= set(drawn)
        assert len(drawn) == min(number, len(ids))
        most = max(issues(drawn).values())
        for issue, count in whole.items():
            assert issues(drawn)[issue] == count or issues(drawn)[issue] >= most - 1
        before = set(drawn)
    for issue in whole:  # within an issue as `draw` draws
        of_it = [i for i in draw_evenly(ids, 9) if faults(i)[0] == issue]
        assert of_it == draw([i for i in ids if faults(i)[0] == issue], 3)


class Options:
    task_split, num_tasks, first = "test", -1, None

    def __init__(self, **values):
        vars(self).update(values)


def test_the_options_say_which_tasks_are_played():
    def ids(**values):
        return [task.id for task in chosen_tasks(Options(**values))]

    assert ids() == TEST and ids(num_tasks=5) == draw(TEST, 5) and ids(first=5) == TEST[:5]
    assert selection(Options(first=5)) == {"rule": "first", "num_tasks": 5}
    assert selection(Options(num_tasks=5))["rule"] == "stratified"
    assert selection(Options())["rule"] == "all"
    both = "both say which"
    for wrong, said in (
        ({"num_tasks": 0}, "stratified 0: no task is left"),
        ({"first": 0}, "first 0: no task is left"),
        ({"first": 1, "num_tasks": 1}, both),
        ({"first": 1, "num_tasks": 0}, both),
    ):
        with pytest.raises(InputError, match=said):
            ids(**wrong)


# Rates and groups


def test_fix_and_transfer_tasks_are_those_of_tau2s_reward_basis():
    kinds = Counter(facets(task_id).kind for task_id in TEST)
    assert kinds == {"fix": 28, "transfer": 12}
    for task_id in TEST:
        transfer = {"lock_sim_card_pin", "contract_end_suspension"} & set(facets(task_id).faults)
        assert (facets(task_id).kind == "transfer") == bool(transfer)


def test_a_summary_stands_apart_by_kind_issue_faults_and_persona():
    solved = {task_id: float(facets(task_id).kind == "transfer") for task_id in TEST}
    made = summary([row(task_id, reward) for task_id, reward in solved.items()], TEST)
    assert made.pass_at_1 == pytest.approx(0.3)
    assert [made.groups["kind"][kind].value for kind in ("fix", "transfer")] == [0.0, 1.0]
    assert made.groups["kind"]["fix"].interval.high > 0  # Wilson's, which has a width at 0
    for parts in made.groups.values():
        assert sum(part.tasks for part in parts.values()) == 40
        assert sum(part.tasks * part.value for part in parts.values()) == pytest.approx(12)
    assert set(made.groups["persona"]) == {"None", "Easy", "Hard"}
    assert made.groups_pass_hat_k == {}


def test_groups_have_pass_hat_k_where_there_are_trials():
    ids = TEST[:4]
    rows = [row(t, float(trial == 0), trial=trial) for t in ids for trial in range(2)]
    made = summary(rows, ids, trials=2)
    assert made.pass_hat_k_interval[2].high > made.pass_hat_k[2] == 0.0
    assert sum(p.tasks for p in made.groups_pass_hat_k["kind"].values()) == 4
    assert all(p.value == 1.0 for p in made.groups_pass_at_k["kind"].values())
    rows += [row(t, 0.0, trial=trial) for t in ids for trial in (2, 3)]
    rows += [row(t, 1.0, trial=1) for t in ids]  # two of four: never all, of three always one
    made = summary(rows, ids, trials=4)
    for groups, value in ((made.groups_pass_hat_k, 0.0), (made.groups_pass_at_k, 1.0)):
        assert [part.value for part in groups["kind"].values()] == [value] * len(groups["kind"])


def test_a_rate_on_which_all_tasks_agree_has_a_width():
    assert rate([0.0] * 10).interval.high > 0.2 and rate([1.0] * 10).interval.low < 0.8
    assert rate([0.5] * 10).interval.method == "bootstrap over tasks"
    assert rate([]).value is None


def test_excluded_episodes_are_failures_in_the_lower_bound():
    rows = [row("a", 1.0), row("b", 1.0), lost("c"), row("d", 1.0), lost("d", trial=1)]
    rows += [row(task_id, 1.0, trial=1) for task_id in "abc"]
    rows[2] = lost("c")
    made = summary(rows, list("abcd"), trials=2)
    assert made.pass_at_1 == 1.0
    assert made.lower_bound.value == pytest.approx((1 + 1 + 0.5 + 0.5) / 4)
    assert made.lower_bound.interval.low < made.lower_bound.value


def test_counters_and_the_users_words_are_summed():
    counters = {"transfers": 1, "repeated_calls": 3, "longest_loop": 4}
    rows = [
        row("a", counters=counters, user_end="transfer"),
        row("b", counters={"repeated_calls": 1, "longest_loop": 2}, user_end="out_of_scope"),
        row("c", end=EndReason.MAX_STEPS),
        lost("d").model_copy(update={"counters": {"transfers": 5}}),
    ]
    made = summary(rows, list("abcd"))
    assert made.counters == {
        "transfers": {"total": 1, "episodes": 1},
        "repeated_calls": {"total": 4, "episodes": 2},
        "longest_loop": {"total": 4, "episodes": 2},  # the longest, not the sum
    }
    assert made.user_ends == {"transfer": 1, "out_of_scope": 1}


# Baselines


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("baselines")
    return folder, baselines(TEST, folder)


def test_baselines_are_what_was_measured(made):
    """On test: tau2's facts, and the scripted teacher solves all."""
    _, found = made
    values = {one.agent: (one.all.value, one.fix.value, one.transfer.value) for one in found}
    assert values["do_nothing"] == (0.0, 0.0, 0.0)
    assert values["transfer_at_once"] == (pytest.approx(0.3), 0.0, 1.0)
    assert values["scripted"] == (1.0, 1.0, 1.0)
    assert 0.9 < values["blind_script"][0] < 1.0


def test_baselines_are_rows_of_the_csv(made):
    _, found = made
    one = next(one for one in found if one.agent == "transfer_at_once")
    about = SimpleNamespace(run="x", summary=SimpleNamespace(split="test", baselines=found))
    row = summary_csv._baseline(about, one)
    low, high = (getattr(one.all.interval, end) for end in ("low", "high"))
    assert (row["run"], row["split"], row["stage"]) == ("x", "test", "transfer_at_once")
    assert (row["n"], row["total_tasks"], row["trials"]) == (40, 40, 1)
    assert (row["pass_at_1"], row["pass_at_1_low"], row["pass_at_1_high"]) == (0.3, low, high)
    assert (row["kind_fix"], row["kind_transfer"]) == (0.0, 1.0)
    assert row["user_simulator"] == "scripted"


def test_baselines_are_played_once_for_the_same_tasks(made, monkeypatch):
    folder, found = made
    monkeypatch.setattr(played, "_play", lambda *_: pytest.fail("played again"))
    assert baselines(list(reversed(TEST)), folder) == found
    with pytest.raises(pytest.fail.Exception):
        baselines(TEST[:3], folder)  # other tasks
    monkeypatch.setattr(played, "code_digest", lambda *_: "edited")
    with pytest.raises(pytest.fail.Exception):
        baselines(TEST, folder)  # other code


def test_baselines_that_cannot_be_read_or_kept_are_played_again(tmp_path, monkeypatch):
    value = rate([1.0])

    def play(agent, _):
        return played.Baseline(
            **{"agent": agent, "label": agent, "user": "u"},
            **{"all": value, "fix": value, "transfer": value},
        )

    monkeypatch.setattr(played, "_play", play)
    found = baselines(TEST, tmp_path)
    (path,) = tmp_path.iterdir()
    kept = path.read_text()
    path.write_text(kept[:-20])
    assert baselines(TEST, tmp_path) == found and path.read_text() == kept
    assert baselines(TEST, path) == found and path.read_text() == kept  # no folder: not kept


# Two models, and the tables


def evaluation(solved, stage, **more):
    return summary(
        [row(t, float(i in solved)) for i, t in enumerate(TEST)], TEST, stage=stage, **more
    )


def test_won_lost_and_same_between_two_models():
    before, after = evaluation({0, 1, 2}, "sft"), evaluation({2, 3}, "rl")
    found = compare(before, after)
    assert found.won == [TEST[3]] and found.lost == TEST[:2] and found.same == 37
    assert found.difference.mean == pytest.approx(-1 / 40)
    assert found.difference.interval.low < -1 / 40 < found.difference.interval.high
    nothing = compare(before, summary([row("a")], ["a"]))
    assert (nothing.won, nothing.same, nothing.difference) == ([], 0, None)


@pytest.mark.parametrize("limit", [EndReason.MAX_STEPS, EndReason.CONTEXT_LENGTH])
@pytest.mark.parametrize(("ended", "noted"), [(20, True), (40, True), (19, False), (0, False)])
def test_the_table_says_where_a_limit_ended_most_episodes(limit, ended, noted, capsys) -> None:
    rows = [row(i, end=limit if n < ended else EndReason.USER_STOP) for n, i in enumerate(TEST)]
    made = summary(rows, TEST)
    limits = {"max_steps": 200, "context_length": 4096}
    manifest = made.manifest.model_copy(update={"limits": limits})
    made = made.model_copy(update={"manifest": manifest})
    table.show_rows([table.Row("plain", made, None)])
    shown = " ".join(capsys.readouterr().out.split())
    by = f"evaluation.{limit.value} {limits[limit.value]}"
    said = f"test, sft: {ended} of 40 episodes were ended by {by}"
    assert (said in shown) == noted and shown.count("were ended by") == noted


def test_the_table_has_baselines_kinds_won_and_lost_and_the_notes(made, capsys):
    _, found = made
    after = evaluation({2, 3, 20}, "rl", baselines=found, copies=True, trials=1)
    after = after.model_copy(
        update={
            "excluded": 2,
            "user_ends": {"out_of_scope": 3},
            "counters": {"foreign_tool_calls": {"total": 7, "episodes": 2}},
        }
    )
    gains = table.stage_gains([evaluation({0, 1, 2}, "sft"), after])
    rows = [table.Row("plain", after, gains["test", "rl"])]
    table.show_rows(rows, parts=True)
    shown = " ".join(capsys.readouterr().out.split())
    assert "transfers at once 40 0.300 [0.18, 0.45] 0.000 1.000" in shown
    assert " 2/2 " in shown
    for words in (
        "with every excluded episode as a failure",
        "gave up as out of scope 3 times",
        "are copies of one episode",
        "calls to tools that the agent does not own 7",
        "mobile_data_issue",
        "first rows: no model",
    ):
        assert words in shown
    lines = summary_csv.csv_rows(rows)
    assert [line["stage"] for line in lines][:2] == ["do_nothing", "transfer_at_once"]
    twice = [line["stage"] for line in summary_csv.csv_rows([*rows, *rows])]
    assert twice == [*(one.agent for one in found), "rl", "rl"]  # once a split
    last = lines[-1]
    assert (last["won"], last["lost"], last["foreign_tool_calls"]) == (2, 2, 7)
    assert last["kind_fix_low"] < last["kind_fix"] < last["kind_fix_high"]
    assert json.dumps(last)


def test_a_line_of_the_csv_has_every_number():
    rows = [row("a", 1.0), row("b", 0.0, partial=0.5), lost("c")]
    made = summary(rows, ["a", "b", "c"], seed=7).model_copy(
        update={
            "user_ends": {"stop": 2},
            "counters": {"transfers": {"total": 3, "episodes": 1}},
            "user_errors": {"timed_out": 1},
            "user_usage": {"prompt_tokens": 5, "completion_tokens": 6, "dollars": 0.25},
        }
    )
    line = summary_csv.csv_rows([table.Row("other", made, None)])[-1]
    figures = ("pass_at_1", "avg_reward", "avg_partial_score", "avg_steps", "lower_bound", "gain")
    columns = {f"{name}{end}" for name in figures for end in ("", "_low", "_high")}
    for name in ("pass_at_1", "avg_reward", "avg_partial_score", "avg_steps"):
        interval = getattr(made, f"{name}_interval")
        found = tuple(line[f"{name}{end}"] for end in ("", "_low", "_high"))
        assert found == (getattr(made, name), interval.low, interval.high), name
    bound = made.lower_bound
    assert line["lower_bound"] == bound.value == 1 / 3
    assert line["lower_bound_low"] == bound.interval.low < line["lower_bound_high"]
    rest = {name: value for name, value in line.items() if name not in columns}
    assert rest == {
        "run": "other",
        "split": "test",
        "stage": "sft",
        "checkpoint": "checkpoints/m",
        "seed": 7,
        "n": 2,
        "total_tasks": 3,
        "trials": 1,
        "successes": 1,
        "excluded": 1,
        "won": None,
        "lost": None,
        "transfers": 3,
        "user_said_stop": 2,
        "copies": False,
        "selection": "all",
        "backend": "cpu",
        "prompt": "short",
        "user_simulator": "scripted",
        "user_errors": table.counted({"timed_out": 1}),
        "user_prompt_tokens": 5,
        "user_completion_tokens": 6,
        "user_dollars": 0.25,
    }


def test_several_trials_have_a_table_of_their_own(capsys):
    rows = [row(t, float(trial == 0), trial=trial) for t in TEST[:4] for trial in range(2)]
    made = summary(rows, TEST[:4], trials=2)
    table.show([made])
    shown = " ".join(capsys.readouterr().out.split())
    assert "pass^k pass@k" in shown and "sft 2 0.000 [0.00, 0.49] 1.000 [0.51, 1.00]" in shown
    line = summary_csv.csv_rows([table.Row("plain", made, None)])[0]
    assert (line["pass_hat_2"], line["pass_at_2"], line["pass_at_2_low"] > 0.5) == (0.0, 1.0, True)
    assert "pass_hat_1" not in line  # it is pass_at_1
