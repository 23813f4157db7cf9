"""How every program here ends: mistakes of its user in one line, mistakes of ours with a traceback.

Errors that this package defines are written for people, as are missing files and full disks.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from tau2_agent.files import disk_full_message, disk_full_place, is_disk_full


class InputError(ValueError):
    """Something that was asked for cannot be; the message says what to do."""


def parser(doc: str | None) -> argparse.ArgumentParser:
    """A parser whose description is the program's own docstring, defaults shown with --help."""

    class Formatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
        pass

    return argparse.ArgumentParser(description=doc, formatter_class=Formatter)


def run(main: Callable[[], int | None]) -> None:
    """Run a program's `main` and exit with its status: 2 for a mistake that its user can mend."""
    try:
        status = main()
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if is_disk_full(error):
            sys.exit(disk_full_message(disk_full_place(error)))
        ours = type(error).__module__.startswith("tau2_agent")
        if not ours and not isinstance(error, FileNotFoundError | PermissionError):
            raise
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    sys.exit(status or 0)
