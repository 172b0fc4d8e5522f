"""Reads a model-config.yaml, and the content of a built archive."""

import zipfile
from pathlib import Path

import msgspec
import yaml

from recognition.errors import ConfigurationError
from recognition.settings import ModelChoice, Settings, parse_settings
from torchserve_plan import ROOT

HANDLER = ROOT / "handler"


def read_settings(path: Path) -> Settings:
    """The ``handler`` block of ``path``, its relative paths resolved against the file's folder.

    Raises:
        ConfigurationError: missing, not YAML or not as ``recognition.settings`` says.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{path}: {error}") from error
    settings = parse_settings(document if isinstance(document, dict) else {}, where=str(path))
    resolved: dict[str, str] = {
        key: str((path.parent / value).resolve())
        for key in ("path", "labels")
        if (value := getattr(settings.model, key)) is not None
    }
    model: ModelChoice = msgspec.structs.replace(settings.model, **resolved)
    return msgspec.structs.replace(settings, model=model)


def unpack(archive: Path, folder: Path) -> Path:
    """The archive's content below ``folder``; a folder given as the archive is used as it is.

    Raises:
        ConfigurationError: not there, or not an archive.
    """
    if archive.is_dir():
        return archive
    try:
        with zipfile.ZipFile(archive) as content:
            content.extractall(folder)
    except FileNotFoundError as error:
        raise ConfigurationError(f"{archive} is not built; `make archive` builds it") from error
    except (OSError, zipfile.BadZipFile) as error:
        raise ConfigurationError(f"{archive}: not an archive that can be read: {error}") from error
    return folder
