"""README.md and README.zh.md: the same commands, and each of them is one that there is; tests/e2e runs them.

And the links of these and of docs/: to files and headings that are there.
"""

import re
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from livecart.cli.commands import cli

ROOT = Path(__file__).resolve().parents[1]
_BLOCK = re.compile(r"^```bash\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def commands(name: str) -> list[str]:
    text = (ROOT / name).read_text(encoding="utf-8")
    lines = [line.partition("#")[0].strip() for block in _BLOCK.findall(text) for line in block.splitlines()]
    return [line for line in lines if line]


def test_both_languages_have_the_same_commands() -> None:
    assert commands("README.md") == commands("README.zh.md") != []


@pytest.mark.parametrize("command", [line for line in commands("README.md") if line.startswith("make ")])
def test_make_knows_it(command: str) -> None:
    outside = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/nonexistent"}
    words = command.replace("'", "").split()
    done = subprocess.run(
        ["make", "-n", *words[1:2]], cwd=ROOT, env=outside, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", [line for line in commands("README.md") if "/livecart " in line])
def test_livecart_knows_it(command: str) -> None:
    words = command.split()
    told = CliRunner().invoke(cli, [words[1], "--help"])
    assert told.exit_code == 0, told.output
    for option in (word for word in words if word.startswith("--")):
        assert option in told.output


def headings(text: str) -> set[str]:
    """As GitHub names them in links; of plain words, which is all that ours hold."""
    return {heading.lower().replace(" ", "-") for heading in re.findall(r"^#+ ([\w -]+)$", text, re.MULTILINE)}


@pytest.mark.parametrize(
    "page",
    [ROOT / "README.md", ROOT / "README.zh.md", *sorted((ROOT / "docs").glob("*.md"))],
    ids=lambda page: page.name,
)
def test_links_and_pictures_are_there(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith("https://"):
            continue
        name, _, heading = target.partition("#")
        linked = page.parent / name if name else page
        assert linked.is_file(), target
        assert not heading or heading in headings(linked.read_text(encoding="utf-8")), target


def test_programs_are_there() -> None:
    for program in re.findall(r"scripts/\w+\.py", "\n".join(commands("README.md"))):
        assert (ROOT / program).is_file(), program
