"""Children end with their parent; no instructions are used that other machines lack."""

import contextlib
import ctypes
import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tau2_agent.processes import end_with_parent, seldom_full_collections

SCRIPTS = Path(__file__).parents[1] / "scripts"
COMPUTE = """
import os, sys
from pathlib import Path
import torch
sys.path.insert(0, sys.argv[1])
from tau2_agent.processes import compute_with_avx2
compute_with_avx2(Path(sys.argv[2]))
print(os.environ.get("ATEN_CPU_CAPABILITY"), os.environ.get("MKL_CBWR"))
print(torch.backends.cpu.get_cpu_capability())
"""
AVX2 = torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")


@pytest.mark.parametrize(
    ("flags", "told", "expected"),
    [
        ("sse2 avx2 avx512f", {}, "avx2 AVX2"),
        ("sse2 avx2 avx512f", {"ATEN_CPU_CAPABILITY": "default"}, "default AVX2"),
        ("sse2 avx ssse3", {}, "None None"),
    ],
)
def test_the_instructions_that_most_machines_have(tmp_path, flags, told, expected) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor : 0\nflags : {flags}\n")
    clean = {k: v for k, v in os.environ.items() if k not in ("ATEN_CPU_CAPABILITY", "MKL_CBWR")}
    words = [sys.executable, "-c", COMPUTE, str(SCRIPTS), str(tmp_path / "cpuinfo")]
    said, capability = subprocess.check_output(words, text=True, env=clean | told).splitlines()
    assert said == expected
    if "avx2 AVX2" in said and AVX2:
        assert capability == "AVX2"  # read after torch was imported, before it computed


SHOW = (
    "import ctypes; n = ctypes.c_int(); ctypes.CDLL(None).prctl(2, ctypes.byref(n)); print(n.value)"
)


def test_a_child_ends_with_its_parent_and_nothing_is_loaded_between_fork_and_exec(
    monkeypatch,
) -> None:
    monkeypatch.setattr(ctypes, "CDLL", None)  # another thread may hold the loader's lock
    words = [sys.executable, "-c", SHOW]
    assert subprocess.check_output(words, preexec_fn=end_with_parent, text=True).split() == ["15"]


@pytest.mark.parametrize("error", [None, RuntimeError])
def test_full_collections_are_seldom_for_a_while_only(error):
    before = gc.get_threshold(), gc.get_freeze_count()
    with contextlib.suppress(RuntimeError), seldom_full_collections():
        assert gc.get_freeze_count() > 1000  # what was loaded is not looked at
        assert gc.get_threshold()[:2] == before[0][:2] and gc.get_threshold()[2] >= 1000
        if error:
            raise error
    assert (gc.get_threshold(), gc.get_freeze_count()) == before
