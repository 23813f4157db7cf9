"""Writes what slime's converter writes; TAU2_TEST_TROUBLE: "fail", "half", "full" or "hang"."""

import argparse
import json
import os
import sys
import time
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--hf-checkpoint")
parser.add_argument("--save", type=Path)
args, _ = parser.parse_known_args()
trouble = os.environ.get("TAU2_TEST_TROUBLE", "")
folder = args.save / "release"
folder.mkdir(parents=True)
(folder / "common.pt").write_text("{}")
(args.save / "arguments.json").write_text(json.dumps(sys.argv[1:]))
(args.save / "environment.json").write_text(json.dumps(dict(os.environ)))
if trouble == "hang":
    time.sleep(600)
if trouble == "fail":
    raise ValueError("scripted failure of the tool")
if trouble == "full":
    sys.exit("OSError: [Errno 28] No space left on device")
if trouble != "half":
    (folder / ".metadata").write_text("")
(args.save / "latest_checkpointed_iteration.txt").write_text("release")
