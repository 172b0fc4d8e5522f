"""The review queue: crops that wait for a decision."""

from functools import partial

from anyio import to_thread
from sqlalchemy.orm import Session
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette_admin.routing import route

from livecart.shop.admin.texts import later
from livecart.shop.admin.views.page import Page, need, number_of, read, text_of
from livecart.shop.database.store import Store
from livecart.shop.errors import InvalidValue, NotFound
from livecart.shop.files import image_reply
from livecart.shop.repositories import reviews
from livecart.shop.repositories.blobs import BlobFolder
from livecart.shop.repositories.photo_check import SUFFIX
from livecart.shop.repositories.product_rows import load_by_sku

_PER_PAGE = 24
_DECISIONS = {"approve": "approved", "correct": "corrected", "reject": "rejected"}


class ReviewsPage(Page):
    """The review queue, oldest first."""

    menu_label = later("reviews")
    icon = "fa-solid fa-clipboard-check"
    path = "/reviews"
    route_name = "reviews"

    def __init__(self, store: Store, crops: BlobFolder, blobs: BlobFolder) -> None:
        super().__init__(store)
        self._crops = crops
        self._blobs = blobs

    @route("", name="reviews")
    async def index(self, request: Request) -> Response:
        after_id = number_of(request.query_params.get("after", ""))

        def work(session: Session) -> tuple[list[reviews.Review], dict[str, str], int]:
            queue = reviews.queue(session, after_id=after_id, limit=_PER_PAGE)
            known = load_by_sku(session, sorted({review.sku for review in queue}))
            return queue, {sku: product.name for sku, product in known.items()}, reviews.pending_count(session)

        queue, names, waiting = await read(self.store, work)
        more = queue[-1].id if len(queue) == _PER_PAGE else None
        return self.show(request, "reviews.html", queue=queue, names=names, waiting=waiting, more=more)

    @route("/decide", methods=["POST"], name="reviews-decide")
    async def decide(self, request: Request) -> Response:
        need(request, "edit")
        form = await request.form()
        state = _DECISIONS.get(text_of(form, "decision"))
        review_id, version = number_of(text_of(form, "id")), number_of(text_of(form, "version"))
        if state is None or not (review_id and version):
            return Response(status_code=422)
        corrected = text_of(form, "sku") if state == "corrected" else None
        decide = partial(
            reviews.decide,
            crops=self._crops,
            photo_blobs=self._blobs,
            review_id=review_id,
            state=state,  # type: ignore[arg-type]
            expected_version=version,
            corrected_sku=corrected,
        )
        return await self.write_and_return(request, decide, done="review_done")

    @route("/crop", name="reviews-crop")
    async def crop(self, request: Request) -> Response:
        review_id = number_of(request.query_params.get("id", ""))
        try:
            review = await read(self.store, lambda session: reviews.get(session, review_id))
            data = await to_thread.run_sync(self._crops.read, review.crop_digest, SUFFIX[review.crop_kind])
        except (NotFound, InvalidValue) as error:
            raise HTTPException(404) from error
        return image_reply(data, review.crop_kind, review.crop_digest)
