"""What a shop's staff and viewers taught, as a folder that `scripts/fit_*.py` read: catalog, crops, counts."""

from dataclasses import dataclass
from pathlib import Path

import msgspec
from sqlalchemy.orm import Session

from contract.feedback import CATALOG_FOLDER, CROPS_FOLDER, FEEDBACK_FILE, Feedback, FeedbackCrop, FeedbackProduct
from livecart.core.files import write_file
from livecart.shop.errors import NotFound
from livecart.shop.import_export.folder import Exported, export_folder, place_blob, remove_old_blobs
from livecart.shop.repositories import products, reviews, viewer_events
from livecart.shop.repositories.blobs import BlobFolder
from livecart.shop.repositories.reviews import Review


@dataclass(frozen=True, slots=True)
class ExportedTraining:
    """Counts of an export. `decided` of the crops were looked at; `lost_crops` are not on the disk."""

    catalog: Exported
    crops: int
    decided: int
    lost_crops: int
    clicks: int


def export_training(session: Session, photos: BlobFolder, crops: BlobFolder, folder: Path) -> ExportedTraining:
    """Write the folder, or bring it up to date. Crops are hard links where the disk allows, and outlive the catalog's.

    Nobody but the owner may look into `crops`: they are pictures of streams.
    """
    catalog = export_folder(session, photos, folder / CATALOG_FOLDER)
    target = folder / CROPS_FOLDER
    target.mkdir(exist_ok=True)
    target.chmod(0o700)
    kept: dict[str, list[Review]] = {}
    lost = 0
    for review in reviews.every(session):
        try:
            kept.setdefault(place_blob(review.crop_digest, review.crop_kind, crops, target), []).append(review)
        except (NotFound, FileNotFoundError):
            # Retention has removed it since.
            lost += 1
    remove_old_blobs(target, kept)
    counts = {one.name: one for one in viewer_events.by_product(session, since_s=0.0, limit=products.count(session))}
    feedback = Feedback(
        crops=tuple(_crop(name, review) for name, all_of_it in kept.items() for review in all_of_it),
        products=tuple(
            FeedbackProduct(
                sku=product.sku,
                labels=product.labels,
                cards=count.cards,
                impressions=count.impressions,
                clicks=count.clicks,
                wrongs=count.wrongs,
                orders=count.sales.orders,
            )
            for product in products.every(session)
            if (count := counts.get(product.sku)) is not None
        ),
    )
    write_file(folder / FEEDBACK_FILE, msgspec.json.format(msgspec.json.encode(feedback)) + b"\n")
    decided = sum(crop.state != "pending" for crop in feedback.crops)
    clicks = sum(product.clicks for product in feedback.products)
    return ExportedTraining(catalog, len(feedback.crops), decided, lost, clicks)


def _crop(name: str, review: Review) -> FeedbackCrop:
    shows = review.sku if review.state == "approved" else review.corrected_sku
    return FeedbackCrop(
        path=f"{CROPS_FOLDER}/{name}",
        taken_for=review.sku,
        state=review.state,
        shows=shows,
        reason=review.reason,
        reports=review.reports,
        confidence=review.confidence,
        created_at_s=review.created_at_s,
    )
