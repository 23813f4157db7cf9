"""--config and --configfile, as Snakemake reads them, before it does.

argparse takes the last of two equal options and says nothing, and Snakemake answers several
mistakes with a traceback before any code of this project runs. `check_command_line` says each in a
line: `./run demo` asks it first (`python -m tau2_agent.config.command_line WORDS`), and so do the
programs that take these two options.
"""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from tau2_agent import cli
from tau2_agent.config.layers import COMMAND_LINE, ConfigError, Layer, file_layers, parse, read_yaml

# Snakemake's options that configure, by all their spellings.
SPELLINGS = {
    "--config": COMMAND_LINE,
    "-C": COMMAND_LINE,
    "--configfile": "--configfile",
    "--configfiles": "--configfile",
}


def check_command_line(arguments: Sequence[str]) -> None:
    """Refuse what Snakemake would drop silently, or end at with a traceback. Raises ConfigError.

    arguments: as in sys.argv[1:].
    """
    given: dict[str, list[str]] = {}
    for option, words in _options(arguments):
        if option in given:
            together = {COMMAND_LINE: "--config A=1 B=2", "--configfile": "--configfile A B"}
            raise ConfigError(
                f"{option} is given twice, and only the last would count; write one: "
                f"{together[option]}"
            )
        given[option] = words
    _check_pairs(given.get(COMMAND_LINE, []))
    for word in given.get("--configfile", []):
        _check_file(word)


def program_layers(root: Path, files: Sequence[Path], pairs: Sequence[str]) -> list[Layer]:
    """Return the layers of a program that takes --configfile and --config as Snakemake does.

    root: the project, whose config.yaml counts where the working directory has none. pairs: words
    KEY=VALUE. Raises ConfigError.
    """
    check_command_line(sys.argv[1:])
    own = Path("config.yaml")
    given: dict[str, Any] = {}
    for pair in pairs:
        key, value = _pair(pair)
        try:
            given[key] = parse(value, f"{COMMAND_LINE} {key}")
        except yaml.YAMLError:
            raise ConfigError(f"--config {pair}: the value is no valid YAML; correct it") from None
    named = [("config.yaml", read_yaml(own if own.exists() else root / own, "config.yaml"))]
    return [*named, *file_layers(files), (COMMAND_LINE, given)]


def _check_pairs(words: Sequence[str]) -> None:
    keys: set[str] = set()
    for word in words:
        key, value = _pair(word)
        with contextlib.suppress(yaml.YAMLError):  # a text, for Snakemake
            parse(value, f"{COMMAND_LINE} {key}")
        if key in keys:
            raise ConfigError(
                f"{COMMAND_LINE}: {key} is given twice, and only the last would count; join "
                f"them, such as {key}={{A: 1, B: 2}}"
            )
        keys.add(key)


def _pair(word: str) -> tuple[str, str]:
    """The key and the value of a word of --config. Raises ConfigError."""
    key, equals, value = word.partition("=")
    if not equals:
        raise ConfigError(
            f"--config {word}: write KEY=VALUE, such as seed=1; targets and files stand before "
            "--config, which takes all that follows"
        )
    section, dot, name = key.partition(".")
    if dot:
        raise ConfigError(
            f"--config {word}: a key in a section is written '{section}={{{name}: {value}}}'"
        )
    if not re.fullmatch(r"[a-zA-Z_][\w-]*\w", key):  # Snakemake's rule
        raise ConfigError(f"--config {word}: {key!r} is no key; write KEY=VALUE, such as seed=1")
    return key, value


def _check_file(word: str) -> None:
    """A file of --configfile that can be read and says something. Raises ConfigError."""
    if not Path(word).exists():
        raise ConfigError(
            f"--configfile {word}: there is no such file; targets stand before --configfile, "
            "which takes all that follows"
        )
    if not read_yaml(Path(word)):
        raise ConfigError(f"--configfile {word} has no keys, which Snakemake refuses; leave it out")


def _options(arguments: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield the options that configure, each with its values."""
    option, words = "", []
    for word in [*arguments, "--"]:
        if not word.startswith("-"):
            words.append(word)
            continue
        if option:
            yield option, words
        name, equals, value = word.partition("=")
        if name.startswith("-C") and not name.startswith("--") and name != "-C":
            name, equals, value = "-C", "=", word[2:]  # the value may follow at once
        option, words = SPELLINGS.get(name, ""), [value] if equals else []
        if word == "--":
            return


def main() -> int:
    check_command_line(sys.argv[1:])
    return 0


if __name__ == "__main__":
    cli.run(main)
