"""What the feedback loop is for: a clip is replayed before and after a report was judged, and its cards are better.

Two flavours of one brand; the shop's photos are of the first, the second is held into the camera. The archive's own
network looks at the frames in this process; everything else is the product's: decision, crop, hub, store, review,
catalog folder, snapshot.
"""

import io
import time
import zipfile

import numpy as np
import pytest
import yaml
from PIL import Image

from clips.catalog_photos import take_photo
from clips.composer import ClipPlan, compose_clip
from clips.designs import design_products
from clips.packaging import any_view, draw_package
from clips.products import ClipProduct
from livecart.core.types import Detection, Detections
from livecart.live.decide import RoomDecision
from livecart.live.enrich.crops import ProductCrop, cut_out
from livecart.live.video.picture import ArrayPicture
from livecart.shop.import_export.folder import export_folder
from livecart.shop.repositories import cards, photos, products, reviews
from livecart.shop.schemas.product import ProductPatch
from recognition.catalog.build import build_snapshot, index_arrays
from recognition.catalog.embedding import PhotoEmbedder
from recognition.network.artifact import read_info
from recognition.recognizer import Recognizer
from recognition.request.forms import Options, Request
from recognition.settings import parse_settings
from recognition.snapshot.catalog_folder import load_catalog_folder
from recognition.snapshot.read import open_snapshot
from recognition.snapshot.write import write_snapshot
from recognition.text.ocr import TextReader
from tests.conftest import ARCHIVE
from tests.server.test_feedback_store import acked, did, feeding, queue
from tests.waiting import until
from tests.web.hub_clients import Viewer

#: Flavours of one brand's biscuits that are told apart by colour and one word. Text is not read here: print alone.
KNOWN, TWIN = design_products(10, 3)[:2]
SIZE_PX = (540, 960)
SHOP = "https://shop.example.com/item/"


class Archive:
    """The built archive's recogniser, and what embeds photos for it."""

    def __init__(self, mar, folder):
        with zipfile.ZipFile(mar) as file:
            file.extractall(folder)
        settings = parse_settings(yaml.safe_load((folder / "model-config.yaml").read_text(encoding="utf-8")))
        self.recognizer = Recognizer.from_folder(folder, settings, name="product_recognizer", version="1.0")
        info = read_info(folder)
        self._embedder = PhotoEmbedder(info, self.recognizer.runtime, TextReader(threads=2), photos=20)

    def serve(self, service, folder):
        """Publish the catalog as the publisher does, and follow it."""
        with service.store.read(consistent=True) as session:
            export_folder(session, service.photos, folder)
        output = folder / "catalog.snapshot"
        previous = open_snapshot(output, fingerprint=None) if output.exists() else None
        catalog = load_catalog_folder(folder, allowed_hosts=["shop.example.com"])
        contents, report = build_snapshot(
            catalog, self._embedder, folder=folder, previous=previous, extra=lambda made: index_arrays(made, previous)
        )
        write_snapshot(output, contents)
        self.recognizer.use_catalog(self.recognizer.open_catalog(output))
        return report

    def replay(self, frames):
        """The cards of a clip: (event, the look's picture, the product's box in it)."""
        room, shown = RoomDecision("room-1"), []
        for pts_s, rgb in frames:
            options = Options(room=None, top_k=1, threshold=None, text="never")
            [reply] = self.recognizer.recognize([Request(jpeg(rgb), options)]).replies
            found = tuple(
                Detection(each.sku, each.name, each.url, each.confidence, tuple(each.box), threshold=each.threshold)
                for each in reply.products
            )
            look = Detections("room-1", pts_s, time.time(), *SIZE_PX, found, {})
            for event in room.on_result(look):
                if event.event == "card":
                    box = next(each.box_xyxy_px for each in found if each.sku == event.sku)
                    shown.append((event, rgb, box))
        return shown


def jpeg(rgb):
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, "JPEG", quality=88)
    return file.getvalue()


def clip_of(design):
    """Frames of somebody holding it, one a second, without those of bringing it in and away: the gate skips these."""

    class Held:
        def choose(self, count, seed):
            cutout = draw_package(design, any_view(np.random.default_rng(seed)))
            return [ClipProduct(design.sku, design.name, cutout)][:count]

    plan = ClipPlan(5, 8.0, SIZE_PX, fps=1, bit_rate=1, keyframe_distance_s=1, shows=1)
    composition = compose_clip(plan, Held())
    [show] = composition.truth("clip.mp4").shows
    frames = [(number / plan.fps, frame) for number, frame in enumerate(composition.frames())]
    return [(pts_s, frame) for pts_s, frame in frames if show.from_s + 1.5 <= pts_s <= show.to_s - 1]


@pytest.fixture(scope="module")
def clips():
    return {design.sku: clip_of(design) for design in (KNOWN, TWIN)}


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    if not ARCHIVE.is_file():
        pytest.fail(f"{ARCHIVE} is not built; `make test` builds it, or run `make archive` first")
    return Archive(ARCHIVE, tmp_path_factory.mktemp("archive"))


def patch_of(design):
    # A shop that shows its products sooner than it should: at the archive's own threshold no twin has a card.
    return ProductPatch(sku=design.sku, name=design.name, url=SHOP + design.sku, threshold=0.6)


def stock_the_shop(service, *designs):
    with service.store.write("alice") as session:
        for design in designs:
            products.create(session, patch_of(design))
        for seed in (1, 2):
            photo = jpeg(take_photo(KNOWN, np.random.default_rng(seed)))
            photos.add(session, service.photos, KNOWN.sku, photo)


async def report(room, card):
    """A viewer sees the card, and says that it is not this product."""
    event, rgb, box = card
    crop = cut_out(ArrayPicture(rgb), box, [])
    assert isinstance(crop, bytes), crop
    room.book.keep(ProductCrop("room-1", event.sku, event.card_id, event.confidence, "card", crop, time.time()))
    with room.service.store.write("pipeline") as session:
        cards.record(session, event)
    async with Viewer(room.api) as viewer:
        await acked(viewer, viewer.feedback(did("impression", event.card_id), did("wrong", event.card_id)))
    await until(lambda: queue(room))
    return queue(room)[0]


def decide(room, entry, state, **options):
    service = room.service
    with service.store.write("bob") as session:
        reviews.decide(
            session, service.crops, service.photos, entry.id, state, expected_version=entry.version, **options
        )


def skus(shown):
    return [event.sku for event, _, _ in shown]


async def test_a_rejected_crop_ends_a_wrong_card_and_leaves_the_right_one(tmp_path, served, clips):
    async with feeding(tmp_path) as room:
        stock_the_shop(room.service, KNOWN)
        served.serve(room.service, tmp_path / "folder")
        wrong = served.replay(clips[TWIN.sku])
        assert skus(wrong) == [KNOWN.sku]

        entry = await report(room, wrong[0])
        assert (entry.sku, entry.reason) == (KNOWN.sku, "wrong_report")
        decide(room, entry, "rejected")
        # Only what is new is embedded.
        assert served.serve(room.service, tmp_path / "folder").embedded == 1
        assert skus(served.replay(clips[TWIN.sku])) == []
        assert skus(served.replay(clips[KNOWN.sku])) == [KNOWN.sku]


async def test_a_corrected_crop_brings_the_right_card(tmp_path, served, clips):
    async with feeding(tmp_path) as room:
        # The shop sells both, and has photos of one.
        stock_the_shop(room.service, KNOWN, TWIN)
        served.serve(room.service, tmp_path / "folder")
        wrong = served.replay(clips[TWIN.sku])
        assert skus(wrong) == [KNOWN.sku]

        decide(room, await report(room, wrong[0]), "corrected", corrected_sku=TWIN.sku)
        served.serve(room.service, tmp_path / "folder")
        assert skus(served.replay(clips[TWIN.sku])) == [TWIN.sku]
        assert skus(served.replay(clips[KNOWN.sku])) == [KNOWN.sku]
