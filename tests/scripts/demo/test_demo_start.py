"""What `make demo` says to who starts it: what cannot be used, and how the pages are reached from elsewhere."""

import time
import tomllib
import zipfile
from pathlib import Path

import psutil
import pytest
import yaml

import demo_live
from demo.errors import DemoError
from demo.shop import config_of, following_archive, link_hosts
from demo.system import _livecart, _rooms_toml
from livecart.shop.settings import CatalogSettings
from torchserve_plan import ROOT


def test_a_catalog_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DemoError, match=r"shop/catalog\.json: cannot be read: No such file.*docs/catalog\.md"):
        link_hosts(tmp_path / "shop")


@pytest.mark.parametrize("text", ["{", "[]", '{"products": [{"name": "tea"}]}'])
def test_a_file_that_is_no_catalog_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "catalog.json").write_text(text, encoding="utf-8")
    with pytest.raises(DemoError, match=r"catalog\.json: is no catalog .*docs/catalog\.md"):
        link_hosts(tmp_path)


def test_over_ssh_both_ports_are_forwarded() -> None:
    urls = ("http://127.0.0.1:9085", "http://127.0.0.1:4000")
    over_ssh = {"SSH_CONNECTION": "198.51.100.7 50000 203.0.113.9 22"}
    assert (
        demo_live.tunnel_command(over_ssh, *urls) == "ssh -N -L 9085:127.0.0.1:9085 -L 4000:127.0.0.1:4000 203.0.113.9"
    )
    assert demo_live.tunnel_command({}, *urls) is None


def test_snapshots_are_built_with_the_shop_s_own_hosts(tmp_path: Path) -> None:
    """The checkout's configuration allows only the example's host: a shop's own products would never be published."""
    given = tmp_path / "given.mar"
    with zipfile.ZipFile(given, "w") as archive:
        archive.write(ROOT / "handler" / "model-config.yaml", "model-config.yaml")
    following = following_archive(given, tmp_path / "following.mar", tmp_path / "catalog.snapshot", ["shop.cn"])
    path = config_of(following, tmp_path)
    settings = CatalogSettings(url="sqlite:///c.db", archive=str(following), model_config=str(path))
    said = tomllib.loads(_rooms_toml(1, 2, flv_url="a.flv", playback_url="a.m3u8", catalog=settings, most_viewers=3))[
        "catalog"
    ]
    assert said["archive"] == str(following)
    config = yaml.safe_load(Path(said["model_config"]).read_text(encoding="utf-8"))
    # The links that the archive holds itself are checked too, when it starts.
    assert config["handler"]["allowed_hosts"] == ["shop.cn", "shop.example.com"]


def test_what_livecart_s_programs_leave_behind_goes_with_the_demo(tmp_path: Path) -> None:
    """The builder of snapshots unpacks the archive, and is ended before it has cleared up."""
    with _livecart(tmp_path / "rooms.toml", tmp_path / "livecart.log") as process:
        temporary = Path(_environment_of(process.pid)["TMPDIR"])
    assert temporary.is_dir()
    assert temporary.parent == tmp_path


def _environment_of(pid: int, limit_s: float = 10.0) -> dict[str, str]:
    """What a program was started with. For a moment after its start, until the kernel has laid it out, it is empty."""
    end_s = time.monotonic() + limit_s
    while not (environment := psutil.Process(pid).environ()) and time.monotonic() < end_s:
        time.sleep(0.001)
    return environment
