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


A_SHOWN = shown("a", 5, 10)
#: The cards, what was shown, and precision, recall, wrong, duplicates, bystanders of it.
SCORES = {
    "updates and withdrawals do not count": (
        [card("a", 5.5, event="update"), card("a", 6.0), card("b", 7.0, event="withdraw")],
        truth(A_SHOWN),
        (1.0, 1.0, 0, 0, 0),
    ),
    "a second card of a show": ([card("a", 9.0), card("a", 6.0)], truth(A_SHOWN), (0.5, 1.0, 0, 1, 0)),
    "a product that nobody shows": ([card("x", 6.0)], truth(A_SHOWN), (0.0, 0.0, 1, 0, 0)),
    "a bystander while it is there and after": (
        [card("a", 6.0), card("x", 7.0), card("x", 30.0)],
        truth(A_SHOWN, bystanders=[shown("x", 0, 20)]),
        (0.5, 1.0, 1, 0, 1),
    ),
    "a bystander that is then shown": (
        [card("a", 6.0)],
        truth(A_SHOWN, bystanders=[shown("a", 0, 60)]),
        (1.0, 1.0, 0, 0, 0),
    ),
    # The second card lies in the tolerance of the first show as well.
    "two shows of a product": (
        [card("a", 6.0), card("a", 10.5)],
        truth(A_SHOWN, shown("a", 10.4, 15)),
        (1.0, 1.0, 0, 0, 0),
    ),
    "a show that was missed": ([card("a", 6.0)], truth(A_SHOWN, shown("b", 20, 25)), (1.0, 0.5, 0, 0, 0)),
    "nothing shown, nothing announced": ([], truth(), (None, None, 0, 0, 0)),
}


@pytest.mark.parametrize("case", SCORES)
def test_cards_are_judged_by_the_shows(case):
    events, of, expected = SCORES[case]
    result = judged(events, of)
    assert (result.precision, result.recall, result.wrong, result.duplicates, result.bystanders) == expected


def test_what_was_wrong_is_named():
    of = truth(A_SHOWN, bystanders=[shown("y", 0, 20)])
    result = judged([card("x", 6.0), card("y", 7.0)], of)
    assert [(each.sku, each.pts_s, each.clip) for each in result.wrong_cards] == [("x", 6.0, "a.mp4")]
    assert [each.pts_s for each in result.bystander_cards] == [7.0]
    assert result.appear_to_card_s.median is None


@pytest.mark.parametrize(
    ("pts_s", "found"), [(4.89, False), (4.91, True), (5.0, True), (10.0, True), (10.99, True), (11.01, False)]
)
def test_the_edges_of_a_show(pts_s, found):
    result = judged([card("a", pts_s)], truth(shown("a", 5, 10)), tolerance_s=1.0)
    assert (result.recall, result.wrong) == ((1.0, 0) if found else (0.0, 1))


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
