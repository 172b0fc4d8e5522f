"""What the import contracts of pyproject.toml cannot say; `make check` runs those."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGED = ("contract", "handler", "livecart", "scripts", "benchmarks")
#: What the archive's entry may import of ours.
OF_THE_ARCHIVE = {"contract", "follow", "recognition"}
NOT_OF_THE_ARCHIVE = {"livecart", "scripts", "tests", "benchmarks"} | {p.stem for p in (ROOT / "scripts").iterdir()}


def imported(path: Path) -> set[str]:
    """Top-level names that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add((node.module or "").partition(".")[0])
    return found


def test_the_archive_imports_nothing_of_ours_that_it_does_not_carry():
    files = sorted((ROOT / "handler").rglob("*.py"))
    assert len(files) > 20
    assert {str(path): names for path in files if (names := imported(path) & NOT_OF_THE_ARCHIVE)} == {}


def test_the_entry_is_glue_over_the_archives_packages():
    ours = {path.stem for path in (ROOT / "handler").iterdir()} | OF_THE_ARCHIVE
    assert imported(ROOT / "handler" / "product_handler.py") & ours <= OF_THE_ARCHIVE


@pytest.mark.parametrize(
    ("modules", "unwanted"),
    [
        # What third-party packages would pull in counts, too.
        ("recognition.recognizer, recognition.request.forms", {"torch", "timm", "ts", "requests", "torchvision"}),
        ("livecart.cli.commands", {"torch", "cv2", "PIL", "matplotlib", "recognition", "follow", "aiortc"}),
    ],
    ids=["a worker on OpenVINO", "the command line"],
)
def test_a_fresh_interpreter_loads_no_more_than_it_needs(modules, unwanted):
    code = f"import sys; import {modules}; print(sorted({unwanted!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_folders_map_names_all_that_lies_in_it():
    files = {path for part in PACKAGED for path in (ROOT / part).rglob("*.py") if "__pycache__" not in path.parts}
    maps = [path for path in files if path.name == "__init__.py" and path.parent != ROOT / "scripts"]
    assert len(maps) > 40
    missing = {}
    for path in maps:
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        inside = {each.relative_to(path.parent).parts[0] for each in files if path.parent in each.parents}
        names = {name.removesuffix(".py") for name in inside} - {"__init__", "__main__"}
        if unnamed := {name for name in names if not re.search(rf"\b{name}\b", text)}:
            missing[str(path.relative_to(ROOT))] = unnamed
    assert missing == {}
