"""Which archive the project's own builder embeds photos with, as [catalog] says."""

import sys

import pytest

from livecart.core.errors import SettingsError
from livecart.shop import service
from livecart.shop.errors import PublishError
from livecart.shop.service import builder_of
from livecart.shop.settings import CatalogSettings

# Ends at once and says what it was called with: the real one needs the recogniser's packages.
_SAYS_ITS_ARGUMENTS = (sys.executable, "-c", "import sys; sys.exit(' '.join(sys.argv))", "{folder}", "{output}")


def test_the_archive_of_the_settings_is_the_one_that_embeds(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(service, "DEFAULT_COMMAND", (*_SAYS_ITS_ARGUMENTS, "plain"))
    monkeypatch.setattr(service, "RESIDENT_COMMAND", (*_SAYS_ITS_ARGUMENTS[:3], "resident"))
    builder = builder_of(CatalogSettings(archive=str(tmp_path / "other.mar")))
    try:
        with pytest.raises(PublishError, match=r"plain --archive \S*other\.mar"):
            builder.run(tmp_path, tmp_path / "out.snapshot", stop=lambda: False)
    finally:
        builder.close()
    assert f"resident --archive {tmp_path / 'other.mar'}" in capfd.readouterr().err


def test_a_command_of_ones_own_names_its_archive_itself():
    with pytest.raises(SettingsError, match="build_command"):
        CatalogSettings(build_command=("b", "{folder}", "{output}"), archive="other.mar")
