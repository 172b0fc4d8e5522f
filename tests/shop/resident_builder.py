"""Stands in for scripts/build_catalog.py --serve: `resident_builder.py LOG [MODE]`. Run as a program.

Each run appends its process id to LOG. MODE `die`: it ends at its first order; `die-once`: only in its first run;
`leave`: it ends orderly after each build; `hang`: it never answers; `mad`: it answers nonsense.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

BUILDER = Path(__file__).with_name("snapshot_builder.py")


def main() -> int:
    log, mode = Path(sys.argv[1]), [*sys.argv, ""][2]
    runs = len(log.read_text().split()) if log.exists() else 0
    with log.open("a") as file:
        file.write(f"{os.getpid()}\n")
    print(json.dumps({"ok": True, "ready": True}), flush=True)
    built = 0
    for line in sys.stdin:
        order = json.loads(line)
        if mode == "leave" and built:
            return 0
        if mode == "die" or (mode == "die-once" and runs == 0):
            return 3
        if mode == "hang":
            time.sleep(600)
        if mode == "mad":
            print("no JSON", flush=True)
            continue
        command = [sys.executable, str(BUILDER), order["folder"], order["output"]]
        made = subprocess.run(command, capture_output=True, check=False)
        built += 1
        answer = {"ok": True} if made.returncode == 0 else {"ok": False, "error": made.stderr.decode()[-300:]}
        print(json.dumps(answer), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
