"""Download the general recognition model of ModelScope (54,092 Chinese classes, about 600 MB).

Fetches pytorch_model.pt and meta_info.txt, checks that they fit by loading them as the build does, and writes a
model-config.yaml next to them, so that `make archive MODEL_CONFIG=…` is all that is left to do.

Run it again at any time: a broken download goes on where it stopped, and files that are there are not downloaded
again. Without a network, put the two files into the folder by hand and run it all the same.

The SHA-256 of what came first is kept in SHA256SUMS beside the files, and every later run holds them to it; copy that
file into an empty folder to get the same weights on another machine, or none.

The ModelScope SDK reads MODELSCOPE_ENDPOINT (another hub), MODELSCOPE_API_TOKEN and HTTPS_PROXY.
"""

import argparse
import errno
import hashlib
import re
import sys
from pathlib import Path

from archive_files import HANDLER, read_settings
from recognition.backbones import load_backbone
from recognition.backbones.modelscope_general import CHECKPOINT_FILE, LABELS_FILE, MODEL_ID
from recognition.errors import ConfigurationError
from recognition.settings import ModelChoice
from torchserve_plan import ROOT

FILES = (CHECKPOINT_FILE, LABELS_FILE)
CONFIG_FILE = "model-config.yaml"
#: As `sha256sum -c` reads it.
SUMS_FILE = "SHA256SUMS"


class FetchError(Exception):
    """The model could not be fetched; the message says what to do."""


def main() -> int:
    """Run the command line; 0 on success, 1 with a message otherwise."""
    options = _arguments()
    folder: Path = (options.output or ROOT / "model_store" / "weights" / options.model_id.rpartition("/")[2]).resolve()
    try:
        if _missing(folder):
            download(options.model_id, folder, revision=options.revision)
        else:
            print(f"{folder} is complete: nothing to download (delete it to download again)")
        sums = hold_to_sums(folder)
        config = write_config(folder)
        print("checking that the weights fit …", flush=True)
        verify(config)
        (folder / SUMS_FILE).write_text(sums, encoding="ascii")
    except (FetchError, ConfigurationError) as error:
        print(f"fetch_model: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("fetch_model: stopped; run it again to go on", file=sys.stderr)
        return 130
    shown = config.relative_to(ROOT) if config.is_relative_to(ROOT) else config
    print(f"they do. Next:\n  make archive MODEL_CONFIG={shown}")
    return 0


def download(model_id: str, folder: Path, *, revision: str | None) -> None:
    """Bring ``FILES`` of ``model_id`` into ``folder``, each whole or not at all.

    Raises:
        FetchError: no SDK, no network, no such model or file, no space; whatever has arrived is kept.
    """
    try:
        from modelscope import snapshot_download
        from modelscope_hub.errors import FileDownloadError, HubError
    except ImportError as error:
        raise FetchError(f"the ModelScope SDK is missing ({error}): make setup, or pip install --group hub") from error
    from requests import RequestException

    print(f"downloading {' and '.join(FILES)} of {model_id} to {folder} …", flush=True)
    try:
        snapshot_download(model_id, revision=revision, local_dir=str(folder), allow_patterns=list(FILES))
    except FileDownloadError as error:
        name, cause = next(iter(error.failed_files.items()))
        raise FetchError(_explained(cause, model_id, folder, what=name)) from error
    except (HubError, RequestException, OSError) as error:
        raise FetchError(_explained(error, model_id, folder, what=model_id)) from error
    if missing := _missing(folder):
        where = f"{model_id} at revision {revision}" if revision else model_id
        raise FetchError(f"{where} has no {' and no '.join(missing)}: check --model-id and --revision")


def hold_to_sums(folder: Path) -> str:
    """Check ``FILES`` against the folder's ``SHA256SUMS``, if it has one. Returns their own, in that form.

    Raises:
        FetchError: a file is another than the one of the sums.
    """
    found = {}
    for name in FILES:
        with (folder / name).open("rb") as file:
            found[name] = hashlib.file_digest(file, "sha256").hexdigest()
    sums = folder / SUMS_FILE
    if sums.exists():
        lines = [line.split(maxsplit=1) for line in sums.read_text(encoding="utf-8").splitlines()]
        wanted = {line[1].lstrip("*"): line[0].lower() for line in lines if len(line) == 2}
        for name, digest in found.items():
            if wanted.get(name) != digest:
                raise FetchError(f"{folder / name} is not the file of {sums}: delete the one that is not to be trusted")
    return "".join(f"{digest}  {name}\n" for name, digest in found.items())


def write_config(folder: Path) -> Path:
    """A copy of the default ``model-config.yaml`` that chooses the weights in ``folder``; one that is there is kept."""
    path = folder / CONFIG_FILE
    if not path.exists():
        default = (HANDLER / CONFIG_FILE).read_text(encoding="utf-8")
        chosen = re.sub(r"(?m)^( +)source:.*$", r"\1source: modelscope-general\n\1path: .", default, count=1)
        path.write_text(chosen, encoding="utf-8")
    return path


def verify(config: Path) -> None:
    """Load what ``config`` names exactly as the build will.

    Raises:
        ConfigurationError: it names something else, or files are damaged or of another model.
    """
    choice = read_settings(config).model
    if choice != ModelChoice(source="modelscope-general", path=str(config.parent)):
        raise ConfigurationError(f"{config} chooses another model: delete it to get a new one")
    try:
        load_backbone(choice, default_labels=ROOT / "labels.json")
    except ConfigurationError as error:
        raise ConfigurationError(f"{error}\nDelete the file at fault and run this again.") from error


def _missing(folder: Path) -> list[str]:
    return [name for name in FILES if not (folder / name).is_file()]


def _explained(error: BaseException, model_id: str, folder: Path, *, what: str) -> str:
    """One line: what went wrong and what to do about it."""
    from modelscope_hub.errors import FileIntegrityError, NetworkError

    reason = str(error).partition("\n")[0]
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return f"{what}: the disk of {folder} is full; make room or choose another --output, then run this again"
    if isinstance(error, NetworkError):
        return (
            f"cannot reach ModelScope: check network and HTTPS_PROXY, then run this again; or copy "
            f"{' and '.join(FILES)} of https://modelscope.cn/models/{model_id}/files to {folder} by hand ({reason})"
        )
    if isinstance(error, FileIntegrityError):
        return f"{what}: does not arrive as the hub lists it; run this again later or with a mirror ({reason})"
    return f"{what}: {reason}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model-id", default=MODEL_ID, help="owner/name on the hub (default: %(default)s)")
    parser.add_argument("--revision", help="branch, tag or commit (default: master)")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="default: model_store/weights/<the model's name>")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
