"""The examples of docs/api.md run."""

import re
import shutil
import subprocess

import pytest

from tests.conftest import ROOT
from tests.shop.api_clients import app_of, client_of, serving, token_of
from tests.shop.catalog_stores import link
from tests.shop.photo_files import photo

TEXT = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")


@pytest.fixture
def store(sqlite_store):
    return sqlite_store


def examples(language):
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def test_the_examples_run(service, sqlite_store, tmp_path):
    token = token_of(sqlite_store, "edit")
    (tmp_path / "photo.jpg").write_bytes(photo(1))
    (tmp_path / "goods.csv").write_text(f"sku,name,url\n1002,酸奶,{link('1002')}\n", encoding="utf-8")
    (python,), (shell,) = examples("python"), examples("bash")
    with serving(app_of(service)) as url:
        names = {"URL": f"{url}/catalog/v1", "TOKEN": token}
        exec(compile(python, "api.md", "exec"), names)
        assert names["skus"] == ["1001"]
        names["catalog"].close()
        if shutil.which("curl") is None:
            pytest.skip("no curl")
        for line in shell.strip().splitlines():
            environment = {"URL": names["URL"], "TOKEN": token, "PATH": "/usr/bin:/bin"}
            done = subprocess.run(["bash", "-c", line], cwd=tmp_path, env=environment, capture_output=True, check=False)
            assert done.returncode == 0, (line, done.stdout, done.stderr)
    product = client_of(app_of(service), token).get("products/1001").json()
    assert (product["stock"], product["price"], len(product["photos"])) == (39, "11.90", 1)
    assert "1001" in (tmp_path / "product_links.json").read_text(encoding="utf-8")
