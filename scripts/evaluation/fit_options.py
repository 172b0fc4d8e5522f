"""The options that all fits have."""

from __future__ import annotations

import argparse
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def fit_parser(description: str | None, *, data: str, backgrounds: str) -> argparse.ArgumentParser:
    """With --data, --backgrounds (what these are is said by the two texts), --archive and --seed."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", required=True, help=data)
    parser.add_argument("--backgrounds", type=Path, nargs="+", required=True, help=backgrounds)
    parser.add_argument("--archive", type=Path, default=ROOT / "model_store" / "product_recognizer.mar")
    parser.add_argument("--seed", type=int, default=100, help="unlike those reported (default: %(default)s)")
    return parser
