"""Cards made by hand against shows made by hand."""

import json

import msgspec
import pytest

from livecart.cli.clip_score import ClipTruth, ShownProduct, merge, read_truth, score
from livecart.core.errors import SettingsError
from tests.card_events import card_event


def card(sku, pts_s, *, delay_s=0.25, event="card"):
    at_s = 1000.0 + pts_s + delay_s
    return card_event(event=event, sku=sku, name=f"name of {sku}", pts_s=pts_s, at_s=at_s, captured_at_s=1000.0 + pts_s)


def shown(sku, from_s, to_s):
    return ShownProduct(sku=sku, name=f"name of {sku}", from_s=from_s, to_s=to_s)


def truth(*shows, bystanders=(), duration_s=60.0, clip="a.mp4"):
    return ClipTruth(
        schema=1,
        clip=clip,
        fps=30.0,
        width=720,
        height=1280,
        duration_s=duration_s,
        shows=list(shows),
        bystanders=list(bystanders),
    )


def judged(events, of, **options):
    return score(events, of, calls=30, sampled_frames=60, skipped_frames=15, **options)


def test_every_show_found_once():
    result = judged([card("a", 6.0), card("b", 22.5)], truth(shown("a", 5, 10), shown("b", 20, 26)))
    assert (result.precision, result.recall, result.wrong, result.duplicates) == (1.0, 1.0, 0, 0)
    assert [show.appear_to_card_s for show in result.shows] == pytest.approx([1.25, 2.75])
    assert result.appear_to_card_s.median == pytest.approx(2.0)
    assert result.appear_to_card_s.p95 == pytest.approx(1.25 + 0.95 * 1.5)
    assert result.skipped_share == 0.25
    assert result.calls_per_min == 30.0


def test_only_events_that_show_a_card_count():
    events = [card("a", 5.5, event="update"), card("a", 6.0), card("b", 7.0, event="withdraw")]
    result = judged(events, truth(shown("a", 5, 10)))
    assert (result.precision, result.shows[0].cards_pts_s) == (1.0, [6.0])


def test_a_second_card_of_a_show_is_a_duplicate_and_costs_precision():
    result = judged([card("a", 9.0), card("a", 6.0)], truth(shown("a", 5, 10)))
    assert (result.duplicates, result.wrong, result.precision, result.recall) == (1, 0, 0.5, 1.0)
    assert result.appear_to_card_s.median == pytest.approx(1.25)


@pytest.mark.parametrize(
    ("pts_s", "found"), [(4.89, False), (4.91, True), (5.0, True), (10.0, True), (10.99, True), (11.01, False)]
)
def test_the_edges_of_a_show(pts_s, found):
    result = judged([card("a", pts_s)], truth(shown("a", 5, 10)), tolerance_s=1.0)
    assert (result.recall, result.wrong) == ((1.0, 0) if found else (0.0, 1))


def test_a_product_that_nobody_shows_is_wrong_and_named():
    result = judged([card("x", 6.0)], truth(shown("a", 5, 10)))
    assert (result.precision, result.recall, result.wrong) == (0.0, 0.0, 1)
    assert [(each.sku, each.pts_s, each.clip) for each in result.wrong_cards] == [("x", 6.0, "a.mp4")]
    assert result.appear_to_card_s.median is None


def test_a_bystander_is_neither_right_nor_wrong_while_it_is_there():
    of = truth(shown("a", 5, 10), bystanders=[shown("x", 0, 20)])
    result = judged([card("a", 6.0), card("x", 7.0), card("x", 30.0)], of)
    assert (result.bystanders, result.wrong, result.precision) == (1, 1, 0.5)
    assert [each.pts_s for each in result.bystander_cards] == [7.0]


def test_a_product_that_lies_about_and_is_then_shown_counts_for_its_show():
    of = truth(shown("a", 5, 10), bystanders=[shown("a", 0, 60)])
    result = judged([card("a", 6.0)], of)
    assert (result.recall, result.bystanders) == (1.0, 0)


def test_two_shows_of_a_product_each_get_their_card():
    # The second card lies in the tolerance of the first show as well.
    of = truth(shown("a", 5, 10), shown("a", 10.4, 15))
    result = judged([card("a", 6.0), card("a", 10.5)], of)
    assert (result.recall, result.duplicates) == (1.0, 0)
    assert [show.cards_pts_s for show in result.shows] == [[6.0], [10.5]]


def test_nothing_shown_and_nothing_announced_has_no_shares():
    result = score([], truth(), calls=0, sampled_frames=0, skipped_frames=0)
    assert (result.precision, result.recall, result.skipped_share, result.calls_per_min) == (None, None, None, 0.0)


def test_missed_shows_leave_the_delays_of_the_others():
    result = judged([card("a", 6.0)], truth(shown("a", 5, 10), shown("b", 20, 25)))
    assert (result.recall, result.precision, result.shows_found, result.shows_total) == (0.5, 1.0, 1, 2)
    assert result.shows[1].appear_to_card_s is None


def test_merging_weighs_shows_and_minutes_alike():
    first = judged([card("a", 6.0)], truth(shown("a", 5, 10), duration_s=60))
    second = score(
        [card("b", 8.0), card("x", 9.0)],
        truth(shown("b", 5, 10), shown("c", 20, 25), duration_s=120, clip="b.mp4"),
        calls=60,
        sampled_frames=240,
        skipped_frames=210,
    )
    both = merge([first, second])
    assert both.recall == pytest.approx(2 / 3)
    assert both.precision == pytest.approx(2 / 3)
    assert both.appear_to_card_s.median == pytest.approx((1.25 + 3.25) / 2)
    assert both.skipped_share == pytest.approx(225 / 300)
    assert both.calls_per_min == pytest.approx(30.0)
    assert [show.clip for show in both.shows] == ["a.mp4", "b.mp4", "b.mp4"]
    with pytest.raises(ValueError, match="at least one"):
        merge([])


def test_a_score_has_the_keys_of_the_command():
    result = json.loads(msgspec.json.encode(judged([card("a", 6.0)], truth(shown("a", 5, 10)))))
    keys = {"precision", "recall", "wrong", "duplicates", "appear_to_card_s", "skipped_share", "calls_per_min"}
    assert keys <= set(result)
    assert set(result["appear_to_card_s"]) == {"median", "p95"}


def test_a_truth_file_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "truth.json"
    box = (5.0, 1.0, 2.0, 3.0, 4.0)
    written = truth(msgspec.structs.replace(shown("a", 5, 10), boxes=[box], visible=[0.75]))
    path.write_bytes(msgspec.json.encode(written))
    assert read_truth(path) == written


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"schema": 2}, "schema 2"),
        ({"duration_s": 0}, "duration_s"),
        ({"shows": [{"sku": "a", "name": "n", "from_s": 9, "to_s": 5}]}, "backwards"),
        ({"shows": [{"sku": "a"}]}, r"\$\.shows\[0\]"),
        ({"shows": None}, "shows"),
    ],
)
def test_a_wrong_truth_file_is_refused_with_its_name_and_the_place(tmp_path, change, told):
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(msgspec.to_builtins(truth()) | change))
    with pytest.raises(SettingsError, match=rf"truth\.json: .*{told}"):
        read_truth(path)


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe\x00", b"[]"])
def test_what_is_no_truth_file_is_refused(tmp_path, content):
    path = tmp_path / "truth.json"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match="no truth file"):
        read_truth(path)


def test_a_missing_truth_file_is_named(tmp_path):
    with pytest.raises(SettingsError, match=r"nowhere\.json: cannot be read"):
        read_truth(tmp_path / "nowhere.json")
