"""Tokens at rest and revoked, and the limits of the API as rooms.toml sets them."""

import time
from contextlib import contextmanager

import pytest
from fastapi import FastAPI
from sqlalchemy import select

from livecart.core.errors import SettingsError
from livecart.shop.api import ApiSettings, catalog_router
from livecart.shop.api.access import TokenChecks
from livecart.shop.database.store import open_store
from livecart.shop.errors import InvalidValue, NotFound
from livecart.shop.models.service import TokenRow
from livecart.shop.repositories import tokens
from tests.shop.api_clients import app_of, client_of, service_of, token_of


@pytest.fixture
def store(sqlite_store):
    return sqlite_store


def code_of(answer) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_a_token_revoked_elsewhere_is_void_within_seconds(service, sqlite_url):
    store = service.store
    settings = ApiSettings(token_age_s=0.05)
    token = token_of(store, "read")
    client = client_of(app_of(service, settings), token)
    assert client.get("hosts").status_code == 200
    other = open_store(sqlite_url, now_s=store.now_s)
    with other.write("elsewhere") as session:
        tokens.revoke(session, tokens.every(session)[-1].id)
    other.close()
    time.sleep(0.06)
    assert code_of(client.get("hosts")) == (401, "denied")


def test_a_token_revoked_in_this_process_is_void_at_once_whoever_revoked_it(service):
    store = service.store
    client = client_of(app_of(service), token_of(store, "admin"))
    till = client_of(client.app, token_of(store, "read"))
    assert till.get("hosts").status_code == 200
    # As the staff's pages do it.
    with store.write("pages") as session:
        tokens.revoke(session, tokens.every(session)[-1].id)
    assert code_of(till.get("hosts")) == (401, "denied")


def test_a_token_revoked_while_it_is_looked_up_is_not_believed_afterwards(sqlite_store):
    store = sqlite_store
    checks = TokenChecks(store, 5.0)
    token = token_of(store, "read")
    read = store.read

    @contextmanager
    def read_before_the_revocation():
        with read() as session:
            yield session
        with store.write("pages") as session:
            tokens.revoke(session, tokens.every(session)[-1].id)

    store.read = read_before_the_revocation
    assert checks.look_up(token) is not None
    store.read = read
    assert checks.known(token) == (False, None)
    assert checks.look_up(token) is None


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"token_age_s": 6}, "token_age_s must be at most 5"),
        ({"token_per_s": 0}, "token_per_s is 0"),
        ({"body_s": float("nan")}, "body_s is nan"),
        ({"address_burst": float("inf")}, "address_burst is inf"),
    ],
)
def test_limits_are_bounded(values, said):
    with pytest.raises(SettingsError, match=said):
        ApiSettings(**values)


def test_limits_of_the_settings_are_those_of_the_api(sqlite_store, tmp_path):
    service = service_of(sqlite_store, tmp_path, api=ApiSettings(token_burst=2, token_per_s=0.01))
    app = FastAPI()
    app.include_router(catalog_router(service))
    client = client_of(app, token_of(sqlite_store, "read"))
    assert [client.get("hosts").status_code for _ in range(3)] == [200, 200, 429]


def issue(store, role="edit", **options):
    with store.write("admin") as session:
        return tokens.issue(session, "shop floor", role, **options)


def test_the_token_itself_is_nowhere(store):
    token, _ = issue(store)
    with store.read() as session:
        row = session.scalar(select(TokenRow))
        assert token not in str(vars(row))


def test_what_cannot_be_a_token_is_refused(store):
    with pytest.raises(InvalidValue, match="role"):
        issue(store, "root")
    with pytest.raises(NotFound), store.write("admin") as session:
        tokens.revoke(session, 99)
