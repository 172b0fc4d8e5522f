"""Files of the catalog over HTTP: photos for viewers, and the published snapshot for archives on other machines."""

import base64
import binascii
import os
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Header, HTTPException, Response
from fastapi.responses import FileResponse

from livecart.shop.errors import InvalidValue, NotFound, PublishError, StoreUnavailable
from livecart.shop.repositories import photos, tokens
from livecart.shop.repositories.photo_check import SUFFIX
from livecart.shop.schemas.product import PhotoKind
from livecart.shop.service import CatalogService

_MEDIA_TYPES = {suffix: f"image/{kind}" for kind, suffix in SUFFIX.items()}
_PHOTO_HEADERS = {
    # Named by its content, it never changes; but one that was removed must go from caches too.
    "Cache-Control": "public, max-age=86400, immutable",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    # The element stands in pages of other hosts.
    "Cross-Origin-Resource-Policy": "cross-origin",
}
_SNAPSHOT_HEADERS = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}


def image_reply(data: bytes, kind: PhotoKind, digest: str) -> Response:
    """An image that only who asked may keep, which never changes, and a browser takes for nothing else."""
    headers = {
        "Cache-Control": "private, max-age=86400, immutable",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "ETag": f'"{digest[:32]}"',
    }
    return Response(data, media_type=f"image/{kind}", headers=headers)


def photo_path(name: str) -> str:
    """The path at which `files_router` serves the photo of that file name."""
    return f"/catalog/photos/{name}"


def files_router(service: CatalogService) -> APIRouter:
    """`/catalog/photos/{digest}.{suffix}` for everybody; for tokens that may read the snapshot and `offers.json`.

    Archives name the snapshot in `handler.catalog.source`, with the token as password:
    `https://archive:lc_…@catalog.example.com/catalog/snapshot`.
    """
    router = APIRouter(prefix="/catalog", tags=["files"])

    # HEAD apart from the description: one operation would stand there twice, under one id.
    @router.head("/photos/{name}", include_in_schema=False)
    @router.get("/photos/{name}")
    def photo(name: str, if_none_match: Annotated[str | None, Header()] = None) -> Response:
        """A product's photo, as long as a product has it."""
        digest, _, suffix = name.partition(".")
        media_type = _MEDIA_TYPES.get(suffix)
        path = None if media_type is None else _photo_file(service, digest, suffix)
        if path is None:
            raise HTTPException(404, "there is no such photo")
        etag = f'"{digest[:32]}"'
        if _matches(if_none_match, etag):
            return Response(status_code=304, headers=_PHOTO_HEADERS | {"ETag": etag})
        return FileResponse(path, media_type=media_type, headers=_PHOTO_HEADERS | {"ETag": etag})

    @router.head("/snapshot", include_in_schema=False)
    @router.get("/snapshot")
    def snapshot(
        authorization: Annotated[str | None, Header()] = None, if_none_match: Annotated[str | None, Header()] = None
    ) -> Response:
        """The published snapshot, whole; 304 where the asker has it."""
        _check_token(service, authorization)
        for _ in range(2):
            try:
                published = service.snapshots.current()
            except PublishError as error:
                raise HTTPException(503, str(error)) from error
            if published is None:
                raise HTTPException(404, "nothing is published yet")
            headers = _SNAPSHOT_HEADERS | {"ETag": published.etag}
            if _matches(if_none_match, published.etag):
                return Response(status_code=304, headers=headers)
            path = service.snapshots.path(published)
            # Gone where several were published since it was named: then a newer one is current.
            if path.is_file():
                return FileResponse(path, media_type="application/octet-stream", headers=headers)
        raise HTTPException(503, "the published snapshot cannot be read")

    @router.head("/offers.json", include_in_schema=False)
    @router.get("/offers.json")
    def offers(
        authorization: Annotated[str | None, Header()] = None, if_none_match: Annotated[str | None, Header()] = None
    ) -> Response:
        """Price and stock of each product, which archives ask for beside the snapshot; 304 where the asker has them."""
        _check_token(service, authorization)
        try:
            with service.snapshots.offers.open("rb") as file:
                found = os.fstat(file.fileno())
                headers = _SNAPSHOT_HEADERS | {"ETag": f'"{found.st_ino:x}-{found.st_mtime_ns:x}-{found.st_size:x}"'}
                if _matches(if_none_match, headers["ETag"]):
                    return Response(status_code=304, headers=headers)
                return Response(file.read(), media_type="application/json", headers=headers)
        except FileNotFoundError as error:
            raise HTTPException(404, "nothing is published yet") from error

    return router


def _photo_file(service: CatalogService, digest: str, suffix: str) -> Path | None:
    try:
        path = service.photos.path(digest, suffix)
        with service.store.read() as session:
            photos.find(session, digest)
    except (InvalidValue, NotFound):
        return None
    except StoreUnavailable as error:
        raise HTTPException(503, "the catalog's database does not answer now") from error
    return path if path.is_file() else None


def _check_token(service: CatalogService, authorization: str | None) -> None:
    token = _token_of(authorization or "")
    try:
        with service.store.read() as session:
            known = tokens.check(session, token) if token else None
    except StoreUnavailable as error:
        raise HTTPException(503, "the catalog's database does not answer now") from error
    if known is None or not known.may("read"):
        raise HTTPException(
            401,
            "send a token of the catalog, as Bearer or as Basic password",
            headers={"WWW-Authenticate": 'Bearer, Basic realm="livecart catalog"'},
        )


def _token_of(authorization: str) -> str | None:
    scheme, _, value = authorization.partition(" ")
    if scheme.casefold() == "bearer":
        return value.strip()
    if scheme.casefold() != "basic":
        return None
    try:
        user_and_password = base64.b64decode(value, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    return user_and_password.partition(":")[2]


def _matches(if_none_match: str | None, etag: str) -> bool:
    """RFC 9110, 13.1.2: `*`, or a list of which weak ones count too."""
    if if_none_match is None:
        return False
    known = [part.strip().removeprefix("W/") for part in if_none_match.split(",")]
    return "*" in known or etag in known
