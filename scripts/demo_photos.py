"""Show the archive at work: start a server on free ports, send real photos, print labels and purchase cards, stop."""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import torchserve_control as control
import torchserve_plan
from sample_photos import sample_photos
from torchserve_plan import ROOT, Plan, ServerError, free_port


def main() -> int:
    """Run the demo; its exit status is that of ``predict.py``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--archive", type=Path, default=torchserve_plan.ARCHIVE)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="livecart-demo-") as folder:
        plan = Plan(folder=Path(folder), archive=options.archive, port=free_port())
        print("starting TorchServe …", flush=True)
        try:
            server = control.start(plan)
        except ServerError as error:
            print(f"demo: {error}", file=sys.stderr)
            return 1
        try:
            print(f"ready at {server.inference_url}\n", flush=True)
            command = [sys.executable, str(ROOT / "scripts" / "predict.py"), "--url", server.inference_url]
            status = subprocess.run([*command, *map(str, sample_photos())], check=False).returncode
        finally:
            control.stop(plan.folder)
    print("\nYour own photos: `make serve`, then `make predict IMAGES='photo.jpg folder/'`; `make stop` ends it.")
    return status


if __name__ == "__main__":
    sys.exit(main())
