"""backbone.json is written and read back, and a wrong one is refused."""

import json

import pytest

from recognition.errors import ConfigurationError
from recognition.network.artifact import INFO_FILE, read_info, write_info
from tests.stand_ins import INFO


def test_a_missing_file_is_refused_by_name(tmp_path):
    with pytest.raises(ConfigurationError, match=rf"{INFO_FILE}.*build the archive again"):
        read_info(tmp_path)


@pytest.mark.parametrize("change", [{"num_classes": "four"}, {"preprocessing": {}}, {"weights_sha256": None}])
def test_a_file_with_a_wrong_value_is_refused(tmp_path, change):
    write_info(INFO, tmp_path)
    path = tmp_path / INFO_FILE
    path.write_text(json.dumps({**json.loads(path.read_bytes()), **change}))
    with pytest.raises(ConfigurationError, match=INFO_FILE):
        read_info(tmp_path)
