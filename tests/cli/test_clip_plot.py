"""The timeline's picture takes names as they come."""

from livecart.cli.clip_plot import save_timeline
from livecart.cli.clip_score import ClipTruth, ShownProduct, score


def test_names_that_look_like_markup_are_drawn_as_they_are(tmp_path):
    shows = [ShownProduct(sku="1", name="tea [/b] [red]", from_s=1.0, to_s=6.0)]
    other = [ShownProduct(sku="2", name="[/]", from_s=1.0, to_s=6.0)]
    truth = ClipTruth(
        schema=1, clip="c.mp4", fps=25.0, width=720, height=1280, duration_s=8.0, shows=shows, bystanders=other
    )
    save_timeline(tmp_path / "t.svg", score([], truth, calls=1, sampled_frames=1, skipped_frames=0), truth)
    drawn = (tmp_path / "t.svg").read_text(encoding="utf-8")
    assert "[/b]" in drawn
    assert "[red]" in drawn
