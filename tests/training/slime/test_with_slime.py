"""Against slime's and Megatron's own source, where both are there: set SLIME_HOME (and
MEGATRON_HOME for the parsers). No GPU is needed.

- slime's plugin contract tests pass on our hooks.
- every flag of the golden command lines is one that the two parsers know.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tau2_agent.training.slime.install import SCRIPTS

HERE = Path(__file__).parents[2]
SLIME = Path(os.environ.get("SLIME_HOME", "/nonexistent"))
MEGATRON = Path(os.environ.get("MEGATRON_HOME", "/nonexistent"))
pytestmark = pytest.mark.skipif(not SLIME.exists(), reason="needs slime's source in SLIME_HOME")

HOOKS = {
    "CUSTOM_GENERATE_FUNCTION_PATH": "generate_with_tau.generate",
    "CUSTOM_REWARD_POST_PROCESS_PATH": "tau2_reward_shaping.tau2_reward_post_process",
    "DYNAMIC_SAMPLING_FILTER_PATH": "generate_with_tau.keep_group",
}


def test_slimes_plugin_contracts_hold_for_our_hooks():
    tests = SLIME / "tests" / "plugin_contracts"
    if not tests.is_dir():
        pytest.skip("this copy of slime comes without its tests")
    variables = {f"SLIME_CONTRACT_{name}": hook for name, hook in HOOKS.items()}
    path = os.pathsep.join(filter(None, [str(SCRIPTS), os.environ.get("PYTHONPATH", "")]))
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tests)],
        cwd=SLIME,  # the contracts read slime's files by relative paths
        env={**os.environ, **variables, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    if "No module named" in result.stdout:
        pytest.skip(re.search(r"No module named '[^']+'", result.stdout)[0])
    assert result.returncode == 0, result.stdout[-4000:]


@pytest.mark.skipif(not MEGATRON.exists(), reason="needs Megatron-LM's source in MEGATRON_HOME")
@pytest.mark.parametrize("golden", sorted(path.stem for path in (HERE / "golden").glob("*.txt")))
def test_every_flag_of_a_golden_command_line_is_known(golden):
    words = (HERE / "golden" / f"{golden}.txt").read_text().split()
    flags = {word for word in words if word.startswith("--")}
    sources = [
        SLIME / "slime" / "utils" / "arguments.py",
        SLIME / "slime" / "backends" / "sglang_utils" / "arguments.py",
        MEGATRON / "megatron" / "training" / "arguments.py",
        MEGATRON / "megatron" / "core" / "model_parallel_config.py",
        MEGATRON / "megatron" / "core" / "transformer" / "transformer_config.py",
        MEGATRON / "megatron" / "core" / "optimizer" / "optimizer_config.py",
        *(MEGATRON / "megatron" / "training").rglob("*config*.py"),
    ]
    text = "\n".join(path.read_text() for path in sources)
    unknown = []
    for flag in sorted(flags):
        # Megatron makes some flags from the fields of its configuration classes
        name = flag[2:].replace("-", "_")
        passed_on = flag.startswith(("--sglang-", "--router-"))
        if not (f'"{flag}"' in text or f"'{flag}'" in text or passed_on) and not re.search(
            rf"^\s+{re.escape(name.removeprefix('disable_'))}\s*:", text, re.MULTILINE
        ):
            unknown.append(flag)
    assert not unknown
