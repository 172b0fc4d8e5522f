"""Stands in for scripts/build_catalog.py: `snapshot_builder.py FOLDER OUTPUT [MODE]`. Run as a program.

Writes the skus of catalog.json, and how many photos the snapshot before did not know.
"""

import json
import sys
import time
from pathlib import Path


def main() -> int:
    folder, output, mode = Path(sys.argv[1]), Path(sys.argv[2]), [*sys.argv, ""][3]
    catalog = json.loads((folder / "catalog.json").read_text(encoding="utf-8"))
    known = set(json.loads(output.read_text())["photos"]) if output.exists() else set()
    photos = sorted({name for product in catalog["products"] for name in product.get("photos", [])})
    for name in photos:
        (folder / name).read_bytes()
    if mode == "hang":
        output.write_text("half of a snap")
        time.sleep(600)
    if mode == "fail":
        output.write_text("half of a snap")
        print("build_catalog: product 3: no such thing", file=sys.stderr)
        return 1
    if mode == "nothing":
        return 0
    if mode == "slow":
        time.sleep(0.2)
    made = {
        "skus": [product["sku"] for product in catalog["products"]],
        "photos": photos,
        "embedded": len(set(photos) - known),
    }
    part = output.with_suffix(".part")
    part.write_text(json.dumps(made))
    part.replace(output)
    print(json.dumps({"products": len(made["skus"])}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
