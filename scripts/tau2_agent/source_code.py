"""Which code decided a result: a digest over a program and everything of ours that it imports.

The digest is part of every key (stores of trainings, episode logs, Snakemake's params), so that an
edit makes anew what it decides and nothing else. The files are found by following the imports, also
those inside functions, relative ones, `import_module("name")`, and hooks that are named in text
(`"generate_with_tau.generate"`). Comments, docstrings and formatting do not count: each file is
read as a syntax tree.

Left out: versions of installed packages (records/provenance.py records them), and data such as chat
templates, which count by the content of the folders that they end up in.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple, TypeGuard

from tau2_agent.files import write_text
from tau2_agent.syntax import module_tree

SCRIPTS = next(p.parent for p in Path(__file__).resolve().parents if p.name == "tau2_agent")
INIT = "__init__.py"
CACHE = Path(".snakemake/tau2_code.json")
# What decides no number: how a program ends, waits, is refused, says what is wrong, or keeps what
# happened; validation only looks at a policy that is trained. Options count by their values, not by
# what made them.
NEUTRAL = {
    *("errors", "cli", "locks", "processes", "preflight", "config"),
    *("records.conversation", "records.progress", "records.samples", "records.transcripts"),
    *("records.validation", "evaluation.validation", "evaluation.validation_slime"),
    *("evaluation.validation_trl", "rollout.room"),
}
_HOOK = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
_IMPORTERS = {"import_module", "__import__"}


class Source(NamedTuple):
    """A file as far as it decides something: its digest, and the names that it may import."""

    digest: str
    names: tuple[str, ...]


def code_digest(*roots: str, scripts: Path = SCRIPTS, without: tuple[str, ...] = ()) -> str:
    """A short sha256 of the code behind `roots`: programs or modules, named as in an import.

    without: modules that decide nothing of the result in question, though they are imported. Raises
    FileNotFoundError for a root that is not there, SyntaxError for a file that cannot be
    read as Python.
    """
    known = len(_cache())
    digest = hashlib.sha256()
    for name, file in sorted(closure(*roots, scripts=scripts, without=without).items()):
        digest.update(f"{name}\0{source(file).digest}\0".encode())
    if len(_cache()) > known:
        _save()
    return digest.hexdigest()[:16]


def closure(*roots: str, scripts: Path = SCRIPTS, without: tuple[str, ...] = ()) -> dict[str, Path]:
    """Module -> file of `roots` and all that they import from `scripts`; nothing neutral."""
    found: dict[str, Path] = {}
    ours = {path.stem for path in scripts.iterdir()}  # most names are not: no look for their files
    waiting, seen = list(roots), {""}
    for root in roots:
        if _file(root, scripts) is None:
            raise FileNotFoundError(f"{scripts} has no module {root}")
    while waiting:
        name = waiting.pop()
        if name in seen or _neutral(name) or name in without:
            continue
        seen.add(name)
        file = _file(name, scripts)
        if file is None:
            continue
        found[name] = file
        package = name if file.name == INIT else name.rpartition(".")[0]
        for other in source(file).names:
            absolute = _absolute(other, package)
            if absolute.partition(".")[0] in ours:
                waiting += _with_packages(absolute)
    return found


def hook_digest(texts: Iterable[str], *, scripts: Path = SCRIPTS) -> str:
    """The code behind those of `texts` that name a function of a module here, as slime's hooks are
    named ("my_hooks.score"); "" if none does."""
    modules = {
        module
        for text in texts
        if _HOOK.fullmatch(text) and _file(module := text.rpartition(".")[0], scripts)
    }
    return code_digest(*sorted(modules), scripts=scripts) if modules else ""


def source(file: Path) -> Source:
    """What of a file counts. Remembered by content, in the process and in `.snakemake`."""
    return _source(file.read_bytes(), str(file))


@cache
def _source(content: bytes, file: str) -> Source:
    key = hashlib.sha256(_own() + content).hexdigest()
    known = _cache()
    if key not in known:
        tree = module_tree(content, file)
        names = tuple(sorted(set(_names(tree))))
        text = ast.unparse(_without_docstrings(tree))
        known[key] = [hashlib.sha256(text.encode()).hexdigest(), names]
    digest, names = known[key]
    return Source(digest, tuple(names))


def _names(tree: ast.AST) -> Iterator[str]:
    """Every name that an import or a hook's path could mean a module by."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield module
            between = "" if module.endswith(".") else "."
            yield from (f"{module}{between}{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and _name(node.func) in _IMPORTERS:
            yield from (arg.value for arg in node.args if _is_text(arg))
        elif _is_text(node) and _HOOK.fullmatch(node.value):
            module, _, last = node.value.rpartition(".")
            if last != "py":  # a program named in a message is no import
                yield module


def _name(called: ast.expr) -> str:
    """What a call names last: f of f(…) and of a.f(…)."""
    return getattr(called, "id", getattr(called, "attr", ""))


def _is_text(node: ast.AST) -> TypeGuard[ast.Constant]:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _absolute(name: str, package: str) -> str:
    """A name as it stands in an import, seen from `package`: without leading dots."""
    own = name.lstrip(".")
    if own == name:
        return name
    above = package.split(".")[: len(package.split(".")) - (len(name) - len(own) - 1)]
    return ".".join([*above, *filter(None, [own])])


def _with_packages(name: str) -> list[str]:
    """A module and the packages around it, whose `__init__.py` run first."""
    parts = name.split(".")
    return [".".join(parts[:length]) for length in range(1, len(parts) + 1)]


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and body
            and isinstance(body[0], ast.Expr)
            and isinstance(body[0].value, ast.Constant)
            and isinstance(body[0].value.value, str)
        ):
            node.body = body[1:] or [ast.Pass()]
    return tree


def _file(name: str, scripts: Path) -> Path | None:
    place = scripts.joinpath(*name.split("."))
    files = place.with_name(f"{place.name}.py"), place / INIT
    return next(filter(Path.is_file, files), None)


def _neutral(name: str) -> bool:
    parts = name.split(".")
    return parts[0] == "tau2_agent" and bool({".".join(parts[1:n]) for n in (2, 3)} & NEUTRAL)


@cache
def _own() -> bytes:
    """This file: what it read of another one by older rules does not count."""
    return Path(__file__).read_bytes()


@lru_cache(maxsize=1)
def _cache() -> dict[str, list]:
    with contextlib.suppress(OSError, ValueError):
        known = json.loads(CACHE.read_text(encoding="utf-8"))
        if isinstance(known, dict):
            return known
    return {}


def _save() -> None:
    # Only beside a workflow. What cannot be written is computed again.
    if CACHE.parent.is_dir():
        with contextlib.suppress(OSError):
            write_text(CACHE, json.dumps(_cache()))
