"""The snapshot that a server follows is put back."""

from pathlib import Path

import pytest

from evaluation import backend
from evaluation.dataset import EvaluationError


def test_the_snapshot_that_was_followed_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "snapshot_id", lambda path: path.read_text())
    ours, followed = tmp_path / "ours", tmp_path / "followed"
    ours.write_text("ours")
    followed.write_text("theirs")

    def interrupted() -> None:
        with backend.published(ours, followed) as catalog:
            assert catalog == followed.read_text() == "ours"
            raise EvaluationError("cut off")

    with pytest.raises(EvaluationError, match="cut off"):
        interrupted()
    assert followed.read_text() == "theirs"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["followed", "ours"]
    with backend.published(ours, tmp_path / "new"):
        pass
    assert (tmp_path / "new").read_text() == "ours"
