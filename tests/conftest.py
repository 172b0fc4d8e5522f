"""Fixtures that several kinds of tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ARCHIVE = ROOT / "model_store" / "product_recognizer.mar"


@pytest.fixture(scope="session")
def archive() -> Path:
    """The built archive."""
    if not ARCHIVE.is_file():
        pytest.fail(f"{ARCHIVE} is not built; `make test` builds it, or run `make archive` first")
    return ARCHIVE


@pytest.fixture(scope="session")
def eval_data() -> Path:
    """Folder of real photos that is not part of the repository."""
    folder = Path(os.environ.get("LIVECART_EVAL_DATA", ROOT.parent / "shared" / "eval"))
    if not folder.is_dir():
        pytest.skip(f"no evaluation photos: LIVECART_EVAL_DATA or {folder} is not there")
    return folder
