"""Other words, the same user: what varies, what never does, and that the two sets share nothing."""

from __future__ import annotations

import itertools
import re

import pytest
from official import Talk
from test_scripted_user import find_task

from base_model import demo_tokenizer
from tau2_agent.benchmark.tasks import load_tasks
from tau2_agent.benchmark.tool_outputs import read
from tau2_agent.reward.scoring import score
from tau2_agent.rollout.episode import run_episode
from tau2_agent.teachers.baselines import make_agent
from tau2_agent.users.registry import Users, make_user
from tau2_agent.users.scripted import phrasings, result_phrasings
from tau2_agent.users.scripted.scenario import Scenario
from tau2_agent.users.scripted.user import ScriptedUser
from tau2_agent.users.scripted.voice import PHRASINGS, Voice

VARIED = ("train", "held_out")
PLACE = re.compile(r"\{\w+\}")


def tools(trajectory):
    """Every tool call of the agent and the user, with its arguments, in order."""
    return [
        (message.role, call.name, call.arguments)
        for message in trajectory.messages
        if getattr(message, "tool_calls", None)
        for call in message.tool_calls
    ]


async def play(task, phrasing="fixed", draw="0"):
    user = ScriptedUser(task, phrasing=phrasing, draw=f"{draw}/{task.id}")
    return await run_episode(task, make_agent("scripted"), user)


@pytest.mark.parametrize("phrasing", VARIED)
async def test_decisions_and_tool_calls_are_those_of_the_fixed_user(phrasing):
    """The teacher, which has only the words, does the same and solves every task."""
    tasks = load_tasks("train") + load_tasks("test") + load_tasks("extra_unseen")[::6]
    for number, task in enumerate(tasks):
        varied = await play(task, phrasing, draw=str(number % 5))
        assert score(varied, task).reward == 1.0, task.id
        assert tools(varied) == tools(await play(task)), task.id
        assert varied.user_report["unknown"] == varied.user_report["asked_back"] == 0


@pytest.mark.parametrize("phrasing", VARIED)
async def test_the_same_draw_gives_the_same_words_and_another_gives_others(phrasing):
    task = find_task("mms", "break_apn_mms_setting")
    first, second, third = [await play(task, phrasing, draw) for draw in ("1", "1", "2")]
    assert first.messages == second.messages
    assert first.messages != third.messages


async def test_words_are_drawn_by_seed_task_and_sample():
    task, other = load_tasks("test")[:2]

    async def opening(seed, task, sample, phrasing="train"):
        return await Talk(task, Users(seed=seed, phrasing=phrasing).make(task, sample)).say("Hi!")

    said = {(s, n): await opening(s, task, str(n)) for s in range(4) for n in range(4)}
    assert said == {(s, n): await opening(s, task, str(n)) for s in range(4) for n in range(4)}
    assert len(set(said.values())) > 4
    assert len({await opening(s, other, "0", "fixed") for s in range(4)}) == 1


def test_the_two_sets_have_nothing_in_common():
    def parts(phrasing):
        words = phrasings.TRAIN if phrasing == "train" else phrasings.HELD_OUT
        moods = phrasings.MOODS[phrasing].values()
        yield from itertools.chain(*words.values(), *itertools.chain(*moods))
        yield from itertools.chain(*(words[phrasing] for _, words in result_phrasings.ROWS))
        yield from phrasings.LOOKED[phrasing] + phrasings.DID[phrasing]
        yield from phrasings.TYPOS[phrasing].values()

    def plain(part):
        return " ".join(PLACE.sub("X", part).lower().split())

    train, held_out = ({plain(part) for part in parts(p)} - {""} for p in VARIED)
    assert len(train) > 100 and len(held_out) > 80
    assert train & held_out == set()


def test_each_set_says_everything_with_the_same_facts():
    issues = {"service", "data", "mms"}
    assert set(phrasings.TRAIN) == set(phrasings.HELD_OUT) == set(phrasings.FIXED) | issues
    for kind in phrasings.FIXED:
        for phrasing in (phrasings.TRAIN, phrasings.HELD_OUT):
            for sentence in phrasing[kind]:
                assert set(PLACE.findall(sentence)) == set(PLACE.findall(phrasings.FIXED[kind][0]))


@pytest.mark.parametrize("phrasing", VARIED)
def test_reworded_results_keep_every_fact(phrasing):
    task = find_task("mms")
    voice = Voice(Scenario.of(task.user_scenario), phrasing)
    reworded = 0
    for text in RESULTS:
        told = {voice.result(text, did) for did in (True, False) for _ in range(20)}
        assert all(dict(read(one)) == dict(read(text)) for one in told), text
        reworded += len(told - {text}) > 2
    assert reworded == len(RESULTS)


RESULTS = [
    "Airplane Mode: OFF\nSIM Card Status: active\nCellular Connection: connected\n"
    "Cellular Signal: good\nCellular Network Type: 5G\nMobile Data Enabled: No\n"
    "Data Roaming Enabled: Yes\nWi-Fi Radio: OFF\nWi-Fi Connected: No",
    "Current APN Name: internet\nMMSC URL (for picture messages): Not Set\n"
    "(These are technical settings, usually best left unchanged.)",
    "Airplane Mode is now OFF.\nStatus Bar: 📵 No Signal | 📵 Data Disabled | 🔋 80%",
    "VPN is ON and connected. Details: {'server_address': '192.168.1.1', 'protocol': 'OpenVPN', "
    "'server_performance': <PerformanceLevel.POOR: 'poor'>}",
    "App 'messaging' has permission for: sms, phone.",
    "Speed Test Result: 275.00 Mbps (Excellent). Connection is very fast.",
    "Your messaging app cannot send MMS messages.",
    "Payment of 65.0 USD has been made for bill B1234321.",
    "You have a payment request for bill B1234321 of 65.0 USD.",
    "Preferred Network Mode set to: 4g_5g_preferred\nStatus Bar: 📶⁴ Excellent | 5G | 🔋 80%",
]


def test_the_persona_decides_the_mood_of_the_uneasy():
    for persona, moods in (("Hard", {"uneasy"}), ("None", {"terse", "chatty", "impatient"})):
        scenario = Scenario.of(find_task("mms", persona=persona).user_scenario)
        drawn = {Voice(scenario, "train", str(draw)).mood for draw in range(40)}
        assert drawn == moods


@pytest.mark.parametrize("phrasing", PHRASINGS)
async def test_the_end_is_said_in_every_wording(phrasing):
    task = find_task("mms", "bad_wifi_calling", persona="Easy")  # the only fault
    talk = Talk(task, make_user("scripted", task, phrasing=phrasing))
    await talk.say("Hi!")
    assert "###" not in await talk.say("Please turn off Wi-Fi calling.")
    assert (await talk.say("Please check if you can send an MMS.")).endswith("###STOP###")


def test_an_unknown_wording_is_an_error_that_helps():
    with pytest.raises(ValueError, match="choose one of: fixed, train, held_out"):
        make_user("scripted", find_task("mms"), phrasing="formal")


async def test_one_action_a_message_is_an_option():
    task = find_task("mobile_data", persona="Easy")
    talk = Talk(task, Users(one_action=True).make(task, "0"))
    await talk.say("Hi!")
    assert "one thing" in await talk.say("Please check your VPN and your APN settings.")
    assert talk.pressed == []
    await talk.say("Please check your VPN.")
    assert talk.pressed == ["check_vpn_status"]


def test_what_decides_the_words_is_part_of_a_runs_identity():
    marks = [Users(phrasing=p, one_action=o) for p in PHRASINGS for o in (False, True)]
    assert len({str(users.fingerprint()) for users in marks}) == len(marks)
    assert "phrasing" not in Users("llm").fingerprint_fields()


def test_held_out_words_can_be_written_by_a_tokenizer_that_never_saw_them():
    tokenizer = demo_tokenizer(list(itertools.chain(*phrasings.FIXED.values())) * 2, 600)
    for sentence in itertools.chain(*phrasings.HELD_OUT.values(), RESULTS):
        assert tokenizer.decode(tokenizer(sentence)["input_ids"]) == sentence
