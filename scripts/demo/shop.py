"""Clip and catalog of the demo: a clip of drawn products, made once, and a catalog in SQLite."""

import hashlib
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from contract.catalog import CATALOG_FILE, read_catalog
from demo.errors import DemoError
from livecart.core.errors import LivecartError
from livecart.core.untrusted import preload
from livecart.shop.import_export.folder import import_folder
from livecart.shop.repositories import hosts, tokens
from livecart.shop.service import open_catalog
from livecart.shop.settings import CatalogSettings
from torchserve_plan import CONFIG_FILE, ROOT

# Photos are checked in processes that import the script which runs, and so all that it imports: once, not each time.
preload("demo.stage")

#: Options of scripts/make_clip.py. A product comes again 30 s after it left, so that its card does as well.
#: Nobody is drawn but hands: a detector of faces does not know a drawn one, and a card might cover it.
CLIP_OPTIONS = (
    "--hands-only",
    *("--seed", "1", "--duration", "48", "--shows", "5", "--size", "720x1280", "--fps", "25"),
    *("--bitrate", "1500k", "--keyframe-distance", "1", "--catalog-products", "12"),
)
_TOKEN_S = 12 * 3600.0


@dataclass(frozen=True)
class Shop:
    """The stream and the catalog. `truth` says what the clip shows, where we drew it."""

    source: str
    catalog: Path | None
    truth: Path | None


def drawn_shop(folder: Path, tell: Callable[[str], None]) -> Shop:
    """The clip and its catalog in `folder`, made unless they are there, of the same program and options.

    `tell` is told before it takes long.

    Raises:
        DemoError: it cannot be made.
    """
    programs = sorted((ROOT / "scripts" / "clips").glob("*.py"))
    digest = hashlib.sha256(repr(CLIP_OPTIONS).encode())
    for program in programs:
        digest.update(program.read_bytes())
    place = folder / digest.hexdigest()[:16]
    shop = Shop(str(place / "clip.mp4"), place / "catalog", place / "truth.json")
    if place.is_dir():
        return shop
    tell("制作视频与商品目录 making the clip and its catalog (once, a minute of one core) ...")
    shutil.rmtree(folder, ignore_errors=True)
    part = folder / "part"
    part.mkdir(parents=True)
    places = ("--out", part / "clip.mp4", "--truth", part / "truth.json", "--catalog-out", part / "catalog")
    command = [sys.executable, str(ROOT / "scripts" / "make_clip.py"), *map(str, places), *CLIP_OPTIONS]
    if subprocess.run(command, check=False).returncode != 0:
        raise DemoError("the clip could not be made; see above")
    part.rename(place)
    return shop


def link_hosts(catalog: Path) -> list[str]:
    """The hosts that the catalog's links lead to: who shows a catalog of their own allows them.

    Raises:
        DemoError: there is no such catalog, or it is none.
    """
    path = catalog / CATALOG_FILE
    try:
        links = [entry.url for entry in read_catalog(path.read_text(encoding="utf-8-sig"))]
        found = sorted({urlsplit(link).netloc.rpartition("@")[2] for link in links})
    except OSError as error:
        raise DemoError(
            f"{path}: cannot be read: {error.strerror}; name a folder with a catalog.json, as docs/catalog.md has it"
        ) from error
    except ValueError as error:
        raise DemoError(f"{path}: is no catalog ({error}); docs/catalog.md has the form") from error
    if not found or not all(found):
        raise DemoError(f"{path}: names no product with a link")
    return found


def fill_catalog(settings: CatalogSettings, catalog: Path, allowed: list[str]) -> str:
    """Make the database and put the folder's products in. Returns a token for the staff's pages, good for 12 hours.

    Raises:
        DemoError: the folder cannot be taken.
    """
    try:
        with open_catalog(settings) as service:
            service.store.upgrade()
            with service.store.write("demo") as session:
                for host in allowed:
                    hosts.allow(session, host)
                token, _ = tokens.issue(session, "demo", "admin", lifetime_s=_TOKEN_S)
            done = import_folder(service.store, service.photos, catalog, who="demo")
    except (LivecartError, OSError) as error:
        raise DemoError(f"{catalog}: {error}") from error
    for sku, name, reason in done.bad_photos:
        print(f"demo: left out: sku {sku!r}: {name}: {reason}", file=sys.stderr)
    return token


def following_archive(archive: Path, target: Path, snapshot: Path, allowed: list[str]) -> Path:
    """A copy of the archive that follows `snapshot`, and takes links to these hosts beside those of its own."""
    with zipfile.ZipFile(archive) as given, zipfile.ZipFile(target, "w") as copy:
        for info in given.infolist():
            content = given.read(info)
            if info.filename == CONFIG_FILE:
                config = yaml.safe_load(content)
                config["handler"]["catalog"] = {"source": str(snapshot), "poll_s": 0.5}
                config["handler"]["allowed_hosts"] = sorted({*config["handler"]["allowed_hosts"], *allowed})
                content = yaml.safe_dump(config, allow_unicode=True).encode()
            copy.writestr(info, content)
    return target


def config_of(archive: Path, folder: Path) -> Path:
    """The archive's own model-config.yaml, laid into `folder`: its hosts are those that snapshots may link to."""
    with zipfile.ZipFile(archive) as given:
        return Path(given.extract(CONFIG_FILE, folder))
