"""Routes of products' negatives: photos of what was taken for them and is not."""

from __future__ import annotations

from fastapi import APIRouter, Response

from livecart.catalog.api.answers.products import NegativesAnswer, ProductAnswer
from livecart.catalog.api.operations import SkuPath, Writer, Writing, json_reply, reads, writes
from livecart.catalog.api.photos import IMAGES, DigestPath, image_reply
from livecart.catalog.api.products import product_reply
from livecart.catalog.records import negatives
from livecart.catalog.records.photo_check import SUFFIX
from livecart.catalog.service import CatalogService


def add_negatives(router: APIRouter, service: CatalogService, writer: Writer) -> None:
    """`/products/{sku}/negatives`."""
    store = service.store

    @router.get("/products/{sku:path}/negatives", response_model=NegativesAnswer, **reads())
    def list_negatives(sku: SkuPath) -> Response:
        """Photos of what the product is not, newest first: crops that the review queue rejected or corrected."""
        with store.read() as session:
            return json_reply({"negatives": negatives.of_product(session, sku)})

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

    @router.delete("/products/{sku:path}/negatives/{digest}", response_model=ProductAnswer, **writes())
    def remove_negative(sku: SkuPath, digest: DigestPath, caller: Writing) -> Response:
        """Take a negative away: the next snapshot no longer holds it against the product."""
        return writer.run(caller, lambda session: product_reply(negatives.remove(session, sku, digest)))
