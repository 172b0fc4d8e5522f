"""Tables of webhooks: endpoints, messages, and the outbox of deliveries."""

from sqlalchemy import Boolean, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from livecart.shop.models.base import Base, Json, RowId, Seconds, options
from livecart.shop.schemas.product import URL_CHARS

ERROR_CHARS = 255


class SigningSecrets:
    """Columns of whoever shares a secret with us. While `old_until_s` lies ahead both secrets hold."""

    secret: Mapped[str] = mapped_column(String(128))
    old_secret: Mapped[str | None] = mapped_column(String(128))
    old_until_s: Mapped[float | None] = mapped_column(Seconds)


class WebhookEndpointRow(SigningSecrets, Base):
    """A receiver of messages."""

    __tablename__ = "webhook_endpoints"
    __table_args__ = (options(),)

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    url: Mapped[str] = mapped_column(String(URL_CHARS))
    types: Mapped[list[str]] = mapped_column(Json)
    #: Why nothing is sent to it any more: `gone`, `failing`. None: it is sent to.
    disabled: Mapped[str | None] = mapped_column(String(16))
    #: The first of the failures since its last success.
    failing_since_s: Mapped[float | None] = mapped_column(Seconds)
    last_error: Mapped[str | None] = mapped_column(String(ERROR_CHARS))
    created_at_s: Mapped[float] = mapped_column(Seconds)


class WebhookMessageRow(Base):
    """A message for all endpoints; `id` is its `webhook-id`, made of the event, so that it is written once."""

    __tablename__ = "webhook_messages"
    __table_args__ = (Index(None, "card_id"), Index(None, "created_at_s"), options())

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    type: Mapped[str] = mapped_column(String(32))
    card_id: Mapped[str] = mapped_column(String(32))
    body: Mapped[str] = mapped_column(Text)
    created_at_s: Mapped[float] = mapped_column(Seconds)


class WebhookDeliveryRow(Base):
    """A message that an endpoint has not taken yet. Of a lane the lowest `id` is sent first, and alone."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        Index(None, "live", "next_at_s"),
        Index(None, "endpoint_id", "lane", "id"),
        Index(None, "message_id"),
        Index(None, "claim"),
        options(),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    message_id: Mapped[str] = mapped_column(String(64), ForeignKey("webhook_messages.id", ondelete="CASCADE"))
    endpoint_id: Mapped[int] = mapped_column(RowId, ForeignKey("webhook_endpoints.id", ondelete="CASCADE"))
    #: Of the live class the room, else the message: records wait for no other.
    lane: Mapped[str] = mapped_column(String(128))
    live: Mapped[bool] = mapped_column(Boolean)
    attempts: Mapped[int] = mapped_column(Integer)
    #: None: a dead letter.
    next_at_s: Mapped[float | None] = mapped_column(Seconds)
    #: Who sends it now, and until when nobody else does.
    claim: Mapped[str | None] = mapped_column(String(32))
    claimed_until_s: Mapped[float] = mapped_column(Seconds)
    error: Mapped[str | None] = mapped_column(String(ERROR_CHARS))
