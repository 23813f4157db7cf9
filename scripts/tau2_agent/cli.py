"""How every program here begins and ends.

A mistake that its user can mend (`errors.PipelineError`, a file that is missing or of another kind,
a full disk, too little memory) is one line and exit status 2; one of ours keeps its traceback.

Importing this quiets what tau2 imports: loguru would write every step to stderr, and litellm would
fetch its price list over the network. Both read their environment when they are first imported.
deepdiff, which nobody here calls, is not imported at all.
"""

from __future__ import annotations

import argparse
import codecs
import locale
import os
import sys
from collections.abc import Callable
from pathlib import Path

from tau2_agent.deferred import defer
from tau2_agent.errors import PipelineError
from tau2_agent.files import DiskFull, disk_full_place, is_disk_full
from tau2_agent.memory import OutOfMemory, is_out_of_memory

# What to do about a path that the system refuses; libraries raise some of these without its name.
REMEDIES = {
    FileNotFoundError: "check the path",
    PermissionError: "get the right to it, or name another path",
    IsADirectoryError: "name a file",
    NotADirectoryError: "a part of the path is a file; correct it",
    FileExistsError: "move it away, or name another path",
}

os.environ.setdefault("LOGURU_AUTOINIT", "False")
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
defer("deepdiff", "DeepDiff")


def parser(doc: str | None) -> argparse.ArgumentParser:
    """A parser whose description is the program's own docstring, defaults shown with --help."""

    class Formatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
        pass

    made = argparse.ArgumentParser(description=doc, formatter_class=Formatter)
    made.register("type", Path, _path)
    return made


def _path(text: str) -> Path:
    """A path of the command line. An empty one, as of an unset variable, would be this folder."""
    if not text:
        raise argparse.ArgumentTypeError("an empty path; name a file or a folder")
    return Path(text)


def file_to_write(text: str) -> Path:
    """A path of the command line for a result: hours of work must not end at a folder."""
    path = _path(text)
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{text} is a folder; name a file")
    return path


def run(main: Callable[[], int | None]) -> None:
    """Run a program's `main` and exit with its status: 2 for a mistake that its user can mend."""
    _speak_utf8()
    try:
        status = main()
        sys.stdout.flush()
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # Whoever read, such as `head`, has enough; nor may the interpreter complain at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except Exception as error:
        if is_disk_full(error):
            error = DiskFull(disk_full_place(error))
        elif not isinstance(error, PipelineError) and is_out_of_memory(error):
            error = OutOfMemory(error)
        text = str(error) if isinstance(error, PipelineError) else _about_a_path(error)
        if text is None:
            raise
        print(f"error: {text}", file=sys.stderr)
        sys.exit(2)
    sys.exit(status or 0)


def _about_a_path(error: Exception) -> str | None:
    """What the system says of a path, and what to do; None for an error about anything else."""
    remedy = next((do for kind, do in REMEDIES.items() if isinstance(error, kind)), None)
    if isinstance(error, OSError) and isinstance(error.filename, str | os.PathLike):
        place = os.fspath(error.filename2 or error.filename)
        return f"{place}: {error.strerror}; {remedy or 'name a path elsewhere, or mend its disk'}"
    return f"{error}; {remedy}" if remedy else None


def _speak_utf8() -> None:
    """Begin again in Python's UTF-8 mode where the locale is another one.

    tau2 opens its policy and its tasks without saying how they are encoded: in another locale they
    cannot be read, or are read wrongly without a word.
    """
    if sys.flags.utf8_mode or codecs.lookup(locale.getencoding()).name == "utf-8":
        return
    os.environ["PYTHONUTF8"] = "1"  # for what the program starts
    os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])
