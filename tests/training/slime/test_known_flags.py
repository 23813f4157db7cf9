"""Flags that slime would ignore, found in sources written as slime's, Megatron's and SGLang's."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tau2_agent.training.slime import known_flags
from tau2_agent.training.slime.install import Install

SLIME = {
    "slime/utils/arguments.py": """
def add(parser):
    parser.add_argument("--use-tis", action="store_true")
    parser.add_argument("--offload-train", action=argparse.BooleanOptionalAction)
    reset_arg(parser, "--seed", type=int, help="not --a-flag but its name")
""",
    "slime/backends/sglang_utils/arguments.py": """
skipped_args = ["tp_size"]
parser.add_argument("--sglang-router-ip")
""",
    "tools/convert_hf_to_torch_dist.py": 'parser.add_argument("--hf-checkpoint")',
}
MEGATRON = {
    "megatron/training/arguments.py": """
exclude = ["hidden"]
ArgumentGroupFactory(ModelConfig, exclude=exclude)
ArgumentGroupFactory(OtherConfig)
group.add_argument('--lr', type=float)
""",
    "megatron/training/config.py": """
class Base:
    num_layers: int = 0
class OtherConfig(Base):
    rerun: int = field(metadata={"argparse_meta": {"arg_names": ["--rerun-mode"]}})
class UnusedConfig:
    unused: int = 0
""",
    "megatron/core/transformer/transformer_config.py": """
class ModelConfig:
    hidden: int = 0
    fuse_bias: bool = True
    tie: bool = False
""",
}
SGLANG = """
class ServerArgs:
    mem_fraction_static: A[Optional[float], "share"] = None
    tp_size: A[int, Arg(help="", cli_name="--tensor-parallel-size", aliases=["--tp-size"])] = 1
    def add_cli_args(parser):
        parser.add_argument("--tool-call-parser")
"""
ROUTER = 'group.add_argument(f"--{prefix}policy")'


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.fixture(autouse=True)
def forget():
    cached = [one for one in vars(known_flags).values() if hasattr(one, "cache_clear")]
    for one in cached:
        one.cache_clear()
    yield
    for one in cached:
        one.cache_clear()


@pytest.fixture
def install(tmp_path) -> Install:
    slime, megatron = write(tmp_path / "slime", SLIME), write(tmp_path / "megatron", MEGATRON)
    return Install(slime, megatron)


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """SGLang and its router, installed."""
    files = {"sglang/srt/server_args.py": SGLANG, "sglang_router/router_args.py": ROUTER}
    files |= {"sglang/__init__.py": "raise SystemExit", "sglang_router/__init__.py": ""}
    write(tmp_path / "packages", files)
    monkeypatch.syspath_prepend(str(tmp_path / "packages"))


@pytest.mark.parametrize(
    "flag",
    [
        *("--use-tis", "--offload-train", "--no-offload-train", "--seed", "--lr", "--num-layers"),
        *("--rerun-mode", "--no-fuse-bias", "--disable-fuse-bias", "--tie"),
        *("--sglang-mem-fraction-static", "--sglang-tool-call-parser", "--router-policy"),
    ],
)
def test_known(install, packages, flag):
    assert known_flags.unknown_training_flags([flag, "1", f"{flag}=1"], install) == []


@pytest.mark.parametrize(
    ("flag", "near"),
    [
        ("--use-tiss", "--use-tis"),
        ("--a-flag", None),  # only in a help text
        ("--hidden", None),  # left out by Megatron
        ("--fuse-bias", "--no-fuse-bias"),
        ("--rerun", "--rerun-mode"),
        ("--unused", None),
        ("--sglang-mem-fraction", "--sglang-mem-fraction-static"),
        ("--sglang-tp-size", None),  # set by slime itself
        ("--router-polcy", "--router-policy"),
    ],
)
def test_unknown(install, packages, flag, near):
    (found,) = known_flags.unknown_training_flags([flag, "1"], install)
    assert found.startswith(flag) and (near is None or f"did you mean {near}?" in found)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("-lr 1", "-lr"),
        ("—lr 1", "—lr"),  # as typed on some keyboards
        ("‐‐lr 1", "‐‐lr"),
        ("---lr 1", "---lr"),
        ("--lr:1", "--lr:1"),
        ("--lr.=1", "--lr."),
        ("'--lr 1'", "--lr 1"),
        ("--use-tis -- --seed 1", "--"),
        ("lr 1", "lr"),
        ("lr=1", "lr"),
        ("--use-tis lr=1 --seed 1", "lr"),
    ],
)
def test_what_is_meant_as_a_flag_is_never_taken_for_a_value(install, packages, text, named):
    (found,) = known_flags.unknown_training_flags(shlex.split(text), install)
    assert found.partition(" (did")[0] == named


@pytest.mark.parametrize("value", ["-1", "-1e-6", "-.5", "-inf", "a=b", '{"lr": "-x"}', "", "x-y"])
def test_values_are_values(install, packages, value):
    assert known_flags.unknown_training_flags(["--lr", value, "--use-tis"], install) == []


def test_servers_have_no_prefix(packages):
    assert known_flags.unknown_server_flags(["--tp-size", "--tensor-parallel-size", "2"]) == []
    assert known_flags.unknown_server_flags(["--tool-cal-parser"]) == [
        "--tool-cal-parser (did you mean --tool-call-parser?)"
    ]


def test_the_conversion_knows_megatrons_and_its_own(install):
    assert (
        known_flags.unknown_conversion_flags(["--hf-checkpoint", "x", "--lr", "1"], install) == []
    )
    assert known_flags.unknown_conversion_flags(["--use-tis"], install) != []


def test_what_is_not_there_to_read_is_not_checked(tmp_path, monkeypatch, install):
    monkeypatch.setattr(known_flags, "_module_file", lambda *_: None)
    words = ["--sglang-any", "--router-any"]
    assert known_flags.unknown_training_flags(words, install) == []
    assert known_flags.unknown_server_flags(["--any"]) == []
    assert known_flags.unknown_training_flags(["--any"], Install(tmp_path, tmp_path)) == []
