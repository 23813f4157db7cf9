"""Which of SGLang's arguments are part of a key."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tau2_agent.inference.server_arguments import NEUTRAL, TELLING, account, deciding
from tau2_agent.training.slime import known_flags


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        ("--quantization fp8", "--quantization fp8"),
        ("--mem-fraction-static 0.5 --quantization=fp8", "--quantization=fp8"),
        (
            "--log-level info --disable-cuda-graph --kv-cache-dtype fp8_e5m2",
            "--kv-cache-dtype fp8_e5m2",
        ),
        ("--port 7 --never-heard-of", "--never-heard-of"),
        ("--portable 7", "--portable 7"),  # a name, not its beginning
    ],
)
def test_all_but_what_changes_no_answer(words, kept) -> None:
    assert deciding(words.split()) == kept.split()


def test_slime_s_own_arguments_are_kept() -> None:
    words = "--use-tis --sglang-log-level info --sglang-quantization fp8 --port 3"
    kept = "--use-tis --sglang-quantization fp8 --port 3"
    assert deciding(words.split(), "--sglang-") == kept.split()


def test_no_key_of_a_server_is_recorded() -> None:
    info = {"model_path": "a", "api_key": "secret", "quantization": None, "dtype": "auto"}
    assert account(info) == {"model_path": "a", "dtype": "auto"}


# Slime's own, which it reads with SGLang's prefix.
OF_SLIME = {"router-ip", "router-port", "router-request-timeout-secs", "server-concurrency"}


@pytest.mark.skipif(known_flags._server_fields() is None, reason="no SGLang to read")
def test_the_names_are_sglang_s() -> None:
    fields = known_flags._server_fields()
    flags = {flag[2:] for names in fields.values() for flag in names}
    assert NEUTRAL.keys() - flags == OF_SLIME
    assert set(TELLING) - fields.keys() == {"version"}  # which its answer adds


@pytest.mark.skipif("SLIME_HOME" not in os.environ, reason="no slime to read")
def test_the_other_names_are_slime_s() -> None:
    file = Path(os.environ["SLIME_HOME"], "slime/backends/sglang_utils/arguments.py")
    assert {f"--sglang-{name}" for name in OF_SLIME} <= known_flags._strings(
        known_flags._tree(file)
    )
