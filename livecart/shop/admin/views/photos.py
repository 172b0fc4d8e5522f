"""A product's photos: upload, what the recogniser sees in each, removal; and its negatives."""

import asyncio
import logging
from functools import partial

from anyio import to_thread
from sqlalchemy.orm import Session
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette_admin.flash import flash
from starlette_admin.i18n import get_locale
from starlette_admin.routing import route

from livecart.core.errors import RecognizerError
from livecart.shop.admin.preview import RecognizePhoto, preview_of
from livecart.shop.admin.texts import later, t
from livecart.shop.admin.views.page import Page, need, read, tell, text_of, write
from livecart.shop.database.store import Store
from livecart.shop.errors import CatalogError, InvalidValue, NotFound
from livecart.shop.files import image_reply
from livecart.shop.repositories import image_fetches, negatives, photos, products
from livecart.shop.repositories.blobs import BlobFolder
from livecart.shop.repositories.image_fetches import Image
from livecart.shop.repositories.negatives import Negative
from livecart.shop.repositories.photo_check import SUFFIX, check_photo, read_photo
from livecart.shop.schemas.product import PhotoInfo, Product

_log = logging.getLogger(__name__)
#: Rooms look through the same recogniser; each holds a photo of up to 16 MiB.
_PREVIEWS_AT_ONCE = 4


class PhotosPage(Page):
    menu_label = later("photos")
    path = "/photos"
    route_name = "photos"
    add_to_menu = False

    def __init__(self, store: Store, blobs: BlobFolder, recognize: RecognizePhoto | None) -> None:
        super().__init__(store)
        self._blobs = blobs
        self._recognize = recognize
        self._previews = asyncio.Semaphore(_PREVIEWS_AT_ONCE)

    @route("", name="photos")
    async def index(self, request: Request) -> Response:
        """All photos of a product; the new ones are previewed at once."""
        sku, language = request.query_params.get("sku", ""), get_locale()

        def work(session: Session) -> tuple[Product, list[Negative], list[Image]] | None:
            product = products.find(session, sku)
            if product is None:
                return None
            images = image_fetches.of_product(session, sku, language=language)
            return product, negatives.of_product(session, sku), images

        found = await read(self.store, work)
        if found is None:
            raise HTTPException(404)
        return self.show(
            request,
            "photos.html",
            product=found[0],
            negatives=found[1],
            images=found[2],
            fresh=request.query_params.getlist("fresh"),
            can_preview=self._recognize is not None,
        )

    @route("/add", methods=["POST"], name="photos-add")
    async def add(self, request: Request) -> Response:
        """Keep the photos of the form, each or none of them on its own."""
        need(request, "edit")
        async with request.form() as form:
            sku = text_of(form, "sku")
            files = [file for file in form.getlist("photos") if isinstance(file, UploadFile) and file.filename]
            if not files:
                flash(request, t("photo_missing"), "error")
                return self.back(request, sku=sku)
            fresh: list[str] = []
            for file in files:
                fresh += await self._add(request, sku, await file.read(), file.filename or "")
        url = request.url_for("admin:photos").include_query_params(sku=sku)
        return RedirectResponse(f"{url}{''.join(f'&fresh={digest}' for digest in fresh)}", 303)

    @route("/remove", methods=["POST"], name="photos-remove")
    async def remove(self, request: Request) -> Response:
        need(request, "edit")
        form = await request.form()
        sku, digest = text_of(form, "sku"), text_of(form, "digest")
        return await self.write_and_return(
            request, lambda session: photos.remove(session, sku, digest), done="photo_removed", sku=sku
        )

    @route("/held", name="photos-held")
    async def held(self, request: Request) -> Response:
        """A picture of a feed that waits for a person."""
        sku, digest = (request.query_params.get(name, "") for name in ("sku", "digest"))
        try:
            held = partial(image_fetches.held_file, blobs=self._blobs, sku=sku, digest=digest)
            data = read_photo(await read(self.store, held))
        except (NotFound, InvalidValue) as error:
            raise HTTPException(404) from error
        return image_reply(data.data, data.kind, digest)

    @route("/held/use", methods=["POST"], name="photos-held-use")
    async def use_held(self, request: Request) -> Response:
        need(request, "edit")
        form = await request.form()
        sku, digest = text_of(form, "sku"), text_of(form, "digest")
        use = partial(image_fetches.use_held, blobs=self._blobs, sku=sku, digest=digest)
        return await self.write_and_return(request, use, done="photo_added", sku=sku)

    @route("/held/leave-out", methods=["POST"], name="photos-held-leave-out")
    async def leave_out(self, request: Request) -> Response:
        need(request, "edit")
        form = await request.form()
        sku, digest = text_of(form, "sku"), text_of(form, "digest")
        leave_out = partial(image_fetches.leave_out, sku=sku, digest=digest)
        return await self.write_and_return(request, leave_out, done="image_now_left_out", sku=sku)

    @route("/file", name="photos-file")
    async def file(self, request: Request) -> Response:
        photo, data = await self._photo(request)
        return image_reply(data, photo.kind, photo.digest)

    @route("/negative", name="photos-negative")
    async def negative(self, request: Request) -> Response:
        sku, digest = (request.query_params.get(name, "") for name in ("sku", "digest"))
        try:
            kind = (await read(self.store, lambda session: negatives.find(session, sku, digest))).kind
            data = await to_thread.run_sync(partial(self._blobs.read, digest, SUFFIX[kind]))
        except (NotFound, InvalidValue) as error:
            raise HTTPException(404) from error
        return image_reply(data, kind, digest)

    @route("/negative/remove", methods=["POST"], name="photos-negative-remove")
    async def remove_negative(self, request: Request) -> Response:
        need(request, "edit")
        form = await request.form()
        sku, digest = text_of(form, "sku"), text_of(form, "digest")
        return await self.write_and_return(
            request, lambda session: negatives.remove(session, sku, digest), done="negative_removed", sku=sku
        )

    @route("/preview", name="photos-preview")
    async def preview(self, request: Request) -> Response:
        if self._recognize is None:
            return self.fragment(request, "preview.html", problem=t("preview_off"))
        sku = request.query_params.get("sku", "")
        try:
            async with self._previews:
                photo, data = await self._photo(request)
                detections = await self._recognize(data)
        except RecognizerError as error:
            _log.warning("admin: no preview of %s: %s", photo.digest[:12], error)
            return self.fragment(request, "preview.html", problem=t("preview_failed"))
        return self.fragment(
            request, "preview.html", problem="", photo=photo, sku=sku, preview=preview_of(detections, sku)
        )

    async def _add(self, request: Request, sku: str, data: bytes, name: str) -> list[str]:
        """Digests of what is new."""

        def work(checked: bytes, session: Session) -> list[str]:
            known = {photo.digest for photo in products.get(session, sku).photos}
            product = photos.add(session, self._blobs, sku, checked, name=name)
            return [photo.digest for photo in product.photos if photo.digest not in known]

        try:
            checked = await to_thread.run_sync(check_photo, data)
            fresh = await write(self.store, request, partial(work, checked.data))
        except CatalogError as error:
            tell(request, error)
            return []
        flash(request, t("photo_added"), "success")
        return fresh

    async def _photo(self, request: Request) -> tuple[PhotoInfo, bytes]:
        """A photo that a product has: the folder is only ever asked for what a row names."""
        digest = request.query_params.get("digest", "")
        try:
            photo = await read(self.store, lambda session: photos.find(session, digest))
            data = await to_thread.run_sync(partial(self._blobs.read, photo.digest, SUFFIX[photo.kind]))
        except (NotFound, InvalidValue) as error:
            raise HTTPException(404) from error
        return photo, data
