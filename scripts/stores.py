"""List the stores of trainings in checkpoints/.store, and remove old ones when asked.

A training with other hyperparameters works in another store, and the old one stays: going back to
the old values finds it. This shows each store, its size, when it last changed, what of its recipe
differs from the other stores of the same checkpoint, and whether something uses it.

    python scripts/stores.py                             all stores
    python scripts/stores.py --older-than 30             those that --remove would take
    python scripts/stores.py --older-than 30 --remove    … and takes
    python scripts/stores.py --remove NAME NAME          these

Nothing is removed without --remove. A store that a checkpoint points to, or whose checkpoint is
being trained, is never removed; one that a kill left to be resumed only by its name.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from tau2_agent import cli
from tau2_agent.errors import InputError
from tau2_agent.training.stores import InUse, Store, differences, find_stores, remove, sweep

DAY = 24 * 3600.0
SHOWN = 60  # characters of a value


def main(argv: list[str] | None = None) -> int:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--checkpoints", type=Path, default=Path("checkpoints"), help="folder of checkpoints"
    )
    which = parser.add_argument_group("which old ones")
    which.add_argument("--unused", action="store_true", help="all that nothing uses")
    which.add_argument("--older-than", type=float, metavar="DAYS", help="unchanged for so long")
    parser.add_argument(
        "--remove", nargs="*", metavar="NAME", help="these, or the old ones; for good"
    )
    args = parser.parse_args(argv)
    if args.older_than is not None and not args.older_than >= 0:
        parser.error(f"--older-than {args.older_than:g}: days are 0 or more")

    stores = find_stores(args.checkpoints)
    chosen = choose(stores, args)
    if args.remove is None:
        shown = stores if chosen is None else chosen
        show(shown, differences(stores))
        if not stores:
            print(f"no stores in {args.checkpoints}")
        elif chosen is None:
            old = [store for store in stores if store.is_old]
            print(f"{total(stores)}; old: {total(old)}")
        else:
            print(f"{total(chosen)} would go; nothing is removed without --remove")
        return 0
    if chosen is None:
        raise InputError("--remove needs names, --unused or --older-than DAYS")
    sweep(args.checkpoints)
    status = 0
    for store in chosen:
        try:
            remove(store, args.checkpoints)
            print(f"removed {store.folder.name}, {size(store.size)}")
        except InUse as error:
            print(f"error: {error}", file=sys.stderr)
            status = 2
    return status


def choose(stores: list[Store], args: argparse.Namespace) -> list[Store] | None:
    """The stores that were asked for; None if none in particular. Raises InputError."""
    rule = args.unused or args.older_than is not None
    if args.remove and rule:
        raise InputError("--remove takes names, or --unused and --older-than, not both")
    if args.remove:
        by_name = {store.folder.name: store for store in stores}
        if unknown := [name for name in args.remove if Path(name).name not in by_name]:
            raise InputError(
                f"there is no store {unknown[0]} in {args.checkpoints}; they are: "
                f"{', '.join(by_name) or 'none'}"
            )
        return [by_name[Path(name).name] for name in args.remove]
    if not rule:
        return None
    before = time.time() - (args.older_than or 0.0) * DAY
    return [store for store in stores if store.is_old and store.used <= before]


def show(stores: list[Store], differ: dict[Path, dict]) -> None:
    """A few lines a store."""
    for store in stores:
        ago = (time.time() - store.used) / DAY
        when = "today" if ago < 1 else f"{ago:.0f} days ago"
        told = [size(store.size), when, *filter(None, [store.trained]), store.state]
        print(f"{store.folder.name}\n    {'; '.join(told)}")
        if values := differ[store.folder]:
            print(f"    {', '.join(f'{name} {text(value)}' for name, value in values.items())}")


def text(value: object) -> str:
    """A value of a recipe, on one line."""
    line = "not told" if value is None else json.dumps(value)
    return line if len(line) <= SHOWN else f"{line[: SHOWN - 1]}…"


def total(stores: list[Store]) -> str:
    """How many, and their size."""
    return f"{len(stores)} stores, {size(sum(store.size for store in stores))}"


def size(count: float) -> str:
    """Bytes as people read them."""
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count / 1e3:.0f} kB"


if __name__ == "__main__":
    cli.run(main)
