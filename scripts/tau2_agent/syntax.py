"""Python's own parser, where other threads do not disturb it.

CPython 3.11 counts the depth of a tree that it builds in one place for all threads. Two that build
at once (to print a traceback is enough) end in "SystemError: AST constructor recursion depth
mismatch", with nothing wrong in the text; so what failed so is tried again.
"""

from __future__ import annotations

import ast
from typing import Any

TRIES = 100
# What parsing and `ast.literal_eval` raise for a text that is no plain value, however deep.
NO_VALUE = (SyntaxError, ValueError, TypeError, MemoryError, RecursionError)


def module_tree(content: str | bytes, file: str = "<unknown>") -> ast.Module:
    """The tree of a file's content; raises what `ast.parse` raises."""
    return _parsed(content, file, "exec")


def expression_tree(text: str) -> ast.expr:
    """The tree of one expression; raises what `ast.parse` raises."""
    return _parsed(text, "<unknown>", "eval").body


def _parsed(content: str | bytes, file: str, mode: str) -> Any:
    for _ in range(TRIES - 1):
        try:
            return ast.parse(content, filename=file, mode=mode)
        except SystemError:
            continue
    return ast.parse(content, filename=file, mode=mode)
