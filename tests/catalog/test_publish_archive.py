"""Which archive the project's own builder embeds photos with, as [catalog] says."""

from __future__ import annotations

import pytest

from livecart.catalog.service import builder_of
from livecart.catalog.service_settings import CatalogSettings
from livecart.errors import PublishError, SettingsError


def test_the_archive_of_the_settings_is_the_one_that_embeds(tmp_path):
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "catalog.json").write_text('{"schema": 1, "products": []}')
    builder = builder_of(CatalogSettings(archive=str(tmp_path / "other.mar")))
    try:
        # The one that stays cannot start without it, and the plain one says what is missing.
        with pytest.raises(PublishError, match=r"other\.mar"):
            builder.run(tmp_path / "shop", tmp_path / "out.snapshot", stop=lambda: False)
    finally:
        builder.close()


def test_a_command_of_ones_own_names_its_archive_itself():
    with pytest.raises(SettingsError, match="build_command"):
        CatalogSettings(build_command=("b", "{folder}", "{output}"), archive="other.mar")
