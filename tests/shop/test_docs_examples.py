"""The examples of docs/api.md, docs/admin.md and docs/catalog-service.md run."""

import re
import subprocess

from livecart.shop.database.store import open_store
from livecart.shop.repositories import tokens
from tests.conftest import ROOT
from tests.shop.api_clients import app_of, client_of, service_of, serving, token_of
from tests.shop.catalog_stores import link
from tests.shop.photo_files import photo


def examples(page, language="python"):
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_the_api_is_asked_as_its_page_says(sqlite_store, tmp_path):
    service = service_of(sqlite_store, tmp_path / "files")
    token = token_of(sqlite_store, "edit")
    (tmp_path / "photo.jpg").write_bytes(photo(1))
    (tmp_path / "goods.csv").write_text(f"sku,name,url\n1002,酸奶,{link('1002')}\n", encoding="utf-8")
    (python,), (shell,) = examples("api.md"), examples("api.md", "bash")
    with serving(app_of(service)) as url:
        names = {"URL": f"{url}/catalog/v1", "TOKEN": token}
        exec(compile(python, "api.md", "exec"), names)
        assert names["skus"] == ["1001"]
        names["catalog"].close()
        for line in shell.strip().splitlines():
            environment = {"URL": names["URL"], "TOKEN": token, "PATH": "/usr/bin:/bin"}
            done = subprocess.run(["bash", "-c", line], cwd=tmp_path, env=environment, capture_output=True, check=False)
            assert done.returncode == 0, (line, done.stdout, done.stderr)
    product = client_of(app_of(service), token).get("products/1001").json()
    assert (product["stock"], product["price"], len(product["photos"])) == (39, "11.90", 1)
    assert "1001" in (tmp_path / "product_links.json").read_text(encoding="utf-8")
    service.cache.close()


def test_the_first_token_is_made_as_the_page_says(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (example,) = examples("admin.md")
    exec(compile(example, "docs/admin.md", "exec"), {})
    store = open_store("sqlite:///catalog.db")
    with store.read() as session:
        info = tokens.check(session, capsys.readouterr().out.strip())
    store.close()
    assert (info.name, info.role) == ("admin", "admin")


def test_the_catalog_is_used_from_python_as_its_page_says(tmp_path, monkeypatch):
    monkeypatch.setenv("SHOP_TOKEN", "")
    for number, example in enumerate(examples("catalog-service.md")):
        (tmp_path / str(number)).mkdir()
        monkeypatch.chdir(tmp_path / str(number))
        exec(compile(example, "catalog-service.md", "exec"), {})
