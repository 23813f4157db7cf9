"""The report in a real browser: it opens without an error, filters, compares, follows links."""

from __future__ import annotations

import copy
import random

import pytest
from made_evaluations import play, write_evaluation

import make_report
from tau2_agent.benchmark.facets import facets
from tau2_agent.benchmark.tasks import load_tasks
from tau2_agent.records.transcripts import read_transcripts, transcripts_path

SOLVED, FAILED = ".square.solved", ".square.failed"
MESSAGES = "#conversation .message"


def transcripts_of(evaluations, stage):
    return read_transcripts(transcripts_path(evaluations[stage]))


def made(folder, *results):
    """The page on some evaluations."""
    page = folder / "report.html"
    make_report.main(["--results", *map(str, results), "--output", str(page)])
    return page


def test_it_opens_without_an_error_draws_every_chart_and_asks_for_nothing(browser, page_file):
    browser.open(page_file)
    charts = browser.count("[data-chart]")
    assert charts >= 10
    for number in range(charts):
        chart = f"document.querySelectorAll('[data-chart]')[{number}]"
        browser.run(f"{chart}.scrollIntoView()")
        browser.wait(f"{chart}.matches('.drawn:has(svg path)')")
    assert (
        browser.run("return performance.getEntriesByType('resource').map((one) => one.name)") == []
    )
    assert browser.errors() == []


def test_the_first_screen_has_every_model_with_its_interval_and_the_baselines(browser, page_file):
    browser.open(page_file)
    assert "GRPO solves 8 of 8 test tasks" in browser.text("h1")
    labels = browser.run(
        "return [...document.querySelectorAll('#results table tbody th')]"
        ".map((one) => one.textContent)"
    )
    assert labels[:4] == ["base", "SFT", "GRPO", "does nothing"]
    browser.wait("document.querySelectorAll('#results .drawn').length >= 3")
    assert "transfers at once" in browser.text("#results .chart")


def test_filters_keep_what_they_name_and_stand_in_the_link(browser, page_file, evaluations):
    browser.open(page_file, "#episodes")
    tasks = [transcript.task_id for transcript in transcripts_of(evaluations, "rl")]
    assert browser.count("#matrix tbody tr") == len(tasks)
    issue = facets(tasks[0]).issue
    browser.click(f"select[data-filter=issue] option[value={issue}]")
    wanted = sum(facets(task).issue == issue for task in tasks)
    browser.wait(f"document.querySelectorAll('#matrix tbody tr').length === {wanted}")
    assert f"issue={issue}" in browser.run("return location.hash")
    browser.click("select[data-filter=kind] option[value=fix]")
    wanted = sum(facets(task).issue == issue and facets(task).kind == "fix" for task in tasks)
    browser.wait(f"document.querySelectorAll('#matrix tbody tr').length === {wanted}")
    browser.click("#clear")
    browser.wait(f"document.querySelectorAll('#matrix tbody tr').length === {len(tasks)}")


@pytest.mark.parametrize("text", ["I am CURRENTLY", "Toggle_Airplane_Mode", "account_status"])
def test_text_is_found_in_what_was_said_called_and_answered(browser, page_file, evaluations, text):
    browser.open(page_file, "#episodes")
    browser.click("#search")
    browser.press(text)
    wanted = sum(
        any(text.lower() in str(said).lower() for said in transcript.messages)
        for stage in evaluations
        for transcript in transcripts_of(evaluations, stage)
    )
    assert 0 < wanted < browser.count("#matrix .square")
    browser.wait(f"document.querySelectorAll('#matrix .square:not(.faint)').length === {wanted}")
    # Such a link finds the same when it is opened.
    fragment = browser.run("return location.hash")
    browser.open(page_file, fragment)
    assert browser.count("#matrix .square:not(.faint)") == wanted


def test_an_episode_shows_all_that_was_said_done_and_changed(browser, page_file, evaluations):
    browser.open(page_file, "#episodes")
    browser.click(SOLVED)
    browser.wait("document.querySelector('#conversation .talk')")
    key = browser.run("return document.querySelector('#matrix [aria-current]').dataset.key")
    told = [t for stage in evaluations for t in transcripts_of(evaluations, stage)][int(key)]
    assert browser.count(MESSAGES) == sum(said.role != "tool" for said in told.messages)
    assert browser.count(".call") == sum(len(said.tool_calls) for said in told.messages)
    for said in told.messages:
        if said.role != "tool" and said.content:
            assert said.content in browser.text(
                f'{MESSAGES}[data-message="{told.messages.index(said)}"]'
            )
    assert browser.count(".check") == len(told.checks)
    assert browser.count(".check.met") == sum(
        check.met if check.verified is None else check.verified for check in told.checks
    )
    assert browser.run("return document.querySelectorAll('.change').length") == len(told.changes)
    met = [check.message for check in told.checks if check.message is not None]
    for place in met:
        assert "✓" in browser.text(f'{MESSAGES}[data-message="{place}"]')
    assert browser.errors() == []


def test_a_failure_shows_what_was_missed(browser, page_file, evaluations):
    task = next(t.task_id for t in transcripts_of(evaluations, "base"))
    browser.open(page_file, f"#{task}/base/0")
    assert browser.count(".check.missed") > 0
    assert browser.text("#conversation .badge") == "failed"


def test_the_token_layer_tells_sampled_from_context(browser, page_file, evaluations):
    told = transcripts_of(evaluations, "rl")[0]
    browser.open(page_file, f"#{told.task_id}/rl/0")
    browser.press("t")
    browser.wait("document.querySelector('.tokens.sampled')")
    sampled = sum(told.tokens.mask)
    assert browser.run("return document.querySelectorAll('.token').length") == sampled
    context = browser.run(
        "return [...document.querySelectorAll('.tokens.context .stream')]"
        ".map((one) => one.textContent).join('')"
    )
    pieces = zip(told.tokens.pieces, told.tokens.mask, strict=True)
    assert context == "".join(piece for piece, on in pieces if not on)
    # Of a turn that grows less sure with each token, each has more colour than the one before.
    hottest = browser.run(
        "return [...document.querySelectorAll('.tokens.sampled')]"
        ".map((turn) => [...turn.querySelectorAll('.token')]"
        ".map((one) => parseInt(one.style.getPropertyValue('--heat'))))"
        ".sort((a, b) => b.length - a.length)[0]"
    )
    assert len(hottest) > 4 and hottest == sorted(set(hottest))


def test_two_models_stand_side_by_side_from_their_first_difference(browser, page_file, evaluations):
    before, after = (transcripts_of(evaluations, stage)[0] for stage in ("base", "rl"))
    browser.open(page_file, f"#{before.task_id}/base/0/vs/rl/0")
    assert browser.count("#sides .talk") == 2
    common = 0
    while before.messages[common].content == after.messages[common].content:
        common += 1
    assert browser.text("#difference") == f"First difference: message {common}"
    first = browser.run(
        "return [...document.querySelectorAll('#sides .talk')]"
        ".map((one) => one.querySelector('.message').dataset.message)"
    )
    assert first == [str(common)] * 2
    assert f"first {common} messages are the same" in browser.text(".alike")
    browser.press("c")
    browser.wait("!document.querySelector('#sides')")
    assert browser.errors() == []


def test_links_lead_to_an_episode_and_a_message_and_say_what_is_not_there(
    browser, page_file, evaluations
):
    told = transcripts_of(evaluations, "rl")[2]
    browser.open(page_file, f"#{told.task_id}/rl/0@4")
    assert browser.text(".models [aria-current]").strip() == "GRPO"
    browser.wait("document.querySelector('.flash')?.dataset.message === '4'")
    browser.open(page_file, f"#{told.task_id}/sft")
    assert browser.text(".models [aria-current]").strip() == "SFT"
    browser.open(page_file, "#[mms_issue]no_such_fault[PERSONA:None]/rl/0")
    assert "There is no episode" in browser.text("#conversation")
    browser.open(page_file, "#provenance")
    assert browser.count("#provenance") == 1 and browser.count(".viewer") == 0


def test_keys_lead_through_the_episodes(browser, page_file, evaluations):
    tasks = [told.task_id for told in transcripts_of(evaluations, "sft")]
    failed = [told.task_id for told in transcripts_of(evaluations, "sft") if not told.solved]
    browser.open(page_file, f"#{tasks[0]}/sft/0")

    def opened(task):
        browser.wait(f"decodeURIComponent(location.hash).startsWith({f'#{task}/sft/'!r})")

    browser.press("j")
    opened(tasks[1])
    browser.press("k")
    opened(tasks[0])
    last_solved = max(tasks.index(task) for task in tasks if task not in failed)
    assert last_solved > 0
    browser.open(page_file, f"#{tasks[last_solved - 1]}/sft/0")
    browser.press("n")
    opened([*tasks[last_solved + 1 :], *failed][0])
    browser.press("m")
    browser.wait("location.hash.includes('/rl/')")
    # Keys that follow each other quickly each count; the browser's way back leads back.
    browser.open(page_file, f"#{tasks[0]}/sft/0")
    browser.press("jj")
    opened(tasks[2])
    browser.run("history.back()")
    opened(tasks[1])
    name = "document.querySelector('#matrix [aria-current]').closest('tr').dataset.task"
    browser.wait(f"{name} === '1'")


@pytest.mark.parametrize("dark", [False, True])
def test_on_a_phone_nothing_is_wider_than_the_screen(browser, page_file, evaluations, dark):
    task = transcripts_of(evaluations, "rl")[0].task_id
    browser.resize(390, 844, dark=dark)
    try:
        for fragment in ("", "#episodes", f"#{task}/rl/0", f"#{task}/base/0/vs/rl/0"):
            browser.open(page_file, fragment)
            wide = browser.run("return document.documentElement.scrollWidth")
            assert wide <= 390, fragment
        ground = browser.run("return getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, ground[4:-1].split(","))) < 200) == dark
    finally:
        browser.resize(1400, 900)


HOSTILE = [
    "</script><script>window.hacked = 1</script>",
    "<img src=x onerror='window.hacked = 1'>",
    "<!--<script>",
    "javascript:window.hacked=1",
    "{{ 7 * 7 }} {% raw %} ${window.hacked = 1}",
    "w" * 5000,
    "\u202eright to left\u202c שלום مرحبا",
    "👩‍👩‍👧‍👦 🇺🇦 zalgo: z̸̢͎̈a̷",
    "\u2028\u2029\x07",
    '" onmouseover="window.hacked=1',
]


def test_what_a_model_wrote_is_text_and_nothing_else(browser, evaluations, tmp_path):
    tasks = load_tasks("test")[:2]
    episodes = play("scripted", tasks)
    for row, told in episodes:
        said = [one for one in told.messages if one.role != "tool"]
        for number, text in enumerate(HOSTILE):
            said[number + 1].content = text
            call = {"id": text, "name": text, "arguments": {text: [text, {text: text}]}}
            said[number + 1].tool_calls = [copy.deepcopy(call)]
            told.tokens.pieces[number] = text
        tools = [one for one in told.messages if one.role == "tool"]
        for one, text in zip(tools, HOSTILE * 9, strict=False):
            one.content = one.name = text
        told.detail = row.detail = HOSTILE[0]
        for change in told.changes:
            change.before, change.after, change.path = HOSTILE[1], HOSTILE[0], HOSTILE[3]
    page = made(tmp_path, write_evaluation(tmp_path / "rl/eval_test.json", "rl", episodes))
    browser.open(page, f"#{tasks[0].id}/rl/0")
    shown = browser.text("#conversation")
    for text in HOSTILE:
        assert text in shown
    browser.press("t")
    browser.wait("document.querySelector('.tokens')")
    for element in ("script", "img"):
        assert browser.count(f"#conversation {element}") == 0
    assert browser.run("return window.hacked") is None
    assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
    assert browser.errors() == []


@pytest.mark.parametrize(("episodes", "seconds"), [(120, 1.0), (1000, 3.0)])
def test_many_episodes_open_quickly(browser, tmp_path, episodes, seconds):
    tasks = load_tasks("base")[:40]
    played, chance, files = play("scripted", tasks), random.Random(0), []
    for stage in ("base", "sft", "rl"):
        trials = range(-(-episodes // 3 // len(tasks)))
        copies = [_again(row, told, trial, chance) for trial in trials for row, told in played]
        files.append(write_evaluation(tmp_path / stage / "eval_test.json", stage, copies))
    page = made(tmp_path, *files)
    browser.open(page, "#episodes")
    assert browser.count("#matrix .square") >= episodes
    opened = browser.run("return performance.getEntriesByName('opened')[0].startTime") / 1000
    print(f"{episodes} episodes, {page.stat().st_size / 1e6:.1f} MB: open after {opened:.2f} s")
    assert opened < seconds


def _again(row, told, trial, chance):
    """The same episode as another trial, with log probs of its own, which cannot be compressed."""
    logs = [chance.uniform(-3, 0) * on for on in told.tokens.mask]
    tokens = told.tokens.model_copy(update={"log_probs": logs})
    more = {"trial": trial}
    return row.model_copy(update=more), told.model_copy(update=more | {"tokens": tokens})
