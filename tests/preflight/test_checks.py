"""What stops a job before it begins: every failure on a machine made up for it, with its remedy."""

import json
import os
import resource
from dataclasses import replace
from pathlib import Path

import marked_weights
import pytest
from fake_openai import FakeOpenAI
from model_configs import config
from program_runs import Program

from tau2_agent.preflight import checks as preflight
from tau2_agent.preflight import host as machines
from tau2_agent.preflight.checks import findings
from tau2_agent.preflight.host import Gpu, Machine
from tau2_agent.preflight.requirements import Requirements, memory_gib, store_bytes
from tau2_agent.training.slime import known_flags
from tau2_agent.training.slime.install import Install

ROOT = Path(__file__).resolve().parents[2]
STAND_IN = Path(__file__).parents[1] / "slime_stand_in"
INSTALL = Install(STAND_IN, STAND_IN)
H200 = Gpu("NVIDIA H200", total_gib=140.0, free_gib=139.0)
GOOD = Machine(
    gpus=(H200, H200),
    driver="580.95",
    driver_cuda=(13, 0),
    torch_cuda=(13, 0),
    shared_memory=16 * 2**30,
)


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({**config(), "max_position_embeddings": 40960}))
    marked_weights.write(folder / "model.safetensors", "base")
    return folder


@pytest.fixture
def job(model):
    """A training of Qwen3-4B on two GPUs; its disk has room."""
    return Requirements("slime", 2, tensor_parallel=2, max_tokens_per_gpu=12288, model=model)


def failures(job, machine=GOOD):
    return {f.check: f.text for f in findings(job, machine, INSTALL) if f.level == "failure"}


def test_a_good_machine_has_no_failures(job):
    assert failures(job) == {}
    checks = {finding.check for finding in findings(job, GOOD, INSTALL)}
    assert checks >= {"loopback", "tau2", "GPUs", "GPU memory", "driver", "versions", "model"}


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n"


def test_weights_are_opened_wherever_they_lie(job, tmp_path):
    """A local source is not in models/ yet, and would only fail there."""
    assert "weights" not in failures(job)
    fresh = replace(job, model=tmp_path / "models" / "new", source=str(job.model))
    assert "weights" not in failures(fresh)
    (job.model / "model.safetensors").write_bytes(POINTER)
    for wanted in (job, fresh):
        assert "is a Git LFS pointer" in failures(wanted)["weights"]
    assert "weights" not in failures(replace(fresh, source="somebody/a-model"))


@pytest.mark.parametrize(
    ("changes", "check", "words"),
    [
        ({"gpus": (H200,)}, "GPUs", "2 are wanted on each node, 1 can be used"),
        ({"gpus": ()}, "GPUs", "take a preset for fewer"),
        (
            {"gpus": (Gpu("A10", 24.0, 23.0),) * 2},
            "GPU memory",
            "raise slime.tensor_parallel",
        ),
        (
            {"gpus": (H200, replace(H200, free_gib=9.0))},
            "GPU memory",
            "only 9 of 140 GiB are free: another process",
        ),
        ({"driver_cuda": (12, 8)}, "driver", "update the driver"),
        ({"shared_memory": 64 * 2**20}, "shared memory", "--shm-size"),
        ({"loopback": "Connection refused"}, "loopback", "127.0.0.1 fails"),
        (
            {"proxied": ("127.0.0.1", "10.0.0.7")},
            "proxy",
            'export no_proxy="127.0.0.1,10.0.0.7,$no_proxy"',
        ),
    ],
)
def test_failures_of_a_machine(job, changes, check, words):
    found = failures(job, replace(GOOD, **changes))
    assert list(found) == [check]
    assert words in found[check]


@pytest.mark.parametrize(
    ("changes", "check", "words"),
    [
        ({"tensor_parallel": 3, "gpus": 2}, "model", "does not divide the model's 32 heads"),
        ({"pipeline_parallel": 5}, "model", "36 layers"),
        ({"context_length": 50000}, "model", "50000 tokens is asked for, the model has 40960"),
        ({"port": 9}, "port", "nothing answers on 127.0.0.1:9"),
        ({"source": "Qwen/Qwen3-4B"}, "model", "--rotary-base"),
    ],
)
def test_failures_of_a_configuration(job, changes, check, words):
    found = failures(replace(job, **changes))
    assert words in found[check]


def test_few_open_files_and_other_gpus_beside_are_only_warnings(job):
    mixed = replace(GOOD, gpus=(H200, Gpu("NVIDIA H100", 140.0, 139.0)), open_files=1024)
    levels = {f.check: f.level for f in findings(job, mixed, INSTALL) if f.level != "ok"}
    assert levels["open files"] == levels["GPUs"] == "warning"


# --- disk ----------------------------------------------------------------------------------------


def test_disk_counts_what_is_to_come(job, tmp_path, monkeypatch):
    store = tmp_path / "checkpoints" / ".store" / "x"
    job = replace(job, stores=(store,), keep_checkpoints=2)
    # three checkpoints with optimizer and three exports of 4.02 billion weights
    wanted = store_bytes(job, job.weights())
    assert wanted == pytest.approx(4.022e9 * (3 * 14 + 6), rel=1e-3)
    monkeypatch.setattr(machines, "free_bytes", lambda folder: int(wanted) - 10**6)
    text = failures(job)["disk"]
    assert "will take 193 GB more" in text and "resources.keep_checkpoints" in text
    # what lies there already is not to come any more
    store.mkdir(parents=True)
    (store / "iter").write_bytes(b"x" * 2 * 10**6)
    assert "disk" not in failures(job)


def test_checkpoints_without_optimizer_take_less(job):
    bare = replace(job, saves_optimizer=False)
    assert store_bytes(bare, 1e9) == 1e9 * (3 * 2 + 6) < store_bytes(job, 1e9)


def test_a_name_tells_the_size_while_the_model_is_not_there():
    assert Requirements("slime", source="Qwen/Qwen3-4B-Instruct-2507").weights() == 4e9
    assert Requirements("slime", source="Qwen/Qwen3-0.6B").weights() == 0.6e9
    assert Requirements("slime", source="somebody/a-model").weights() is None


def test_memory_is_below_what_was_measured(job):
    # docs/gpu-runs: 58.1 GiB at the peak of SFT, with activations that this bound leaves out
    assert 40 < memory_gib(job, config()) < 58.1


def test_memory_counts_a_sample_that_is_longer_than_a_micro_batch(job):
    packed, logits = memory_gib(job, config()), 151936 * 16 / 2 / 2**30  # GiB a token
    assert memory_gib(replace(job, sample_length=12000), config()) == packed
    longer = memory_gib(replace(job, sample_length=20000), config())
    assert longer - packed == pytest.approx((20000 - 12288) * logits)
    shared = replace(job, sample_length=20000, context_parallel=2)
    assert memory_gib(shared, config()) == packed


def test_memory_of_adam_is_shared_by_all_gpus_and_of_experts_by_their_own(job):
    few, more = (memory_gib(replace(job, gpus=gpus), config()) for gpus in (2, 4))
    assert few - more == pytest.approx(4.022e9 * 12 / 4 / 2**30, rel=1e-3)
    moe = config("Qwen3-30B-A3B")
    alone = replace(job, gpus=8, tensor_parallel=4)
    shared = replace(alone, expert_parallel=8)
    gone = 28.99e9 * 7 / 8 * 6 / 2**30  # weights and gradients of seven eighths of the experts
    assert memory_gib(alone, moe) - memory_gib(shared, moe) == pytest.approx(gone, rel=1e-3)


@pytest.mark.parametrize(
    ("name", "experts", "said"),
    [
        ("Qwen3-30B-A3B", 3, "does not divide its 128 experts"),
        ("Qwen3-4B-Instruct-2507", 2, "the model has no experts"),
    ],
)
def test_experts_that_cannot_be_shared(job, name, experts, said):
    (job.model / "config.json").write_text(json.dumps(config(name)))
    assert said in failures(replace(job, expert_parallel=experts))["model"]


# --- arguments -----------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["extra_args", "convert_args", "server_args"])
def test_arguments_that_slime_would_ignore(job, monkeypatch, key):
    for name in ("training", "conversion", "server"):
        function = f"unknown_{name}_flags"
        monkeypatch.setattr(known_flags, function, lambda words, *_: list(words))
    text = failures(replace(job, **{key: ("--lrr",)}))["arguments"]
    assert f"slime.{key}" in text and "--lrr" in text
    assert "arguments" not in failures(job)


# --- data, in a job ------------------------------------------------------------------------------


def test_data_cut_in_half_is_named_with_its_line(job, tmp_path):
    path = tmp_path / "tasks.jsonl"
    path.write_text('{"a": 1}\n{"a": ')
    assert f"{path}, line 2" in failures(replace(job, data=(path,)))["data"]
    path.write_text("")
    assert "0 lines" in failures(replace(job, data=(path,)))["data"]
    assert "data" not in failures(replace(job, data=(tmp_path / "not-yet.jsonl",)))


def test_a_job_lists_all_failures_at_once(job, monkeypatch):
    bad = replace(GOOD, gpus=(), driver_cuda=(12, 8))
    monkeypatch.setattr(machines, "look", lambda: bad)
    with pytest.raises(preflight.PreflightError, match=r"(?s)GPUs: .*driver: "):
        preflight.require(job, INSTALL)


# --- the facts -----------------------------------------------------------------------------------

NVIDIA_SMI = """#!/bin/sh
case "$*" in
*query-gpu*) echo "0, GPU-aa, NVIDIA H200, 143771, 143000, 580.95.05"
             echo "1, GPU-bb, NVIDIA H200, 143771, 1000, 580.95.05" ;;
*) echo "| NVIDIA-SMI 580.95.05   Driver Version: 580.95.05   CUDA Version: 13.0 |" ;;
esac
"""


@pytest.fixture
def nvidia_smi(tmp_path, monkeypatch):
    program = tmp_path / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text(NVIDIA_SMI)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return program


@pytest.mark.parametrize(
    ("visible", "free"),
    [(None, [139.6, 1.0]), ("1", [1.0]), ("GPU-aa", [139.6]), ("", []), ("1,0", [139.6, 1.0])],
)
def test_gpus_are_read_from_nvidia_smi(nvidia_smi, monkeypatch, visible, free):
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    machine = machines.look()
    assert [round(gpu.free_gib, 1) for gpu in machine.gpus] == free
    if free:
        assert machine.driver == "580.95.05" and machine.driver_cuda == (13, 0)


def test_a_broken_nvidia_smi_is_no_gpu(nvidia_smi):
    nvidia_smi.write_text("#!/bin/sh\necho 'Failed to initialize NVML: Driver mismatch'; exit 18\n")
    assert machines.look().gpus == ()


def test_a_proxy_without_exceptions_is_seen(monkeypatch):
    for name in ("http_proxy", "all_proxy", "no_proxy", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert machines.look().proxied == ()
    monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
    assert {"127.0.0.1", "localhost"} <= set(machines.look().proxied)
    monkeypatch.setenv("no_proxy", f"127.0.0.1,localhost,{machines.own_address()}")
    assert machines.look().proxied == ()


def test_the_limit_of_open_files_is_the_hard_one():
    assert machines.look().open_files == resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def test_a_folder_that_is_not_there_yet_has_the_disk_above_it(tmp_path):
    assert machines.free_bytes(tmp_path / "a" / "b") > 0
    assert machines.folder_bytes(tmp_path / "a") == 0


# --- the program ---------------------------------------------------------------------------------


def run(*flags, **environment):
    """Exit status and everything printed."""
    process = Program("preflight.py", *flags, environment={**os.environ, **environment})
    text, _ = process.communicate(timeout=120)
    return process.returncode, text


@pytest.mark.slow
def test_the_program_passes_where_the_demo_runs(tmp_path):
    flags = ["--model", str(tmp_path / "none"), "--checkpoints", str(tmp_path / "sft")]
    status, text = run("--backend", "cpu", *flags)
    assert status == 0, text
    assert "0 failed" in text


@pytest.mark.slow
def test_the_program_fails_and_its_last_words_are_the_failures(tmp_path):
    status, text = run(
        *("--backend", "slime", "--gpus", "2", "--model", str(tmp_path / "none")),
        CUDA_VISIBLE_DEVICES="",
        SLIME_HOME=str(STAND_IN),
        MEGATRON_HOME=str(STAND_IN),
    )
    assert status == 1
    assert text.splitlines()[-2].startswith("FAILURE")
    assert "Traceback" not in text


@pytest.mark.slow
def test_a_language_model_is_asked_once(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "planted-key")
    with FakeOpenAI(answer=lambda request: "ready", behaviours=["ready", 401]) as server:
        asked = json.dumps({"model": "openai/some", "api_base": server.url})
        flags = ["--backend", "cpu", "--model", str(tmp_path / "none"), "--ask", f"user={asked}"]
        status, text = run(*flags)
        assert status == 0 and "user.model openai/some answers in" in text
        status, more = run(*flags)
        assert status == 1 and "user.model openai/some does not answer" in more
        assert len(server.requests) == 2
    status, closed = run(*flags)
    assert status == 1 and "does not answer" in closed
    assert "planted-key" not in text + more + closed
    assert "Traceback" not in text + more + closed
