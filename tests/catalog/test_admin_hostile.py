"""Requests that no form of the staff's pages makes."""

from __future__ import annotations

import pytest

from livecart.catalog.records import products, reviews
from tests.catalog.admin_pages import pages
from tests.catalog.catalog_stores import patch
from tests.catalog.photo_files import photo

HUGE = ("9" * 30, "9" * 5000)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with pages(tmp_path_factory.mktemp("admin")) as opened:
        with opened.service.store.write("setup") as session:
            products.create(session, patch("1001"))
        yield opened


@pytest.mark.parametrize("number", HUGE)
def test_numbers_that_no_database_holds_are_no_crop(site, number):
    assert site.client("read").get(f"/reviews/crop?id={number}").status_code == 404


@pytest.mark.parametrize("number", HUGE)
def test_numbers_that_no_database_holds_are_no_decision(site, number):
    client = site.client("edit")
    with site.service.store.write("setup") as session:
        crop = photo(7)
        review = reviews.submit(session, site.service.crops, crop, reason="low_margin", room="room-1", sku="1001")
    for values in ({"id": number, "version": "1"}, {"id": str(review.id), "version": number}):
        assert client.post("/reviews/decide", {**values, "decision": "reject"}).status_code == 422


@pytest.mark.parametrize("number", HUGE)
@pytest.mark.parametrize("listing", ["products", "rooms", "audit"])
def test_pages_far_behind_the_last_are_empty(site, listing, number):
    answer = site.client("read").get(f"/{listing}/list?page={number}")
    assert answer.status_code in {200, 302, 303, 400}, answer.text
