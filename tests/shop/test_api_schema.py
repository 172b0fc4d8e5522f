"""The API's OpenAPI: described and with examples; and requests made up from it never meet a fault of ours.

LIVECART_API_EXAMPLES=500 makes up more of them.
"""

import os

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import checks
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from sqlalchemy import update

from livecart.shop.api import ApiStats
from livecart.shop.api.gate import ROLE
from livecart.shop.database.store import open_store
from livecart.shop.models.service import TokenRow
from livecart.shop.repositories import cards, products, reviews
from tests.card_events import card_event
from tests.shop.api_clients import app_of, client_of, service_of, serving, token_of
from tests.shop.catalog_stores import allow_shop, empty_tables, patch
from tests.shop.conftest import DATABASES
from tests.shop.photo_files import photo

EXAMPLES = int(os.environ.get("LIVECART_API_EXAMPLES", "8"))
CHECKS = [
    checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module", params=DATABASES)
def served(request, tmp_path_factory):
    """A catalog with something in it, served; its URL, its token and its OpenAPI."""
    folder = tmp_path_factory.mktemp("served")
    if request.param == "sqlite":
        (folder / "catalog.db").write_bytes(request.getfixturevalue("_sqlite_file").read_bytes())
        store = open_store(f"sqlite:///{folder / 'catalog.db'}")
    else:
        store = open_store(request.getfixturevalue("_mysql_url"))
        empty_tables(store)
    allow_shop(store)
    service = service_of(store, folder)
    with store.write("test") as session:
        products.create(session, patch("1001", stock=3))
        cards.record(session, card_event(card_id="0123456789abcdef", room="room-1", at_s=1000.0))
        reviews.submit(session, service.crops, photo(1), reason="low_margin", room="room-1", sku="1001")
    stats = ApiStats()
    app = app_of(service, stats=stats)
    token = token_of(store, "admin")
    with store.write("test") as session:
        # Out of reach of made-up numbers: nobody is to revoke it.
        session.execute(update(TokenRow).values(id=2**40))
    with serving(app) as url:
        yield url, token, client_of(app, token).get("openapi.json").json(), stats, request.param
    service.cache.close()
    store.close()


def operations_of(openapi):
    return {
        f"{method.upper()} {path.removeprefix('/catalog/v1')}": operation
        for path, methods in openapi["paths"].items()
        for method, operation in methods.items()
    }


def test_every_operation_is_described_with_examples(served):
    openapi = served[2]
    assert len(operations_of(openapi)) > 40
    for name, operation in operations_of(openapi).items():
        assert operation["description"], name
        assert operation[ROLE] in {"read", "edit", "admin"}, name
        assert operation["security"] == [{"token": []}], name
        for answer in operation["responses"].values():
            content = answer.get("content", {}).get("application/json")
            assert not content or "$ref" not in content["schema"] or has_example(openapi, content["schema"]), name
        body = operation.get("requestBody", {}).get("content", {}).get("application/json")
        assert body is None or "example" in body or has_example(openapi, body["schema"]), name


def has_example(openapi, schema):
    """Whether the schema, or each of its parts that must be there, shows what it looks like."""
    if "$ref" in schema:
        schema = openapi["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    if {"example", "examples", "const", "enum"} & set(schema) or schema.get("type") in {"boolean", "null"}:
        return True
    if "anyOf" in schema:
        return True
    if schema.get("type") == "array":
        return has_example(openapi, schema["items"])
    parts = [schema["properties"][part] for part in schema.get("required", [])]
    return any(has_example(openapi, part) for part in parts) if parts else schema.get("type") == "object"


def test_made_up_requests_meet_no_fault_of_ours(served, subtests):
    url, token, openapi, stats, on = served
    schema = schemathesis.openapi.from_dict(openapi)
    schema.config.update(base_url=url)
    schema.config.generation.update(with_security_parameters=False)
    for name in operations_of(openapi):
        method, path = name.split(" ")
        with subtests.test(name):
            ask_for(schema[f"/catalog/v1{path}"][method], url, token, EXAMPLES if on == "sqlite" else EXAMPLES // 4)
            assert stats.failures == 0


def ask_for(operation, url, token, examples):
    @given(case=operation.as_strategy() | operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE))
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def ask(case):
        # A made-up token would only ever be told 401; one that works must not be revoked by chance.
        case.headers = {key: value for key, value in (case.headers or {}).items() if key.lower() != "authorization"}
        answer = case.call(base_url=url, headers={"Authorization": f"Bearer {token}"})
        # What is no HTTP (a Content-Length of letters) is uvicorn's to refuse.
        if answer.content != b"Invalid HTTP request received.":
            case.validate_response(answer, checks=CHECKS)

    ask()
