"""Two jobs on one machine do not choose their engines' ports at the same time."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tau2_agent.training.slime.engine_start import EngineStart

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"
HOLD = """
import sys, time
from tau2_agent.training.slime.engine_start import EngineStart
turn = EngineStart("\\0" + sys.argv[1])
turn.wait(bool)
print("held", flush=True)
time.sleep(600)
"""


@pytest.fixture
def name(tmp_path) -> str:
    return f"\0{tmp_path}"[:100]


def test_the_second_waits_until_the_first_is_over(name, capsys) -> None:
    first, second = EngineStart(name), EngineStart(name)
    first.wait(bool)
    waiting = threading.Thread(target=second.wait, args=(bool,))
    waiting.start()
    waiting.join(1.0)
    assert waiting.is_alive()
    first.over()
    waiting.join(30)
    assert not waiting.is_alive()
    assert capsys.readouterr().out.count("another job on this machine") == 1
    second.over()
    second.over()
    first.wait(lambda: pytest.fail("it is free again"))


def test_kill_9_ends_a_turn(tmp_path) -> None:
    name = f"tau2-test-{os.getpid()}"  # an argument cannot hold the 0
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, name, "train_grpo_slime.py"],
        cwd=SCRIPTS,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout.readline() == "held\n"
    asked = []
    second = EngineStart(f"\0{name}")
    second.wait(lambda: asked.append(True) or True)
    assert asked == [True]  # it was taken
    holder.kill()
    holder.communicate()
    second.wait(lambda: pytest.fail("it is free"))
    second.over()


@pytest.mark.parametrize("listening", [True, False])
def test_a_stranger_who_holds_the_name_blocks_nobody(tmp_path, capsys, listening) -> None:
    name = f"tau2-test-stranger-{os.getpid()}"
    code = (
        "import socket, sys, time; s = socket.socket(socket.AF_UNIX); s.bind('\\0' + sys.argv[1]); "
    )
    code += ("s.listen(1); " if listening else "") + "print('held', flush=True); time.sleep(600)"
    stranger = subprocess.Popen(
        [sys.executable, "-c", code, name], stdout=subprocess.PIPE, text=True
    )
    try:
        assert stranger.stdout.readline() == "held\n"
        EngineStart(f"\0{name}").wait(bool, limit=100_000)
        assert "is no training of this project" in capsys.readouterr().out
    finally:
        stranger.kill()
        stranger.communicate()


def test_who_waits_can_give_up_and_does_not_wait_for_ever(name, capsys) -> None:
    first, second = EngineStart(name), EngineStart(name)
    first.wait(bool)
    second.wait(lambda: True)
    second.wait(bool, limit=0.2)
    assert "starting all the same" in capsys.readouterr().out
    first.over()
