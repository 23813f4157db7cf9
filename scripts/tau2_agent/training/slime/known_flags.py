"""Which flags slime, Megatron-LM and SGLang know: slime ignores others without a word.

Read from the sources' syntax trees, so that asking takes a second and imports nothing. What is not
there to read is not checked: without SGLang's package any `--sglang-…` passes.
"""

from __future__ import annotations

import ast
import difflib
import importlib.util
import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from tau2_agent.syntax import module_tree
from tau2_agent.training.slime.install import Install

FLAG = re.compile(r"--[A-Za-z0-9](?:[\w-]*\w)?")
SGLANG, ROUTER = "--sglang-", "--router-"
# Where Megatron's arguments and the classes whose fields become arguments are.
MEGATRON = ("megatron/training", "megatron/core/transformer/transformer_config.py")
MEGATRON_MORE = ("megatron/core/model_parallel_config.py",)


def unknown_training_flags(words: Iterable[str], install: Install) -> list[str]:
    """Name every flag in `words` that slime's training would ignore, each with the nearest one."""
    known = set(_training_flags(install))
    if not known:
        return []
    open_ended = []
    for prefix, flags in ((SGLANG, _sglang_flags(install)), (ROUTER, _router_flags())):
        if flags is None:
            open_ended.append(prefix)
        else:
            known |= flags
    return _unknown(words, known, tuple(open_ended))


def unknown_conversion_flags(words: Iterable[str], install: Install) -> list[str]:
    """The same for slime's tool that converts weights; it fails on such a flag, minutes later."""
    known = set(_megatron_flags(install.megatron))
    if not known:
        return []
    tool = install.slime / "tools" / "convert_hf_to_torch_dist.py"
    return _unknown(words, known | _strings(_tree(tool)))


def unknown_server_flags(words: Iterable[str]) -> list[str]:
    """The same for `sglang.launch_server`; without SGLang's package nothing is unknown."""
    fields = _server_fields()
    return [] if fields is None else _unknown(words, set().union(*fields.values()))


def _unknown(words: Iterable[str], known: set[str], open_ended: tuple[str, ...] = ()) -> list[str]:
    found = []
    for number, word in enumerate(words):
        flag = word.split("=", 1)[0]
        if flag in known or (flag.startswith(open_ended) and FLAG.fullmatch(flag)):
            continue
        if number and not _looks_like_a_flag(word) and not ("=" in word and f"--{flag}" in known):
            continue  # a value
        near = difflib.get_close_matches(flag, sorted(known), n=1, cutoff=0.6)
        found.append(f"{flag} (did you mean {near[0]}?)" if near else flag)
    return found


def _looks_like_a_flag(word: str) -> bool:
    """Whether a word is meant as a flag, however it is spelt: -lr, —lr (a long dash), --lr:1."""
    if not word or unicodedata.category(word[0]) != "Pd":
        return False
    try:
        float(word)
    except ValueError:
        return True
    return False


@cache
def _training_flags(install: Install) -> frozenset[str]:
    slime = install.slime / "slime"
    own = _strings(_tree(slime / "utils" / "arguments.py"))
    own |= _strings(_tree(slime / "backends" / "sglang_utils" / "arguments.py"))
    return frozenset(own | _megatron_flags(install.megatron)) if own else frozenset()


@cache
def _megatron_flags(megatron: Path) -> frozenset[str]:
    """Flags written out, and those that Megatron makes of the fields of its config classes."""
    arguments = _tree(megatron / "megatron" / "training" / "arguments.py")
    flags = _strings(arguments)
    lists = {
        node.targets[0].id: node.value
        for node in ast.walk(arguments)
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    classes = _classes(megatron)
    for call in ast.walk(arguments):
        if not (isinstance(call, ast.Call) and getattr(call.func, "id", "").endswith("Factory")):
            continue
        excluded = next((word.value for word in call.keywords if word.arg == "exclude"), None)
        if isinstance(excluded, ast.Name):
            excluded = lists.get(excluded.id)
        left_out = (
            {n.value for n in ast.walk(excluded) if isinstance(n, ast.Constant)}
            if (excluded is not None)
            else set()
        )
        for field in _fields(getattr(call.args[0], "id", ""), classes):
            if field.target.id not in left_out:
                flags |= _field_flags(field)
    return frozenset(flags)


def _classes(megatron: Path) -> dict[str, ast.ClassDef]:
    files = [megatron / place for place in MEGATRON_MORE]
    for place in MEGATRON:
        path = megatron / place
        files += sorted(path.rglob("*.py")) if path.is_dir() else [path]
    return {
        node.name: node
        for file in files
        for node in _tree(file).body
        if isinstance(node, ast.ClassDef)
    }


def _fields(name: str, classes: dict[str, ast.ClassDef]) -> Iterator[ast.AnnAssign]:
    """The dataclass fields of a class and of those that it extends."""
    found = classes.get(name)
    if found is None:
        return
    for base in found.bases:
        yield from _fields(getattr(base, "id", ""), classes)
    for node in found.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node


def _field_flags(field: ast.AnnAssign) -> set[str]:
    """As Megatron's `ArgumentGroupFactory` names the arguments of a field."""
    named = _strings(field.value) if field.value is not None else set()
    if named:
        return named
    name = field.target.id.replace("_", "-")
    if isinstance(field.value, ast.Constant) and field.value.value is True:
        return {f"--no-{name}", f"--disable-{name}"}
    return {f"--{name}"}


@cache
def _sglang_flags(install: Install) -> set[str] | None:
    """SGLang's flags as slime takes them, without those that slime sets itself and skips."""
    fields = _server_fields()
    if fields is None:
        return None
    own = _tree(install.slime / "slime" / "backends" / "sglang_utils" / "arguments.py")
    skipped: set[str] = set()
    for node in ast.walk(own):
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "skipped_args":
            skipped = {n.value for n in ast.walk(node.value) if isinstance(n, ast.Constant)}
    kept = (flags for name, flags in fields.items() if name not in skipped)
    return {SGLANG + flag[2:] for flags in kept for flag in flags}


@cache
def _server_fields() -> dict[str, set[str]] | None:
    """Name of a server argument -> its flags; None without SGLang's package."""
    path = _module_file("sglang", "srt/server_args.py")
    if path is None:
        return None
    tree = _tree(path)
    found = {flag[2:].replace("-", "_"): {flag} for flag in _strings(tree)}
    for node in ast.walk(tree):
        if not (isinstance(node, ast.ClassDef) and node.name == "ServerArgs"):
            continue
        for field in node.body:
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                named = _strings(field.annotation)
                for flag in named:
                    found.pop(flag[2:].replace("-", "_"), None)
                own = {f"--{field.target.id.replace('_', '-')}"}
                renamed = any(
                    word.arg == "cli_name"
                    for call in ast.walk(field.annotation)
                    if isinstance(call, ast.Call)
                    for word in call.keywords
                )
                found[field.target.id] = named if renamed else named | own
    return found


@cache
def _router_flags() -> set[str] | None:
    path = _module_file("sglang_router", "router_args.py")
    if path is None:
        return None
    flags = set()
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.JoinedStr):  # f"--{prefix}policy"
            text = "".join(
                part.value if isinstance(part, ast.Constant) else "router-" for part in node.values
            )
            if FLAG.fullmatch(text):
                flags.add(text)
    return flags


def _strings(tree: ast.AST) -> set[str]:
    """All texts in a syntax tree that are a flag and nothing else."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if FLAG.fullmatch(node.value):
                found.add(node.value)
        elif isinstance(node, ast.Call) and any(
            word.arg == "action" and getattr(word.value, "attr", "") == "BooleanOptionalAction"
            for word in node.keywords
        ):
            found |= {f"--no-{name[2:]}" for arg in node.args for name in _strings(arg)}
    return found


def _tree(path: Path) -> ast.Module:
    try:
        return module_tree(path.read_text(encoding="utf-8"))
    except (OSError, SyntaxError):
        return ast.Module(body=[], type_ignores=[])


def _module_file(module: str, inside: str) -> Path | None:
    """A file of an installed package, found without importing it."""
    spec = importlib.util.find_spec(module)
    for place in (spec.submodule_search_locations or []) if spec else []:
        if (path := Path(place) / inside).is_file():
            return path
    return None
