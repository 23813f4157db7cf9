"""Print every setting in force and where its value comes from.

    python scripts/show_config.py --config preset=qwen3-4b 'grpo={lr: 2.0e-6}'

Takes --configfile and --config as Snakemake does. With --template it prints config.yaml as it is
shipped, which is made from the settings (tau2_agent/config/settings.py) and the presets.
"""

from __future__ import annotations

from pathlib import Path

from tau2_agent import cli
from tau2_agent.config.backend import choose
from tau2_agent.config.command_line import program_layers
from tau2_agent.config.program_options import add_configuration
from tau2_agent.config.show import in_force, template
from tau2_agent.config.sweeps import PLAIN, resolve_runs

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    parser = cli.parser(__doc__)
    add_configuration(parser)
    parser.add_argument("--template", action="store_true", help="print the shipped config.yaml")
    args = parser.parse_args()
    if args.template:
        print(template(ROOT / "presets"), end="")
        return 0
    layers = program_layers(ROOT, args.configfile, args.config)
    runs = resolve_runs(layers, ROOT / "presets", choose)
    plain = in_force(runs[PLAIN].settings)
    width = max(len(f"{key}: {value}") for key, value, _ in plain if len(value) < 40)
    for name, run in runs.items():
        if name != PLAIN:
            print(f"\nrun {name}, where it differs:")
        for row in in_force(run.settings):
            if name == PLAIN or row not in plain:
                key, value, origin = row
                print(f"{f'{key}: {value}':{width}}  # {origin}")
    return 0


if __name__ == "__main__":
    cli.run(main)
