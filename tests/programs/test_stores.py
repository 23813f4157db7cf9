"""Old stores of trainings: listed with what tells them apart, removed when asked, and only then."""

import os
import subprocess
import sys
import time

import pytest
from program_runs import SCRIPTS, run_here

from tau2_agent.training.fingerprint import fingerprint
from tau2_agent.training.resumable import Stage
from tau2_agent.training.stores import REMOVED, InUse, find_stores, remove

DAY = 24 * 3600


@pytest.fixture
def checkpoints(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path / "checkpoints"


def trained(checkpoints, lr, *, name="m_rl_telecom", days=0, done=True, **more):
    """A store as a training leaves it, so many days ago; its name."""
    (checkpoints.parent / "sft").write_text("weights")
    mark = fingerprint({"sft": checkpoints.parent / "sft"}, {"lr": lr, "seed": 0, **more}, code="c")
    try:
        with Stage(checkpoints / name, mark) as stage:
            if stage.finished:
                return stage.folder.name  # only the link is new
            (stage.folder / "model.safetensors").write_bytes(b"x" * 50_000)
            if done:
                stage.finish({"rollouts": 12})
            else:
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    then = time.time() - days * DAY
    for path in [*stage.folder.iterdir(), stage.folder]:
        os.utime(path, (then, then))
    link = checkpoints / name
    if done and link.is_symlink():
        os.utime(link, (then, then), follow_symlinks=False)
    return stage.folder.name


@pytest.fixture
def run(monkeypatch, capfd, checkpoints):
    return lambda *words: run_here(monkeypatch, capfd, "stores.py", *words)


def there(checkpoints):
    return {path.name for path in (checkpoints / ".store").iterdir() if path.is_dir()}


def test_what_differs_and_what_points_where_is_told(run, checkpoints):
    old = trained(checkpoints, 0.1, days=40)
    new = trained(checkpoints, 0.2)
    sft = trained(checkpoints, 0.3, name="m_sft_telecom")
    status, text = run()
    assert status == 0
    blocks = {line.split("|")[0]: line for line in text.replace("\n    ", "|").splitlines()}
    assert "40 days ago; 12 rollouts; old|lr 0.1" in blocks[old]
    assert "today; 12 rollouts; m_rl_telecom points here|lr 0.2" in blocks[new]
    assert "lr" not in blocks[sft] and "seed" not in text  # alike, or alone
    assert "3 stores" in text and "old: 1 stores" in text


def test_nothing_goes_without_being_asked(run, checkpoints):
    old = trained(checkpoints, 0.1)
    trained(checkpoints, 0.2)
    before = there(checkpoints)
    for words in ([], ["--unused"], ["--older-than", "0"]):
        status, text = run(*words)
        assert status == 0 and there(checkpoints) == before
    assert old in text and "would go; nothing is removed without --remove" in text
    status, text = run("--remove")
    assert status == 2 and "--remove needs names" in text and there(checkpoints) == before


def test_old_ones_go_by_age_and_all_that_nothing_uses(run, checkpoints):
    oldest = trained(checkpoints, 0.1, days=40)
    old = trained(checkpoints, 0.2, days=5)
    new = trained(checkpoints, 0.3)
    status, text = run("--older-than", "30", "--remove")
    assert (status, f"removed {oldest}" in text) == (0, True)
    assert there(checkpoints) == {old, new}
    run("--unused", "--remove")
    assert there(checkpoints) == {new}
    assert (checkpoints / "m_rl_telecom" / "model.safetensors").exists()


def test_what_a_checkpoint_points_to_is_never_removed(run, checkpoints):
    new = trained(checkpoints, 0.1, days=90)
    status, text = run("--remove", new)
    assert status == 2 and "m_rl_telecom points here" in text and there(checkpoints) == {new}
    run("--older-than", "1", "--remove")
    assert there(checkpoints) == {new}


def test_while_a_target_is_trained_none_of_its_stores_goes(run, checkpoints):
    old = trained(checkpoints, 0.1)
    trained(checkpoints, 0.2)
    program = (
        "import sys, time; from tau2_agent.training.resumable import Stage\n"
        "with Stage(sys.argv[1], {'lr': 3}):\n    print('here', flush=True); time.sleep(60)"
    )
    trainer = subprocess.Popen(
        [sys.executable, "-c", program, checkpoints / "m_rl_telecom"],
        env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert trainer.stdout.readline() == "here\n"
        status, text = run("--remove", old)
        assert status == 2 and f"is being trained (process {trainer.pid} on" in text
        status, text = run("--unused", "--remove")
        assert status == 0 and "removed" not in text
        assert old in there(checkpoints) and len(there(checkpoints)) == 3
    finally:
        trainer.kill()
        trainer.wait()
    # What the kill left is resumed by the same command: it is none of the old ones.
    (left,) = [store for store in find_stores(checkpoints) if store.resumes]
    assert run("--unused", "--remove")[0] == 0
    assert left.folder.name in there(checkpoints) and old not in there(checkpoints)
    assert run("--remove", left.folder.name)[0] == 0
    assert left.folder.name not in there(checkpoints)


def test_stores_of_another_user_are_shown_and_stay(run, checkpoints, monkeypatch):
    real = os.open

    def refuse(path, flags, *mode, **more):
        if str(path).endswith(".lock") and flags & os.O_RDWR:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, flags, *mode, **more)

    old = trained(checkpoints, 0.1)
    trained(checkpoints, 0.2)
    monkeypatch.setattr(os, "open", refuse)
    status, text = run()
    assert status == 0 and old in text
    status, text = run("--remove", old)
    assert status == 2 and "belongs to" in text and "Traceback" not in text
    assert old in there(checkpoints)


def test_an_interrupted_one_that_was_given_up_is_old(checkpoints):
    trained(checkpoints, 0.2, days=5)
    given_up = trained(checkpoints, 0.1, done=False, days=3)
    store = next(one for one in find_stores(checkpoints) if one.folder.name == given_up)
    assert store.resumes and "resumes it" in store.state
    trained(checkpoints, 0.2)  # the old values again: the target points there since
    by_name = {store.folder.name: store for store in find_stores(checkpoints)}
    assert by_name[given_up].is_old and by_name[given_up].state == "old, unfinished"


def test_what_a_killed_removal_leaves_is_taken_for_no_store(checkpoints, monkeypatch):
    old = trained(checkpoints, 0.1)
    trained(checkpoints, 0.2)
    store = next(one for one in find_stores(checkpoints) if one.folder.name == old)

    calls = []

    def killed_at_the_second_call(*_, **__):  # the first looks for what an earlier kill left
        calls.append(1)
        if len(calls) > 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("tau2_agent.training.stores.shutil.rmtree", killed_at_the_second_call)
        remove(store, checkpoints)
    assert (checkpoints / ".store" / f"{REMOVED}{old}").exists()
    assert old not in [one.folder.name for one in find_stores(checkpoints)]
    assert trained(checkpoints, 0.1) == old  # trained anew, whole


def test_a_killed_removal_is_finished_by_the_next_one(run, checkpoints):
    new = trained(checkpoints, 0.2)
    (checkpoints / ".store" / f"{REMOVED}m_rl_telecom-0123").mkdir()
    run("--unused", "--remove")
    assert there(checkpoints) == {new}


def test_unknown_names_and_two_rules_at_once(run, checkpoints):
    new = trained(checkpoints, 0.1)
    status, text = run("--remove", "m_rl_telecom-nothing")
    assert status == 2 and "there is no store m_rl_telecom-nothing" in text and new in text
    assert run("--remove", new, "--unused")[0] == 2
    assert run("--checkpoints", "elsewhere") == (0, "no stores in elsewhere\n")


def test_a_store_between_list_and_removal_that_came_into_use(checkpoints):
    old = trained(checkpoints, 0.1)
    trained(checkpoints, 0.2)
    store = next(one for one in find_stores(checkpoints) if one.folder.name == old)
    assert store.is_old
    trained(checkpoints, 0.1)  # the old values are back
    with pytest.raises(InUse, match="points here"):
        remove(store, checkpoints)
    assert old in there(checkpoints)
