"""`/go/{card}` leads viewers to a card's product, `/postback/{shop}` takes the orders that come of it."""

import hashlib
import hmac
import logging
import secrets
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import TypeAlias
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import msgspec
from fastapi import APIRouter, Request, Response
from sqlalchemy.orm import Session
from standardwebhooks import Webhook
from starlette.concurrency import run_in_threadpool

from contract.links import ascii_host, check_link
from livecart.core.card_links import card_id_of
from livecart.core.http_bodies import BodyRefused, read_body
from livecart.core.http_replies import reply
from livecart.core.rate_limits import TokenBuckets, network_of
from livecart.shop.api.error_handlers import Refused, answer_to, slow_down
from livecart.shop.api.gate import ConcurrencyLimiter
from livecart.shop.errors import NotFound, StoreUnavailable
from livecart.shop.repositories import cards, hosts, orders, products, viewer_events
from livecart.shop.repositories.cards import Card
from livecart.shop.repositories.viewer_events import ViewerEvent
from livecart.shop.service import CatalogService

_log = logging.getLogger(__name__)
#: Of a body the answer, and what is to be counted.
_Work: TypeAlias = Callable[[bytes], tuple[Response, list[str]]]

MOST_BYTES = 64 * 1024
#: Standard Webhooks: older signatures are replays.
_TOLERANCE_S = 300.0
#: While secrets rotate a message has two.
_MOST_SIGNATURES = 8
_AT_ONCE, _MOST_WAITING = 4, 200
#: Clicks of one network on one card that are counted at once, and in a second: browsers are what they say they are.
_CLICKS_BURST, _CLICKS_PER_S = 30.0, 1 / 60
_DIGITS_OF_TIME = 12


def with_utm(url: str, utm: Mapping[str, str]) -> str:
    """The link with these parameters behind its own; one that it has already stays as it is."""
    parts = urlsplit(url)
    has = {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    more = urlencode({name: value for name, value in utm.items() if name not in has}, quote_via=quote)
    return urlunsplit(parts._replace(query="&".join(filter(None, (parts.query, more)))))


def attribution_router(service: CatalogService, utm_source: Callable[[str], str], stats: Counter[str]) -> APIRouter:
    """Its routes.

    Args:
        service: the catalog.
        utm_source: of a room: where its viewers come from.
        stats: counts links `followed` and `uncounted`, orders `kept`, `known` and of `no_card`, and what is `refused`.
    """
    router = APIRouter(tags=["attribution"])
    limits = service.settings.api
    addresses = TokenBuckets(limits.address_burst, limits.address_per_s)
    # Apart, so that a flood of one leaves the other alone.
    leading, taking = (ConcurrencyLimiter(_AT_ONCE, _MOST_WAITING) for _ in range(2))
    clicks = TokenBuckets(_CLICKS_BURST, _CLICKS_PER_S)
    salt = secrets.token_bytes(16)

    def hold_back(request: Request) -> None:
        wait_s = addresses.wait_s(_network(request))
        if wait_s:
            raise slow_down("rate_limited", "too many requests from this address", wait_s)

    async def answered(request: Request, working: ConcurrencyLimiter, work: _Work) -> Response:
        try:
            hold_back(request)
            body = await read_body(request, MOST_BYTES)
            async with working.slot():
                response, what = await run_in_threadpool(work, body)
            stats.update(what)
        except BodyRefused as refused:
            fault: Exception = Refused(refused.status, "bad_request", str(refused))
        except Exception as found:  # noqa: BLE001  every fault has an answer, ours are logged
            fault = found
        else:
            return response
        stats["refused"] += 1
        return answer_to(fault)[1]

    # Whoever previews a link asks by HEAD, and is no viewer.
    @router.head("/go/{card}", include_in_schema=False)
    @router.get("/go/{card}", response_class=Response, status_code=302)
    async def go(card: str, request: Request, v: str | None = None) -> Response:
        """To the product of a card, by its link of now. Counts as a click; with `v=1` the viewer tells of it."""
        agent = request.headers.get("User-Agent", "")
        viewer = hashlib.blake2b(f"{_network(request)}\n{agent}\n{card}".encode(), key=salt, digest_size=8).hexdigest()
        counts = v != "1" and request.method == "GET" and "prefetch" not in request.headers.get("Sec-Purpose", "")
        # Of no card, or of an address that is held back, nothing is kept: what strangers send has no end.
        counts = counts and card_id_of(card) is not None and not addresses.is_empty(_network(request))
        counts = counts and clicks.take(f"{_network(request)} {card}")

        def work(_: bytes) -> tuple[Response, list[str]]:
            found, url = _target(service, card)
            is_lost = counts and not _count(service, found, viewer)
            location = _ascii(with_utm(url, _utm(found, utm_source(found.room))))
            response = Response(status_code=302, headers={"Location": location, "Cache-Control": "no-store"})
            return response, ["followed", *(["uncounted"] if is_lost else [])]

        return await answered(request, leading, work)

    @router.post("/postback/{shop}", response_class=Response)
    async def postback(shop: str, request: Request) -> Response:
        """Take an order of a card, signed as Standard Webhooks has it; docs/attribution.md has the form."""

        def work(body: bytes) -> tuple[Response, list[str]]:
            _verify(service, shop, request.headers, body)
            order = _order(body)
            outcome = service.store.edit(f"postback:{shop}", lambda session: orders.record(session, shop, order))
            return reply({"outcome": outcome}), [outcome]

        return await answered(request, taking, work)

    return router


def _network(request: Request) -> str:
    return network_of(request.client.host if request.client else "unknown")


def _target(service: CatalogService, short: str) -> tuple[Card, str]:
    """The card, and its product's link of now; of a product that is gone, the link that was shown."""
    card_id = card_id_of(short)
    with service.store.read() as session:
        card = None if card_id is None else cards.find(session, card_id)
        if card is None:
            raise NotFound("no_card", id=short[:40])
        product = products.find(session, card.sku)
        url = card.url if product is None else product.url
        fault = check_link(url, hosts.allowed(session))
    if fault is not None:
        raise NotFound("card_leads_nowhere", id=short, cause=str(fault))
    return card, url


def _count(service: CatalogService, card: Card, viewer: str) -> bool:
    """Count a click; False where the database cannot be written: who wants to buy is not kept from it."""
    click = ViewerEvent(event_key=secrets.token_hex(16), kind="click", card_id=card.card_id, viewer=viewer)

    def work(session: Session) -> object:
        return viewer_events.record(session, [click])

    try:
        service.store.edit("viewers", work)
    except StoreUnavailable as error:
        _log.warning("a click on card %s is not counted: %s", card.card_id, error)
        return False
    return True


def _utm(card: Card, source: str) -> dict[str, str]:
    day = datetime.fromtimestamp(card.shown_at_s).astimezone().date().isoformat()
    campaign = f"{card.room}-{day}".lower()
    return {
        "utm_source": source,
        "utm_medium": "live",
        "utm_campaign": campaign,
        "utm_content": card.card_id,
    }


def _ascii(url: str) -> str:
    """The link as a header holds it: what is percent-encoded stays so, the rest is encoded once."""
    parts = urlsplit(url)
    host = ascii_host(parts.hostname or "") or ""
    parts = parts._replace(netloc=host if parts.port is None else f"{host}:{parts.port}")
    return quote(urlunsplit(parts), safe="!#$%&'()*+,/:;=?@[]~")


def _verify(service: CatalogService, shop: str, headers: Mapping[str, str], body: bytes) -> None:
    """Hold a message to its signature; a shop that is unknown is answered like a wrong one."""
    message_id, at, signed = (headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
    denied = Refused(401, "denied", "the signature, or its time, is not that of a shop that may report orders")
    if not (message_id and at.isascii() and at.isdigit() and len(at) <= _DIGITS_OF_TIME):
        raise denied
    if abs(service.store.now_s() - int(at)) > _TOLERANCE_S:
        raise denied
    with service.store.read() as session:
        known = orders.secrets_now(session, shop)
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise Refused(400, "bad_request", "the body is no UTF-8") from None
    sign = partial(_signature, message_id, datetime.fromtimestamp(int(at), UTC), text)
    given = signed.encode().split(b" ")[:_MOST_SIGNATURES]
    if not any(hmac.compare_digest(sign(secret), each) for secret in known for each in given):
        raise denied


def _signature(message_id: str, at: datetime, text: str, secret: str) -> bytes:
    return Webhook(secret).sign(message_id, at, text).encode()


def _order(body: bytes) -> orders.Order:
    try:
        return msgspec.json.decode(body, type=orders.Order)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise Refused(422, "bad_request", str(error)) from error
