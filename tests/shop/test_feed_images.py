"""Pictures that feeds name become photos: from public addresses alone, once, and apart from the staff's."""

import asyncio
import signal

import pytest

from benchmarks import bench_feed_photos
from livecart.shop.errors import InvalidValue, NotFound, StoreUnavailable
from livecart.shop.import_export.rows import image_urls
from livecart.shop.repositories import bulk, image_fetches, photos, products
from livecart.shop.repositories.blobs import BlobFolder
from livecart.shop.sync import images
from livecart.shop.sync.images import ImageFetcher, fetch_all, public_connector
from livecart.shop.sync.merchant_xml import MerchantXmlSettings
from livecart.shop.sync.source import NO_VALIDATORS
from tests.shop.catalog_stores import patch
from tests.shop.feed_server import Answer, FeedServer
from tests.shop.photo_files import layouts, photo
from tests.shop.picture_cdn import Cdn

CDN = "https://cdn.example.com"


@pytest.fixture
def cdn(tmp_path):
    server = Cdn(tmp_path)
    yield server
    server.close()


@pytest.fixture
def blobs(tmp_path):
    return BlobFolder(tmp_path / "photos")


@pytest.fixture
def fetch(store, blobs, cdn):
    fetcher = ImageFetcher(store, blobs, connector=cdn.connector)

    def fetch():
        asyncio.run(fetch_all(fetcher, lambda _: None))
        return fetcher.stats

    return fetch


def name_images(store, *urls, sku="1001", source="feed"):
    with store.write("feed") as session:
        bulk.upsert(session, [patch(sku, image_urls=tuple(urls))], source=source)


def shown(store, sku="1001"):
    with store.read() as session:
        return [
            (each.state, each.reason and f"{each.code}: {each.reason}")
            for each in image_fetches.of_product(session, sku)
        ]


def names(store, sku="1001"):
    with store.read() as session:
        return sorted(each.name for each in products.get(session, sku).photos)


def test_pictures_become_photos_and_are_fetched_once(store, fetch, cdn, clock):
    cdn.answers = {"/a.jpg": Answer(photo(1)), "/b.jpg": Answer(photo(2), headers={"ETag": '"2"'})}
    name_images(store, f"{CDN}/a.jpg", f"{CDN}/b.jpg", f"{CDN}/none.jpg")
    stats = fetch()
    assert names(store) == ["a.jpg", "b.jpg"]
    assert shown(store) == [("in", None), ("in", None), ("refused", "image_status: status 404")]
    assert (stats.kept, stats.refused, stats.crashes) == (2, 1, 0)
    cdn.asked.clear()
    name_images(store, f"{CDN}/a.jpg", f"{CDN}/b.jpg", f"{CDN}/none.jpg")
    fetch()
    assert cdn.asked == []
    clock.pass_s(90_000)
    fetch()
    assert [(path, etag) for _, path, etag in cdn.asked] == [("/b.jpg", '"2"')]
    assert stats.unchanged == 1
    cdn.answers["/b.jpg"] = Answer(photo(3), headers={"ETag": '"3"'})
    clock.pass_s(90_000)
    fetch()
    assert len(names(store)) == 2
    assert stats.kept == 3


def test_the_feeds_photos_are_replaced_and_the_staffs_stay(store, fetch, cdn, blobs):
    cdn.answers = {f"/{name}.jpg": Answer(photo(seed)) for seed, name in enumerate("abc", 1)}
    with store.write("staff") as session:
        products.create(session, patch("1001"))
        photos.add(session, blobs, "1001", photo(9), name="staff.jpg")
        photos.add(session, blobs, "1001", photo(2), name="staff-b.jpg")
    name_images(store, f"{CDN}/a.jpg", f"{CDN}/b.jpg")
    fetch()
    assert names(store) == ["a.jpg", "staff-b.jpg", "staff.jpg"]
    name_images(store, f"{CDN}/c.jpg")
    assert "a.jpg" in names(store), "until its successor is in"
    fetch()
    assert names(store) == ["c.jpg", "staff-b.jpg", "staff.jpg"]
    name_images(store)
    fetch()
    assert names(store) == ["c.jpg", "staff-b.jpg", "staff.jpg"], "a feed that lost its pictures takes none away"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(b"<html>"), "photo_of_no_kind"),
        (Answer(b"\xff\xd8\xff" + b"x" * 100), "photo_damaged"),
        (Answer(b"x" * (17 * 2**20)), "photo_too_large"),
        (Answer(status=302, headers={"Location": "http://cdn.example.com/a.jpg"}), "image_not_https"),
        (Answer(status=302, headers={"Location": "/picture.jpg"}), "image_redirects"),
        (Answer(status=302, headers={"Location": "https://user@cdn.example.com/"}), "image_not_https"),
        (Answer(status=410), "image_status: status 410"),
    ],
)
def test_what_is_no_picture_is_refused_and_the_next_one_comes(store, fetch, cdn, answer, reason):
    cdn.answers = {"/picture.jpg": answer, "/good.jpg": Answer(photo(1))}
    name_images(store, f"{CDN}/picture.jpg", f"{CDN}/good.jpg")
    fetch()
    (state, said), good = shown(store)
    assert (state, reason in said, good) == ("refused", True, ("in", None))


def test_what_may_come_yet_is_tried_again_and_in_the_end_refused(store, fetch, cdn, clock):
    cdn.answers = {"/a.jpg": Answer(status=503, headers={"Retry-After": "600"})}
    name_images(store, f"{CDN}/a.jpg")
    fetch()
    assert shown(store) == [("pending", "image_status: status 503")]
    clock.pass_s(599)
    fetch()
    assert len(cdn.asked) == 1
    for _ in range(6):
        clock.pass_s(90_000)
        fetch()
    assert (len(cdn.asked), shown(store)) == (7, [("refused", "image_status: status 503")])
    cdn.answers["/a.jpg"] = Answer(photo(1))
    clock.pass_s(7 * 86_400)
    fetch()
    assert shown(store) == [("in", None)], "what was refused is asked for again a week later"


def test_a_host_that_does_not_answer_is_left_alone_and_costs_no_try(store, blobs, cdn, clock, monkeypatch):
    cdn.answers = {"/good.jpg": Answer(photo(1))}
    name_images(store, *(f"https://dead.example.com/{number}.jpg" for number in range(7)), f"{CDN}/good.jpg")
    asked = []
    get = images._get

    async def get_alive(session, due):
        asked.append(due.url)
        if due.host == "dead.example.com":
            raise images._Later(
                InvalidValue("photo", "image_no_connection", cause="ClientConnectorError"), of_host=True
            )
        return await get(session, due)

    monkeypatch.setattr(images, "_get", get_alive)
    fetcher = ImageFetcher(store, blobs, connector=cdn.connector)
    asyncio.run(fetch_all(fetcher, lambda _: None))
    assert len([url for url in asked if "dead" in url]) <= 2
    assert [state for state, _ in shown(store)] == ["pending"] * 7 + ["in"]
    with store.write("look") as session:
        clock.pass_s(61)
        assert {due.tries for due in image_fetches.take(session, 64)} == {0}


def test_the_same_picture_under_a_new_address_stays(store, fetch, cdn):
    cdn.answers = {"/a.jpg?v=1": Answer(photo(1)), "/a.jpg?v=2": Answer(photo(1)), "/b.jpg": Answer(photo(1))}
    name_images(store, f"{CDN}/a.jpg?v=1")
    fetch()
    name_images(store, f"{CDN}/a.jpg?v=2")
    fetch()
    assert names(store) == ["a.jpg"]
    name_images(store, f"{CDN}/a.jpg?v=2", f"{CDN}/b.jpg")
    fetch()
    name_images(store, f"{CDN}/b.jpg")
    fetch()
    assert len(names(store)) == 1


def test_without_a_successor_a_photo_stays(store, fetch, cdn, clock):
    cdn.answers = {"/a.jpg": Answer(photo(1))}
    name_images(store, f"{CDN}/a.jpg")
    fetch()
    name_images(store, f"{CDN}/none.jpg")
    fetch()
    clock.pass_s(61)
    fetch()
    assert (names(store), shown(store)) == (["a.jpg"], [("refused", "image_status: status 404")])


def test_a_photo_that_staff_took_away_stays_away_and_nothing_is_written(store, fetch, cdn, clock):
    cdn.answers = {"/a.jpg": Answer(photo(1), headers={"ETag": '"1"'})}
    name_images(store, f"{CDN}/a.jpg")
    fetch()
    with store.write("staff") as session:
        version = photos.remove(session, "1001", products.get(session, "1001").photos[0].digest).version
    cdn.answers = {"/a.jpg": Answer(photo(1), headers={"ETag": '"2"'})}
    clock.pass_s(90_000)
    fetch()
    with store.read() as session:
        after = products.get(session, "1001")
    assert (after.photos, after.version) == ((), version)


def test_who_is_killed_while_it_fetches_leaves_it_to_the_next(store, fetch, cdn, clock):
    cdn.answers = {"/a.jpg": Answer(photo(1))}
    name_images(store, f"{CDN}/a.jpg")
    with store.write("killed") as session:
        assert [due.url for due in image_fetches.take(session, 10)] == [f"{CDN}/a.jpg"]
    fetch()
    assert cdn.asked == []
    clock.pass_s(601)
    fetch()
    assert shown(store) == [("in", None)]


def test_a_host_is_asked_for_two_at_a_time(store, fetch, cdn):
    cdn.answers = {f"/{number}.jpg": Answer(photo(number)) for number in range(8)}
    name_images(store, *(f"{CDN}/{number}.jpg" for number in range(8)))
    fetch()
    assert (len(names(store)), cdn.most_at_once <= 2) == (8, True)


def test_what_is_no_single_photo_waits_for_a_person(store, blobs, fetch, cdn):
    pictures = layouts()
    cdn.answers = {f"/{name}.jpg": Answer(data, headers={"ETag": f'"{name}"'}) for name, data in pictures.items()}
    name_images(store, *(f"{CDN}/{name}.jpg" for name in pictures))
    assert (fetch().kept, fetch().held, names(store)) == (2, 3, ["framed.jpg", "photo.jpg"])
    with store.read() as session:
        found = {each.url.rpartition("/")[2]: each for each in image_fetches.of_product(session, "1001", language="zh")}
        held = {name: (each.code, each.digest) for name, each in found.items() if each.state == "held"}
        assert image_fetches.held_digests(session) == {digest for _, digest in held.values()}
        assert image_fetches.skus_with_held(session, 10) == ["1001"]
    codes = {"collage.jpg": "image_collage", "chart.jpg": "image_text", "over.jpg": "image_text"}
    assert {name: code for name, (code, _) in held.items()} == codes
    assert "尺码表" in found["chart.jpg"].reason
    with store.write("staff") as session:
        image_fetches.use_held(session, blobs, "1001", held["collage.jpg"][1])
        image_fetches.leave_out(session, "1001", held["chart.jpg"][1])
        with pytest.raises(NotFound):
            image_fetches.use_held(session, blobs, "1001", held["chart.jpg"][1])
    assert names(store) == ["collage.jpg", "framed.jpg", "photo.jpg"]
    with store.read() as session:
        of_feed = image_fetches.by_source(session)["feed"]
    assert of_feed.states == {"in": 3, "left_out": 1, "held": 1}
    assert {why.reason for why, _ in of_feed.reasons} == {"image_text"}
    name_images(store, f"{CDN}/photo.jpg")
    fetch()
    assert names(store) == ["photo.jpg"], "those that are named no more go, held or not"


def test_a_photo_that_becomes_a_collage_there_stays_as_it_is(store, fetch, cdn, clock):
    cdn.answers = {"/a.jpg": Answer(photo(1), headers={"ETag": '"1"'})}
    name_images(store, f"{CDN}/a.jpg")
    fetch()
    with store.read() as session:
        before = products.get(session, "1001").photos
    cdn.answers = {"/a.jpg": Answer(layouts()["collage"], headers={"ETag": '"2"'})}
    clock.pass_s(90_000)
    fetch()
    # Named no more and again, it is fetched as a new one is.
    name_images(store, f"{CDN}/b.jpg")
    name_images(store, f"{CDN}/a.jpg")
    fetch()
    with store.read() as session:
        assert (products.get(session, "1001").photos, shown(store)) == (before, [("in", None)])


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "[::1]", "10.0.0.1", "192.168.1.1", "169.254.169.254", "[::ffff:127.0.0.1]", "0.0.0.0", "2130706433",
     "[64:ff9b::7f00:1]", "localhost", "0x7f.1", "100.64.0.1", "[fe80::1]", "224.0.0.1"],
)  # fmt: skip
def test_no_address_that_is_not_public_is_asked(store, blobs, cdn, host):
    name_images(store, f"https://{host}:{cdn.port}/a.jpg")
    fetcher = ImageFetcher(store, blobs, connector=public_connector)
    asyncio.run(fetch_all(fetcher, lambda _: None))
    ((state, reason),) = shown(store)
    assert (cdn.asked, fetcher.stats.kept) == ([], 0)
    assert state == "refused" or "no connection" in reason


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("https://a.example/1.jpg", ["https://a.example/1.jpg"]),
        ("https://a.example/1.jpg,https://a.example/2.jpg；//a.example/3.jpg",
         ["https://a.example/1.jpg", "https://a.example/2.jpg", "https://a.example/3.jpg"]),
        ("http://a.example/1,w_80.jpg\nhttps://a.example/2.jpg", ["https://a.example/1,w_80.jpg", "https://a.example/2.jpg"]),
        ([{"src": "https://a.example/1.jpg"}, {"id": 3}, None, "https://a.example/2.jpg"],
         ["https://a.example/1.jpg", "https://a.example/2.jpg"]),
        ("photos/1.jpg data:image/png;base64,AAAA ftp://a.example/1.jpg https://u:p@a.example/", []),
        (None, []),
        (["#NAME?", "https://a.example/1.jpg", {"url": {"https": "//a.example/2.jpg"}}, [["https://a.example/3.jpg"]]],
         ["https://a.example/1.jpg"]),
        ("https://a.example/1.jpg" + "," * 100_000 + "x", ["https://a.example/1.jpg"]),
    ],
)  # fmt: skip
def test_addresses_as_shops_write_them(value, expected):
    assert image_urls(value) == expected


def test_a_merchant_feed_names_them():
    item = """<item><g:id>1</g:id><title>螺蛳粉</title><link>https://shop.example.com/1</link>
    <g:image_link>https://cdn.example.com/1.jpg</g:image_link>
    <g:additional_image_link>https://cdn.example.com/2.jpg</g:additional_image_link>
    <g:additional_image_link>https://cdn.example.com/3.jpg</g:additional_image_link></item>"""
    body = f'<rss xmlns:g="http://base.google.com/ns/1.0"><channel>{item}</channel></rss>'.encode()
    server = FeedServer()
    server.answer = lambda _: Answer(body)
    try:
        source = MerchantXmlSettings(name="m", url=server.url).source()
        ((read,),) = [page.patches for page in source.pages(None, NO_VALIDATORS)]
    finally:
        server.close()
    assert read.image_urls == tuple(f"https://cdn.example.com/{number}.jpg" for number in (1, 2, 3))


def test_a_database_that_goes_away_meanwhile_is_told_as_that_and_nothing_is_lost(store, fetch, cdn, clock, monkeypatch):
    cdn.answers = {"/a.jpg": Answer(photo(1)), "/b.jpg": Answer(photo(2))}
    name_images(store, f"{CDN}/a.jpg", f"{CDN}/b.jpg")

    def away(*_, **__):
        raise StoreUnavailable("store_silent", cause="gone")

    with monkeypatch.context() as patched:
        patched.setattr(image_fetches, "keep", away)
        with pytest.raises(StoreUnavailable):
            fetch()
    clock.pass_s(601)
    fetch()
    assert names(store) == ["a.jpg", "b.jpg"]


def test_a_feed_that_goes_back_to_a_picture_finds_it_as_it_was(store, fetch, cdn):
    cdn.answers = {"/a.jpg": Answer(photo(1), headers={"ETag": '"1"'})}
    name_images(store, f"{CDN}/a.jpg")
    fetch()
    name_images(store, f"{CDN}/b.jpg")
    name_images(store, f"{CDN}/a.jpg")
    fetch()
    assert (shown(store), names(store)) == ([("in", None)], ["a.jpg"])


def test_a_command_killed_half_way_is_resumed_without_a_photo_twice_and_a_third_run_downloads_nothing(tmp_path):
    found = bench_feed_photos.measure(products=30, pictures=4, side_px=60, folder=tmp_path)
    killed, resumed, again = found["killed"], found["resumed"], found["again"]
    assert (killed["status"], resumed["status"], again["status"]) == (-signal.SIGKILL, 0, 0)
    assert (found["named"], found["not_public"], found["states"]) == (120, 1, {"in": 119, "refused": 1})
    assert found["photos"]["rows"] == found["photos"]["digests"] == found["blobs"]["whole"] == 119
    # What was on its way when it was killed comes once more.
    assert 119 <= killed["bodies"] + resumed["bodies"] <= 119 + 8
    assert (again["bodies"], again["requests"]) == (0, found["with_etag"])
    assert found["hosts_asked"] == [f"cdn{number}.example.com" for number in range(4)]
    assert found["blobs"]["files"] - found["blobs"]["whole"] <= 2, "files that were being written"
