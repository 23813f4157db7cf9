"""A library that is only named is not imported; whoever uses it gets the real one."""

from __future__ import annotations

import importlib
import inspect
import sys

import pytest

from tau2_agent.deferred import defer


@pytest.fixture
def large(tmp_path, monkeypatch):
    """Name of a package that nobody has imported yet, with a function, a class and a part."""
    folder = tmp_path / "large_library"
    folder.mkdir()
    (folder / "__init__.py").write_text(
        "from large_library.part import Part\ndef add(a, b=1):\n    return a + b\n"
    )
    (folder / "part.py").write_text("class Part:\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield folder.name
    for name in [name for name in sys.modules if name.partition(".")[0] == folder.name]:
        del sys.modules[name]


def is_imported(name: str) -> bool:
    return f"{name}.part" in sys.modules


def test_a_function_imports_it_when_it_is_called(large) -> None:
    defer(large, "add")
    from large_library import add

    assert not is_imported(large)
    assert (add(1), add(1, b=3)) == (2, 4)
    assert is_imported(large) and sys.modules[large].__file__


def test_anything_else_of_it_is_the_real_thing(large) -> None:
    defer(large, "add")
    from large_library import Part

    assert Part is importlib.import_module("large_library.part").Part
    with pytest.raises(ImportError, match="nothing"):
        from large_library import nothing  # noqa: F401


def test_its_parts_are_imported_as_ever(large) -> None:
    defer(large, "add")
    import large_library.part

    assert large_library.part.Part.__module__ == "large_library.part"


def test_looking_through_all_modules_imports_nothing(large) -> None:
    defer(large, "add")
    assert importlib.util.find_spec(large) is not None
    inspect.getmodule(test_looking_through_all_modules_imports_nothing)
    assert not hasattr(sys.modules[large], "__file__")
    assert not is_imported(large)


def test_what_is_imported_or_not_installed_stays_so(large) -> None:
    real = importlib.import_module(large)
    defer(large, "add")
    assert sys.modules[large] is real
    defer("no_such_library", "add")
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("no_such_library")
