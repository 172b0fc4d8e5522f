"""Everything of the demo, up: the stream, TorchServe, livecart, and their addresses."""

import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from msgspec import structs

from demo.origin import serving
from demo.shop import Shop, config_of, drawn_shop, fill_catalog, following_archive, link_hosts
from demo.station import PLAYLIST, Station
from demo.system import System, running
from livecart.shop.settings import CatalogSettings
from torchserve_plan import ROOT

#: The clip is kept here; `make clean` removes it.
KEPT = ROOT / "build" / "demo"


@dataclass(frozen=True)
class Stage:
    """Addresses of what runs. `token` opens the staff's pages; browsers play from `stream_url`."""

    shop: Shop
    station: Station
    stream_url: str
    system: System
    token: str | None


def choose_shop(source: str | None, catalog: Path | None, tell: Callable[[str], None]) -> Shop:
    """The user's own stream and products, or the drawn ones.

    Raises:
        DemoError: the clip cannot be made.
    """
    if source is not None:
        if catalog is None:
            tell("没有 CATALOG，只认模型包自己的商品 no CATALOG: only products that the archive itself knows are shown")
        return Shop(source, catalog, None)
    return drawn_shop(KEPT, tell)


@contextmanager
def staged(shop: Shop, archive: Path, tell: Callable[[str], None], *, most_viewers: int = 200) -> Iterator[Stage]:
    """Everything, up; on leaving all of it ends and the temporary folder goes.

    Args:
        shop: what is streamed and sold.
        archive: the built one.
        tell: what is being waited for.
        most_viewers: that this machine may connect.

    Raises:
        DemoError: something does not start.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="livecart-demo-")))
        media = folder / "media"
        media.mkdir()
        station = Station(shop.source, media)
        stack.callback(station.stop)
        station.start()
        address = stack.enter_context(serving(station, media))
        token, settings = None, None
        if shop.catalog is not None:
            tell("导入商品 taking in the products ...")
            archive, settings, token = _with_catalog(shop.catalog, archive, folder)
        system = stack.enter_context(
            running(
                folder,
                archive,
                flv_url=f"{address}/live.flv",
                playback_url=f"{address}/{PLAYLIST}",
                catalog=settings,
                tell=tell,
                most_viewers=most_viewers,
            )
        )
        yield Stage(shop, station, address, system, token)


def _with_catalog(catalog: Path, archive: Path, folder: Path) -> tuple[Path, CatalogSettings, str]:
    """The archive that follows it, the filled catalog's settings, and a token for the staff's pages."""
    settings = CatalogSettings(url=f"sqlite:///{folder / 'catalog.db'}", folder=str(folder / "catalog"))
    allowed = link_hosts(catalog)
    token = fill_catalog(settings, catalog, allowed)
    store = folder / "store"
    store.mkdir()
    snapshot = folder / "catalog" / "published" / "catalog.snapshot"
    following = following_archive(archive, store / archive.name, snapshot, allowed)
    settings = structs.replace(settings, archive=str(following), model_config=str(config_of(following, folder)))
    return following, settings, token


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP end the block as Ctrl-C does, once: a second signal does not interrupt the clearing up."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def told(number: int, _frame: FrameType | None) -> None:
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt(number)

    before = {number: signal.signal(number, told) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
