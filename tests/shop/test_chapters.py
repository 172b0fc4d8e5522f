"""Chapters of a recorded show, out of the cards that were kept."""

import csv
import io
import json

import av
import pytest

from livecart.shop import chapters
from livecart.shop.repositories import cards
from tests.card_events import card_event
from tests.shop.api_clients import app_of, client_of, service_of, token_of

START_S = 1_760_000_000.0


def shown(*spans):
    """Explanations of cards given as (sku, from, to or None) in seconds of a recording of 600 s.

    Each card has one click and two orders.
    """
    made = [
        cards.Card(
            f"{number:032x}", "room-1", sku, f"商品 {sku}", f"https://shop.example.com/{sku}", None, None, 0.9,
            START_S + begin_s, None if end_s is None else START_S + end_s, None,
        )
        for number, (sku, begin_s, end_s) in enumerate(spans)
    ]  # fmt: skip
    clicks = {card.card_id: 1 for card in made}
    orders = {card.card_id: 2 for card in made}
    found = chapters.explanations(made, clicks, orders, start_s=START_S, end_s=START_S + 600)
    assert all(one.orders == 2 * one.clicks for one in found)
    return found


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        pytest.param([("a", 10, 40), ("b", 50, 90)], [("a", 10, 40, 1), ("b", 50, 90, 1)], id="two"),
        pytest.param([("a", 10, 40), ("a", 54.9, 90)], [("a", 10, 90, 2)], id="a pause is none"),
        pytest.param([("a", 10, 40), ("a", 55, 90)], [("a", 10, 40, 1), ("a", 55, 90, 1)], id="15 s are a pause"),
        pytest.param([("a", 10, 14.9)], [], id="a glance"),
        pytest.param([("a", 10, 40), ("b", 41, 44), ("a", 45, 90)], [("a", 10, 90, 2)], id="a glance in between"),
        pytest.param([("a", 10, 13), ("a", 14, 17)], [("a", 10, 17, 2)], id="glances that are one"),
        pytest.param([("a", 10, 60), ("b", 30, 90)], [("a", 10, 30, 1), ("b", 30, 90, 1)], id="the next one ends it"),
        pytest.param([("a", -20, 30), ("b", 500, None)], [("a", 0, 30, 1), ("b", 500, 600, 1)], id="cut at both ends"),
        pytest.param([("a", -20, -5), ("b", 700, 800)], [], id="outside"),
        pytest.param([], [], id="none"),
    ],
)
def test_cards_become_explanations(spans, expected):
    found = shown(*spans)
    assert [(one.sku, one.start_s, pytest.approx(one.end_s), one.clicks) for one in found] == expected


NAMES = ["一 --> 二\n& <b>三</b>", '5" 屏 "新"', "=cmd()"]


def named(start_s=(0.25, 65.5, 360_010.0)):
    return [
        chapters.Explanation(str(sku), name, "https://shop.example.com/1", at_s, at_s + 30, START_S + at_s, 2, 1)
        for sku, (name, at_s) in enumerate(zip(NAMES, start_s, strict=True), 1)
    ]


def test_webvtt_is_read_by_a_player(tmp_path):
    text = chapters.as_vtt(named())
    assert text.count("-->") == 3
    file = tmp_path / "show.vtt"
    file.write_text(text, encoding="utf-8")
    with av.open(str(file)) as container:
        stream = container.streams[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        read = [(float(packet.pts * stream.time_base), bytes(packet).decode()) for packet in packets]
    assert [at_s for at_s, _ in read] == [0.25, 65.5, 360_010.0]
    assert read[0][1] == "一 --&gt; 二 &amp; &lt;b&gt;三&lt;/b&gt;"


def test_the_other_formats():
    apple = json.loads(chapters.as_apple(named()))
    assert [(one["chapter"], one["start-time"], one["duration"]) for one in apple][1:] == [
        (2, 65.5, 30.0),
        (3, 360_010.0, 30.0),
    ]
    rows = list(csv.reader(io.StringIO(chapters.as_csv(named()).removeprefix("\ufeff"))))
    assert rows[1][2:7] == ["00:00:00.250", "00:00:30.250", "30.0", "2025-10-09T08:53:20.250Z", "2"]
    assert rows[0][-1] == "orders"
    assert rows[1][-1] == "1"
    assert (rows[3][1], rows[3][2]) == ("'=cmd()", "100:00:10.000")
    ranges = chapters.as_dateranges(named()).splitlines()
    assert len(ranges) == 3
    assert 'START-DATE="2025-10-09T08:54:25.500Z",DURATION=30.000,' in ranges[1]
    assert 'X-NAME="5” 屏 ”新”"' in ranges[1]


@pytest.mark.parametrize(
    ("start_s", "expected"),
    [
        ((0.25, 65.5, 360_010.0), ["0:00 一", "1:05 5", "100:00:10 ="]),
        ((12.0, 21.0, 40.0), ["0:00 开", "0:12 一", "0:40 ="]),
        ((3.0, 8.0, 40.0), ["0:00 一", "0:40 ="]),
    ],
)
def test_a_description_begins_at_0_and_has_no_chapter_under_10_s(start_s, expected):
    lines = chapters.as_text(named(start_s)).splitlines()
    assert [line[: len(start)] for line, start in zip(lines, expected, strict=True)] == expected


def test_through_the_api(store, tmp_path):
    service = service_of(store, tmp_path)
    client = client_of(app_of(service), token_of(store, "read"))
    events = [("card", "c1", 10.0), ("withdraw", "c1", 40.0), ("card", "c2", 60.0)]
    with store.write("test") as session:
        for kind, card_id, at_s in events:
            cards.record(session, card_event(event=kind, card_id=card_id, sku=card_id, at_s=START_S + at_s))
        cards.record(session, card_event(card_id="c3", room="elsewhere", at_s=START_S + 20))
        # Of a process that was killed the day before.
        cards.record(session, card_event(card_id="c4", sku="c4", at_s=START_S - 86_400))
    asked = {"start_s": START_S, "end_s": START_S + 100}
    answer = client.get("rooms/room-1/chapters", params=asked)
    assert answer.headers["Content-Type"].startswith("text/csv")
    assert [row["sku"] for row in csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff")))] == ["c1", "c2"]
    assert client.get("rooms/room-1/chapters", params=asked | {"format": "vtt"}).text.startswith("WEBVTT\n\n1\n")
    wrong = client.get("rooms/room-1/chapters", params=asked | {"end_s": START_S})
    assert (wrong.status_code, wrong.json()["error"]["reason"]) == (422, "ends_before_it_starts")
    service.cache.close()
