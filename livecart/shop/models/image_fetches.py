"""Table of pictures that feeds name: each is fetched once, and becomes a photo of its product."""

from sqlalchemy import ForeignKey, Index, Integer, SmallInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from livecart.shop.models.base import Base, Digest, RowId, Seconds, options
from livecart.shop.schemas.product import URL_CHARS

REASON_CHARS = 255


class ImageFetchRow(Base):
    """A picture of a product by its URL."""

    __tablename__ = "image_fetches"
    __table_args__ = (Index(None, "product_id"), Index(None, "state", "next_try_at_s"), options())

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    product_id: Mapped[int] = mapped_column(RowId, ForeignKey("products.id", ondelete="CASCADE"))
    url: Mapped[str] = mapped_column(String(URL_CHARS))
    #: Of the URL: hosts are left alone each by itself.
    host: Mapped[str] = mapped_column(String(255))
    position: Mapped[int] = mapped_column(SmallInteger)
    #: `pending`, `in`, `refused`, or `replaced`: it is named no more, and its photo goes when its successors are in.
    state: Mapped[str] = mapped_column(String(16))
    #: Why it is refused, or was not there yet.
    reason: Mapped[str | None] = mapped_column(String(REASON_CHARS))
    #: The photo that it brought, also where another picture is the same; None where staff's photo is.
    digest: Mapped[str | None] = mapped_column(Digest)
    etag: Mapped[str | None] = mapped_column(String(255))
    tries: Mapped[int] = mapped_column(Integer, default=0)
    #: UNIX time; None: nothing is to be done.
    next_try_at_s: Mapped[float | None] = mapped_column(Seconds)
