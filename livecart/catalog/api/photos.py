"""Routes of products' photos."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, File, Path, Response, UploadFile
from sqlalchemy.orm import Session

from livecart.catalog.api.answers.products import PhotosAnswer, ProductAnswer
from livecart.catalog.api.bodies import OrderBody
from livecart.catalog.api.operations import (
    KIB,
    IfMatch,
    SkuPath,
    Writer,
    Writing,
    expected_version,
    json_reply,
    reads,
    writes,
)
from livecart.catalog.api.products import product_reply
from livecart.catalog.records import photos, products
from livecart.catalog.records.photo_check import MOST_BYTES, SUFFIX
from livecart.catalog.service import CatalogService
from livecart.catalog.values import PhotoKind
from livecart.errors import InvalidValue

DigestPath = Annotated[
    str, Path(pattern="^[0-9a-f]{64}$", description="SHA-256 of the photo, in hex.", examples=["e3b0c44298fc1c14" * 4])
]
#: Browsers send a bare name: whatever holds these is somebody's attempt at a path.
_NOT_IN_NAMES = frozenset("/\\\0")
_FORM_BYTES = 64 * KIB
#: For OpenAPI: what an image may be.
IMAGES = {f"image/{kind}": {"schema": {"type": "string", "format": "binary"}} for kind in SUFFIX}
_IMMUTABLE = {
    "Cache-Control": "private, max-age=31536000, immutable",
    "Content-Security-Policy": "default-src 'none'; sandbox",
}


def add_photos(router: APIRouter, service: CatalogService, writer: Writer) -> None:
    """`/products/{sku}/photos` and `/photos`."""
    store = service.store

    @router.get("/products/{sku:path}/photos", response_model=PhotosAnswer, **reads())
    def list_photos(sku: SkuPath) -> Response:
        """A product's photos, in their order."""
        with store.read() as session:
            product = products.get(session, sku)
        return json_reply({"photos": product.photos}, ETag=f'"{product.version}"')

    @router.post(
        "/products/{sku:path}/photos",
        status_code=201,
        response_model=ProductAnswer,
        **writes(most_bytes=MOST_BYTES + _FORM_BYTES),
    )
    def add_photo(
        sku: SkuPath,
        photo: Annotated[
            UploadFile, File(description="JPEG, PNG or WebP, at most 16 MiB; by its bytes, not its name.")
        ],
        caller: Writing,
    ) -> Response:
        """Add a photo. One that the product has already changes nothing."""
        name = _checked_name(photo.filename or "")
        data = photo.file.read()

        def add(session: Session) -> Response:
            return product_reply(photos.add(session, service.photos, sku, data, name=name), 201)

        return writer.run(caller, add)

    @router.put("/products/{sku:path}/photos/order", response_model=ProductAnswer, **writes())
    def order_photos(sku: SkuPath, body: OrderBody, caller: Writing, if_match: IfMatch = None) -> Response:
        """Put a product's photos into another order: the first stands on its card."""
        version = expected_version(if_match, required=False)

        def order(session: Session) -> Response:
            return product_reply(photos.set_order(session, sku, body.digests, expected_version=version))

        return writer.run(caller, order)

    @router.delete("/products/{sku:path}/photos/{digest}", response_model=ProductAnswer, **writes())
    def remove_photo(sku: SkuPath, digest: DigestPath, caller: Writing) -> Response:
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


def image_reply(data: bytes, kind: PhotoKind, digest: str) -> Response:
    """An image that a browser takes for nothing else."""
    return Response(data, media_type=f"image/{kind}", headers={**_IMMUTABLE, "ETag": f'"{digest[:32]}"'})


def _checked_name(name: str) -> str:
    if not _NOT_IN_NAMES.isdisjoint(name) or name in {".", ".."}:
        raise InvalidValue("photo", f"the file name {name[:80]!r} is a path; send a bare name")
    return name
