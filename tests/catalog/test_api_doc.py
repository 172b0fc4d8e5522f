"""The examples of docs/api.md run, and its tables are whole."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from livecart.catalog.records.photo_check import MOST_BYTES
from tests.catalog.api_clients import app_of, client_of, service_of, serving, token_of
from tests.catalog.catalog_stores import link
from tests.catalog.photo_files import photo
from tests.conftest import ROOT

TEXT = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")


def examples(language):
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


@pytest.fixture
def service(sqlite_store, tmp_path):
    made = service_of(sqlite_store, tmp_path / "files")
    yield made
    made.cache.close()


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


def test_every_path_is_in_the_table(service, sqlite_store):
    openapi = client_of(app_of(service), token_of(sqlite_store)).get("openapi.json").json()
    table = TEXT.partition("```")[0]
    for path in openapi["paths"]:
        first = path.removeprefix("/catalog/v1").split("/{")[0]
        assert f"`{first}" in table, path


def test_every_code_that_is_answered_is_in_the_table():
    api = ROOT / "livecart" / "catalog" / "api"
    source = "".join(path.read_text(encoding="utf-8") for path in api.glob("*.py"))
    codes = set(re.findall(r'(?:Refused\(\d+, |slow_down\(|error\(\d+, |error_with\(\d+, )"([a-z_]+)"', source))
    assert len(codes) > 10
    # The connection has ended: nobody reads that one.
    assert {code for code in codes - {"gone"} if f"`{code}`" not in TEXT} == set()


def test_limits_are_as_they_are_told():
    from livecart.catalog.api import ApiSettings

    limits = ApiSettings()
    assert f"send {limits.address_per_s:.0f} requests a second ({limits.address_burst:.0f} at once)" in TEXT
    assert f"{limits.token_per_s:.0f} ({limits.token_burst:.0f} at once)" in TEXT
    assert f"{limits.at_once} requests are worked at at once, {limits.waiting} wait" in TEXT
    assert f"within {limits.token_age_s:.0f} s in others" in TEXT
    assert f"{MOST_BYTES // 1024 // 1024} MiB of a photo" in TEXT
