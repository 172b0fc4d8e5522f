"""Imports go one way: product_handler -> recognition -> errors and reply, and nothing of it goes out of handler/.

The modules that follow a catalog stand beside recognition: they alone may use the network.
In livecart: cli -> app -> web, pipeline, catalog, bus -> types, errors, settings.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.import_arrows import livecart_violations, module_names, violations

REPOSITORY = Path(__file__).resolve().parents[1]
HANDLER = REPOSITORY / "handler"

#: A tree that keeps every rule, so that each of the cases below breaks exactly one.
SOUND = {
    "handler/product_handler.py": "import ts\nfrom recognition import errors, fuse\nfrom snapshot_follower import x\n",
    "handler/snapshot_follower.py": "import snapshot_cache, snapshot_sources\nfrom recognition import errors\n",
    "handler/snapshot_sources.py": "import requests\nimport urllib3\nfrom recognition import errors\n",
    "handler/snapshot_cache.py": "import fcntl\n",
    "handler/recognition/__init__.py": "",
    "handler/recognition/errors.py": "from __future__ import annotations\nimport json\n",
    "handler/recognition/reply.py": "import msgspec\nfrom recognition.errors import RecognitionError\n",
    "handler/recognition/fuse.py": "from urllib.parse import urlsplit\nfrom recognition import errors, reply\n",
    "handler/recognition/runtime.py": "def load():\n    from recognition.backbones.base import build\n",
    "handler/recognition/backbones/__init__.py": "from recognition.backbones import base\n",
    "handler/recognition/backbones/base.py": "import timm\nfrom recognition.errors import WeightsError\n",
    "scripts/serve.py": "from recognition import fuse\n",
}

RULES = {
    "errors imports ours": ("recognition/errors.py", "from recognition.settings import X", "errors imports nothing"),
    "errors imports the package": ("recognition/errors.py", "from recognition import fuse", "errors imports nothing"),
    "reply imports more": ("recognition/reply.py", "from recognition import fuse", "reply imports only errors"),
    "reply imports lazily": ("recognition/reply.py", "def f():\n    import recognition.fuse", "reply imports only"),
    "a cycle": ("recognition/errors.py", "import recognition.reply", "cycle: recognition.errors -> recognition.reply"),
    "a lazy cycle": ("recognition/errors.py", "def f():\n    from . import fuse", "cycle: "),
    "the server": ("recognition/fuse.py", "from ts.context import Context", "no server and no network"),
    "requests": ("recognition/fuse.py", "import requests", "no server and no network"),
    "socket in a function": ("recognition/fuse.py", "def f():\n    import socket", "no server and no network"),
    "urllib.request": ("recognition/fuse.py", "from urllib.request import urlopen", "no server and no network"),
    "http": ("recognition/backbones/base.py", "import http.client", "no server and no network"),
    "the entry from below": ("recognition/fuse.py", "import product_handler", "below the entry"),
    "a script": ("product_handler.py", "import scripts.build_archive", "an archive of its own"),
    "a script by its bare name": ("recognition/fuse.py", "import serve", "an archive of its own"),
    "tests": ("recognition/fuse.py", "from tests.stand_ins import solid", "an archive of its own"),
    "benchmarks": ("recognition/fuse.py", "from benchmarks import x", "an archive of its own"),
    "backbones at once": ("recognition/runtime.py", "from recognition import backbones", "OpenVINO"),
    "a backbone at once": ("recognition/runtime.py", "import recognition.backbones.base", "OpenVINO"),
    "a backbone by a dot": ("recognition/runtime.py", "from .backbones import base", "OpenVINO"),
    "a backbone in a try": (
        "recognition/runtime.py",
        "try:\n    from .backbones import base\nfinally:\n    1",
        "OpenVINO",
    ),
    "another module of ours": ("product_handler.py", "import helpers", "the entry imports only recognition"),
    "a source from the entry": ("product_handler.py", "import snapshot_sources", "only recognition and the follower"),
    "the follower from below": ("recognition/fuse.py", "import snapshot_follower", "below the entry"),
    "a source from below": ("recognition/fuse.py", "def f():\n    import snapshot_sources", "below the entry"),
    "urllib3": ("recognition/fuse.py", "import urllib3", "no server and no network"),
    "the follower knows snapshots": ("snapshot_follower.py", "from recognition import snapshot", "only errors"),
    "a source knows recognition": ("snapshot_sources.py", "from recognition.fuse import x", "only errors"),
    "a cache knows the server": ("snapshot_cache.py", "import ts.context", "needs no server"),
    "a cycle of the follower": ("snapshot_cache.py", "import snapshot_follower", "cycle: "),
}


def tree(folder: Path, **added: str) -> Path:
    files = {
        **SOUND,
        "handler/helpers.py": "",
        "handler/recognition/settings.py": "",
        "handler/recognition/snapshot.py": "",
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for name, text in added.items():
        path = folder / "handler" / name
        path.write_text(f"{path.read_text()}{text}\n")
    return folder / "handler"


def test_every_import_of_the_archive_follows_the_arrows():
    assert violations(HANDLER) == []


def test_the_check_sees_the_archives_modules():
    names = module_names(HANDLER)
    assert {"product_handler", "recognition", "recognition.errors", "recognition.backbones.base"} <= set(names)


def test_a_sound_tree_passes(tmp_path):
    assert violations(tree(tmp_path)) == []


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_catches_who_breaks_it(tmp_path, rule):
    module, text, told = RULES[rule]
    found = violations(tree(tmp_path, **{module: text}))
    assert any(told in line for line in found), found


def test_what_only_type_checkers_see_may_name_a_backbone(tmp_path):
    text = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from recognition.backbones.base import Backbone"
    assert violations(tree(tmp_path, **{"recognition/runtime.py": text})) == []


def test_a_violation_names_module_line_and_import(tmp_path):
    found = violations(tree(tmp_path, **{"recognition/fuse.py": "import socket"}))
    assert found == ["recognition.fuse, line 3: imports socket: recognition knows no server and no network"]


def test_a_worker_on_openvino_loads_neither_torch_nor_timm_nor_the_server():
    # What the arrows are for, seen in a fresh interpreter: also what third-party packages would pull in.
    code = (
        "import sys; from recognition import recognizer, request;"
        "print(sorted({'torch', 'timm', 'ts', 'requests', 'torchvision'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=HANDLER, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


#: A livecart that keeps every rule.
SOUND_LIVECART = {
    "__init__.py": "",
    "__main__.py": "from livecart.cli.commands import main\n",
    "cli/__init__.py": "",
    "cli/commands.py": "from livecart.app import run\nfrom livecart.pipeline.gate import Gate\n",
    "app.py": "from livecart import bus, room_book\nfrom livecart.web.api import create\n",
    "room_book.py": "from livecart.pipeline import gate\n",
    "types.py": "import types\n",
    "errors.py": "",
    "settings.py": "from livecart.errors import SettingsError\n",
    "web/__init__.py": "",
    "web/api.py": "import fastapi\nfrom livecart.types import X\nfrom livecart import settings\n",
    "bus/__init__.py": "from livecart.bus.memory import MemoryBus\n",
    "bus/memory.py": "import types\nfrom livecart.errors import BusError\n",
    "catalog/__init__.py": "",
    "pipeline/__init__.py": "",
    "pipeline/gate.py": "import numpy\nfrom ..errors import StreamError\n",
}

LIVECART_RULES = {
    "the bus from the pipeline": ("pipeline/gate.py", "from livecart.bus import memory", "pipeline knows only types"),
    "the pipeline from the web": ("web/api.py", "from livecart.pipeline import gate", "web knows only types"),
    "the web from the catalog": ("catalog/__init__.py", "import livecart.web.api", "catalog knows only types"),
    "a part in a function": ("bus/memory.py", "def f():\n    from livecart.pipeline import gate", "bus knows only"),
    "a part by dots": ("bus/memory.py", "from ..pipeline import gate", "bus knows only"),
    "the app from a part": ("web/api.py", "from livecart.app import run", "web knows only types"),
    "a module beside the app": ("web/api.py", "from livecart import room_book", "web knows only types"),
    "the command line from the app": ("app.py", "from livecart.cli import commands", "above the app"),
    "the command line from a part": ("bus/memory.py", "import livecart.cli", "bus knows only"),
    "a part from types": ("types.py", "from livecart.bus import memory", "below everything"),
    "the app from settings": ("settings.py", "import livecart.app", "below everything"),
    "torch": ("pipeline/gate.py", "import torch", "needs no weights"),
    "OpenCV in a function": ("pipeline/gate.py", "def f():\n    import cv2", "needs no weights"),
    "Pillow": ("cli/commands.py", "from PIL import Image", "needs no weights"),
    "the archive": ("pipeline/gate.py", "from handler.recognition import fuse", "over HTTP only"),
    "recognition by its bare name": ("pipeline/gate.py", "from recognition import fuse", "over HTTP only"),
    "a script": ("cli/commands.py", "import scripts.serve", "over HTTP only"),
    "a cycle": ("room_book.py", "from livecart import app", "cycle: "),
}


def livecart_tree(folder: Path, **added: str) -> Path:
    for name, text in SOUND_LIVECART.items():
        path = folder / "livecart" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + added.get(name, ""))
    return folder


def test_every_import_of_livecart_follows_the_arrows():
    assert livecart_violations(REPOSITORY) == []


def test_a_sound_livecart_passes(tmp_path):
    assert livecart_violations(livecart_tree(tmp_path)) == []


@pytest.mark.parametrize("rule", LIVECART_RULES)
def test_each_rule_of_livecart_catches_who_breaks_it(tmp_path, rule):
    module, text, told = LIVECART_RULES[rule]
    found = livecart_violations(livecart_tree(tmp_path, **{module: text + "\n"}))
    assert any(told in line for line in found), found


def test_livecarts_types_are_not_the_archives(tmp_path):
    livecart_tree(tmp_path)
    assert violations(tree(tmp_path, **{"recognition/fuse.py": "import types"})) == []


def test_the_command_line_loads_no_weights_and_no_image_library():
    code = (
        "import sys; import livecart.cli.commands;"
        "print(sorted({'torch', 'cv2', 'PIL', 'matplotlib', 'recognition', 'aiortc'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
