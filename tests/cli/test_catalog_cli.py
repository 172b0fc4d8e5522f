"""`livecart catalog …`: what goes in comes out, tokens are shown once, and mistakes are one sentence."""

import json
import logging
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from contract.catalog import Variant
from livecart.cli.commands import cli
from livecart.shop.database.store import open_store
from livecart.shop.repositories import cards, hosts, orders, products, tokens
from tests.card_events import card_event
from tests.shop.catalog_stores import patch
from tests.shop.fake_platforms import SECRET, FakeTaobao
from tests.shop.photo_files import photo

LINKS = Path(__file__).resolve().parents[2] / "product_links.json"
SHOP = "shop.example.com"


class Catalog:
    """Runs the commands on a catalog of its own."""

    def __init__(self, folder):
        self.url = f"sqlite:///{folder / 'catalog.db'}"
        self._place = ["--url", self.url, "--folder", str(folder / "catalog")]

    def run(self, *arguments, status=0, place=None):
        command = ["catalog", *map(str, arguments), *(self._place if place is None else place)]
        result = CliRunner().invoke(cli, command, env={"LIVECART_CATALOG_URL": ""})
        assert result.exit_code == status, result.output
        return result

    def json(self, *arguments, **more):
        return json.loads(self.run(*arguments, "--json", **more).stdout)


@pytest.fixture(autouse=True)
def _logging_as_before():
    """The commands set logging up for a process of their own."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def catalog(tmp_path):
    return Catalog(tmp_path)


def write_shop(folder, **product):
    (folder / "photos").mkdir(parents=True)
    (folder / "photos" / "1.jpg").write_bytes(photo(1))
    entry = {"sku": "1", "name": "螺蛳粉", "url": f"https://{SHOP}/1", "photos": ["photos/1.jpg"], **product}
    (folder / "catalog.json").write_text(json.dumps({"schema": 1, "products": [entry]}))
    return folder


def test_links_come_out_as_they_went_in(catalog, tmp_path):
    count = len(json.loads(LINKS.read_text(encoding="utf-8")))
    assert catalog.json("import", LINKS, "--allow", SHOP) == {"created": count, "changed": 0, "unchanged": 0}
    assert catalog.json("import", LINKS)["unchanged"] == count
    catalog.run("export", tmp_path / "out.json")
    assert (tmp_path / "out.json").read_text(encoding="utf-8") == LINKS.read_text(encoding="utf-8")
    assert "已就绪 ready: " + str(count) in catalog.run("init").stdout


def test_a_folder_comes_in_with_its_photos_and_goes_out(catalog, tmp_path):
    shop = write_shop(tmp_path / "shop", photos=["photos/1.jpg", "photos/2.jpg"])
    (shop / "catalog.json").write_text(
        (shop / "catalog.json").read_text().replace('1.jpg"]', '1.jpg", "photos/2.jpg"]')
    )
    (shop / "photos" / "2.jpg").write_bytes(b"<svg/>")
    told = catalog.json("import", shop, "--allow", SHOP)
    assert (told["created"], told["photos"]) == (1, 1)
    assert [bad["path"] for bad in told["bad_photos"]] == ["photos/2.jpg"]
    assert catalog.json("export", tmp_path / "out")["photos"] == 1
    (exported,) = json.loads((tmp_path / "out" / "catalog.json").read_text())["products"]
    assert (tmp_path / "out" / exported["photos"][0]).read_bytes() == photo(1)


def test_a_table_is_tried_before_it_is_taken_in(catalog, tmp_path):
    table = tmp_path / "prices.csv"
    table.write_text(f"货号,商品名称,链接,价格,币种\n1,螺蛳粉,https://{SHOP}/1,12.90,CNY\n2,袜子,javascript:1,1,CNY\n")
    tried = catalog.json("import", table, "--allow", SHOP, "--dry-run", status=1)
    assert (tried["created"], tried["bad"], tried["dry_run"]) == (1, 1, True)
    assert catalog.json("init") == {"products": 0}
    assert "有误 wrong: " in catalog.run("import", table, status=1).stdout
    catalog.run("export", tmp_path / "out.csv")
    assert "12.90" in (tmp_path / "out.csv").read_text(encoding="utf-8-sig")


def test_a_token_is_shown_once_listed_and_revoked(catalog):
    token = catalog.run("token", "create", "till", "--role", "edit", "--days", "1").stdout.strip()
    store = open_store(catalog.url)
    with store.read() as session:
        assert tokens.check(session, token).role == "edit"
    listed = catalog.run("token", "list").stdout
    assert ("till" in listed, token in listed) == (True, False)
    catalog.run("token", "revoke", "1")
    (told,) = catalog.json("token", "list")["tokens"]
    assert told["valid"] is False
    with store.read() as session:
        assert tokens.check(session, token) is None
    store.close()


def test_hosts_are_allowed_and_forbidden(catalog):
    catalog.run("hosts", "allow", "*.example.com")
    assert catalog.json("hosts", "list") == {"hosts": ["*.example.com"]}
    assert catalog.json("hosts", "forbid", "*.example.com") == {"hosts": []}


def test_feeds_are_those_of_the_file_and_are_tried_first(catalog, tmp_path):
    table, config = tmp_path / "feed.csv", tmp_path / "rooms.toml"
    table.write_text(f"sku,name,url\n1,螺蛳粉,https://{SHOP}/1\n")
    feeds = f'[[catalog.feeds]]\nkind = "table"\nname = "erp"\npath = "{table}"\n'
    config.write_text(f'[catalog]\nurl = "{catalog.url}"\nfolder = "{tmp_path / "catalog"}"\n{feeds}')
    place = ["--config", str(config)]
    catalog.run("hosts", "allow", SHOP, place=place)
    tried = catalog.json("sync", "--dry-run", place=place)["feeds"]["erp"]
    assert (tried["outcome"], tried["difference"]["created_skus"]) == ("dry", ["1"])
    assert catalog.json("init", place=place) == {"products": 0}
    first = catalog.json("check-source", "erp", place=place)["first"]
    assert (first["sku"], first["name"]) == ("1", "螺蛳粉")
    assert catalog.json("sync", "erp", place=place)["feeds"]["erp"]["outcome"] == "done"
    assert catalog.json("init") == {"products": 1}
    table.write_text("sku,name,url\n1,螺蛳粉,https://elsewhere.example.org/1\n")
    assert "would not be kept" in catalog.run("check-source", "erp", place=place, status=1).stdout
    table.write_text("sku,name,url\n")
    assert "refused" in catalog.run("sync", place=place, status=1).stdout
    assert "has: erp" in catalog.run("sync", "other", place=place, status=1).stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["import", LINKS], "'shop.example.com' is not an allowed link host"),
        (["import", LINKS], "livecart catalog hosts allow HOST"),
        (["import", "nothing.json"], "nothing.json: cannot be read"),
        (["import", Path(__file__)], "name a catalog folder"),
        (["import", LINKS, "--dry-run"], "--dry-run is for tables"),
        (["export", "/nowhere/at/all.csv"], "/nowhere/at/all.csv: cannot be written"),
        (["token", "revoke", "7"], "no token has id 7"),
        (["hosts", "forbid", "a.example.com"], "is not on the list"),
        (["hosts", "allow", "http://x"], "host"),
        (["sync"], "no feed is configured"),
        (["check-source", "x"], "no feed x"),
    ],
)
def test_a_mistake_is_one_sentence(catalog, arguments, told):
    result = catalog.run(*arguments, status=1)
    assert told in result.stderr
    assert result.stderr.startswith("livecart: ")
    assert result.stdout == ""


def test_without_a_catalog_named_it_says_how(catalog, tmp_path):
    assert "--config rooms.toml" in catalog.run("init", place=[], status=1).stderr
    (tmp_path / "rooms.toml").write_text("")
    assert "--url" in catalog.run("init", place=["--config", str(tmp_path / "rooms.toml")], status=1).stderr


def test_a_look_at_a_shop_tells_what_it_grants_and_no_secret(catalog, tmp_path, monkeypatch):
    monkeypatch.setenv("FAKE_APP_SECRET", SECRET)
    monkeypatch.setenv("FAKE_TOKEN", "access-1")
    config, fake = tmp_path / "rooms.toml", FakeTaobao()
    fake.now_s = time.time()
    config.write_text(
        f"""[catalog]
url = "{catalog.url}"
folder = "{tmp_path / "catalog"}"
[[catalog.feeds]]
kind = "taobao"
name = "tmall"
folder = "{tmp_path / "tmall"}"
app_key = "12345678"
app_secret = "env:FAKE_APP_SECRET"
session = "env:FAKE_TOKEN"
url = "{fake.server.url}/router/rest"
"""
    )
    place = ["--config", str(config)]
    catalog.run("hosts", "allow", "item.taobao.com", place=place)
    said = catalog.run("check-source", "tmall", place=place).output
    assert "products on sale: 3" in said
    assert "modified, num, num_iid" in said
    assert fake.products[0].title in said
    assert not {SECRET, "access-1"} & set(said.split())
    fake.now_s += 660
    assert "differs from the platform's by -6" in catalog.run("check-source", "tmall", place=place, status=1).stderr
    fake.close()


def test_a_shop_that_reports_orders_is_added_its_secret_replaced_and_removed(catalog):
    secret = catalog.run("postback", "add", "till").stdout.strip()
    new = catalog.json("postback", "rotate", "till")["secret"]
    assert catalog.json("postback", "list") == {"shops": ["till"]}
    with closing(open_store(catalog.url)) as store, store.read() as session:
        assert orders.secrets_now(session, "till") == (new, secret)
    assert "'till' is on the list already" in catalog.run("postback", "add", "till", status=1).output
    assert "must be 1 to 32 lower-case" in catalog.run("postback", "add", "Till & Co", status=1).output
    assert "no shop 'other' may report" in catalog.run("postback", "rotate", "other", status=1).output
    catalog.run("postback", "remove", "till")
    assert catalog.run("postback", "list").stdout.strip() == "（空 none）"


def test_orders_stand_beside_explanations_and_are_called_a_correlation(catalog, tmp_path):
    start = datetime(2025, 11, 30, 20, tzinfo=UTC)
    catalog.run("init")
    with closing(open_store(catalog.url)) as store, store.write("test") as session:
        hosts.allow(session, SHOP)
        products.create(session, patch("1001", variants=(Variant(sku="1001-red", name="红"),)))
        for kind, after_s in (("card", 60), ("withdraw", 120)):
            cards.record(session, card_event(event=kind, at_s=start.timestamp() + after_s))
    (tmp_path / "orders.csv").write_text(
        "货号,付款时间\n1001,2025-11-30T20:02:00Z\n1001-red,2025-11-30T20:50:00Z\n1001,\n", encoding="utf-8"
    )
    asked = ["lift", tmp_path / "orders.csv", "room-1", "--start", start, "--end", start.replace(hour=21)]
    found = catalog.json(*asked)
    [row] = found["correlation"]
    assert (row["sku"], row["orders_near"], row["near_s"], row["orders_else"], row["is_few"]) == (
        "1001",
        1,
        360,
        1,
        True,
    )
    assert (found["orders"], found["without_time"]) == (2, 1)
    said = catalog.run(*asked).stdout
    assert "correlation, not cause" in said
    assert "9.0 (0.6–143.9)   1001 好欢螺螺蛳粉 300g  订单太少" in said
    assert "cannot be read" in catalog.run("lift", tmp_path / "none.csv", *asked[2:], status=1).output


def test_what_was_taught_comes_out_as_a_folder(catalog, tmp_path):
    catalog.run("import", write_shop(tmp_path / "shop"), "--allow", SHOP)
    said = catalog.run("export-training", tmp_path / "new" / "training").stdout
    assert "1 个商品 products, 0 张截图 crops" in said
    assert json.loads((tmp_path / "new" / "training" / "feedback.json").read_text())["crops"] == []
    (tmp_path / "file").touch()
    assert "cannot be written" in catalog.run("export-training", tmp_path / "file", status=1).stderr
