"""Routes of products' photos, and of negatives: photos of what was taken for a product and is not."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, File, Path, Response, UploadFile
from sqlalchemy.orm import Session

from livecart.shop.api.openapi import Json
from livecart.shop.api.operations import KIB, IfMatch, SkuPath, Writer, Writing, expected_version, reads, writes
from livecart.shop.api.products import product_reply
from livecart.shop.api.request_schemas import OrderBody
from livecart.shop.errors import InvalidValue
from livecart.shop.files import image_reply
from livecart.shop.repositories import image_fetches, negatives, photos, products
from livecart.shop.repositories.image_fetches import Image
from livecart.shop.repositories.negatives import Negative
from livecart.shop.repositories.photo_check import MOST_BYTES, SUFFIX, check_photo
from livecart.shop.schemas.product import PhotoInfo, Product
from livecart.shop.service import CatalogService

DigestPath = Annotated[
    str, Path(pattern="^[0-9a-f]{64}$", description="SHA-256 of the photo, in hex.", examples=["e3b0c44298fc1c14" * 4])
]
#: Browsers send a bare name: whatever holds these is somebody's attempt at a path.
_NOT_IN_NAMES = frozenset("/\\\0")
_FORM_BYTES = 64 * KIB
#: For OpenAPI: what an image may be.
IMAGES = {f"image/{kind}": {"schema": {"type": "string", "format": "binary"}} for kind in SUFFIX}


class PhotoList(msgspec.Struct):
    """A product's photos in their order, and the pictures that it names by URL, which become some of them."""

    photos: tuple[PhotoInfo, ...]
    images: list[Image]


class NegativeList(msgspec.Struct):
    """Photos of what a product is not, newest first."""

    negatives: list[Negative]


def add_photos(router: APIRouter, service: CatalogService, writer: Writer) -> None:
    """`/products/{sku}/photos` and `/photos`."""
    store = service.store

    @router.get("/products/{sku:path}/photos", **reads())
    def list_photos(sku: SkuPath) -> Json[PhotoList]:
        """A product's photos, in their order."""
        with store.read() as session:
            product = products.get(session, sku)
            images = image_fetches.of_product(session, sku)
        return Json.versioned(PhotoList(product.photos, images), product.version)

    @router.post(
        "/products/{sku:path}/photos",
        status_code=201,
        **writes(most_bytes=MOST_BYTES + _FORM_BYTES),
    )
    def add_photo(
        sku: SkuPath,
        photo: Annotated[
            UploadFile, File(description="JPEG, PNG, WebP, HEIC or AVIF (kept as JPEG), at most 16 MiB; by its bytes.")
        ],
        caller: Writing,
    ) -> Json[Product]:
        """Add a photo, without its metadata. One that the product has already changes nothing."""
        name = _checked_name(photo.filename or "")
        data = check_photo(photo.file.read()).data

        def add(session: Session) -> Json[Product]:
            return product_reply(photos.add(session, service.photos, sku, data, name=name), 201)

        return writer.run(caller, add)

    @router.put("/products/{sku:path}/photos/order", **writes())
    def order_photos(sku: SkuPath, body: OrderBody, caller: Writing, if_match: IfMatch = None) -> Json[Product]:
        """Put a product's photos into another order: the first stands on its card."""
        version = expected_version(if_match, required=False)

        def order(session: Session) -> Json[Product]:
            return product_reply(photos.set_order(session, sku, body.digests, expected_version=version))

        return writer.run(caller, order)

    @router.delete("/products/{sku:path}/photos/{digest}", **writes())
    def remove_photo(sku: SkuPath, digest: DigestPath, caller: Writing) -> Json[Product]:
        """Take a photo from a product."""
        return writer.run(caller, lambda session: product_reply(photos.remove(session, sku, digest)))

    @router.get(
        "/photos/{digest}",
        response_class=Response,
        **reads(responses={200: {"content": IMAGES, "description": "The photo"}}),
    )
    def read_photo(digest: DigestPath) -> Response:
        """A photo's bytes. They never change."""
        with store.read() as session:
            kind = photos.find(session, digest).kind
        return image_reply(service.photos.read(digest, SUFFIX[kind]), kind, digest)


def add_negatives(router: APIRouter, service: CatalogService, writer: Writer) -> None:
    """`/products/{sku}/negatives`."""
    store = service.store

    @router.get("/products/{sku:path}/negatives", **reads())
    def list_negatives(sku: SkuPath) -> Json[NegativeList]:
        """Photos of what the product is not, newest first: crops that the review queue rejected or corrected."""
        with store.read() as session:
            return Json(NegativeList(negatives.of_product(session, sku)))

    @router.get(
        "/products/{sku:path}/negatives/{digest}",
        response_class=Response,
        **reads(responses={200: {"content": IMAGES, "description": "The photo"}}),
    )
    def read_negative(sku: SkuPath, digest: DigestPath) -> Response:
        """A negative's bytes. They never change."""
        with store.read() as session:
            kind = negatives.find(session, sku, digest).kind
        return image_reply(service.photos.read(digest, SUFFIX[kind]), kind, digest)

    @router.delete("/products/{sku:path}/negatives/{digest}", **writes())
    def remove_negative(sku: SkuPath, digest: DigestPath, caller: Writing) -> Json[Product]:
        """Take a negative away: the next snapshot no longer holds it against the product."""
        return writer.run(caller, lambda session: product_reply(negatives.remove(session, sku, digest)))


def _checked_name(name: str) -> str:
    if not _NOT_IN_NAMES.isdisjoint(name) or name in {".", ".."}:
        raise InvalidValue("photo", "photo_name_is_path", name=name[:80])
    return name
