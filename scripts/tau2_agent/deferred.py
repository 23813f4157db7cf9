"""Libraries that something imports without using them, left out until somebody does.

tau2 imports deepdiff for one function, which prints how two databases differ, and deepdiff imports
pandas and numpy: two thirds of the time and of the memory of every small program here.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


def defer(module: str, *functions: str) -> None:
    """From now on `from module import function` does not import the module; a call does.

    So does asking for anything else that it holds. Without effect where the module is imported
    already, or not installed. functions: names that the importers only call.
    """
    spec = None if module in sys.modules else importlib.util.find_spec(module)
    if spec is not None:
        sys.modules[module] = _Deferred(spec, functions)


class _Deferred(ModuleType):
    """Stands in sys.modules until the real module takes its place there."""

    def __init__(self, spec: ModuleSpec, functions: tuple[str, ...]) -> None:
        super().__init__(spec.name)
        self.__spec__ = spec
        self.__path__ = spec.submodule_search_locations  # its parts are found as ever
        self._functions = functions

    def __getattr__(self, name: str) -> Any:
        if name in self._functions:
            return lambda *values, **named: getattr(self._real(), name)(*values, **named)
        if name.startswith("__"):  # who looks through all modules is no user of this one
            raise AttributeError(name)
        return getattr(self._real(), name)

    def _real(self) -> ModuleType:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return importlib.import_module(self.__name__)
