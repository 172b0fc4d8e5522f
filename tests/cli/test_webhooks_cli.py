"""`livecart webhooks …`: from an endpoint's first test to its removal."""

import asyncio
import json

import pytest
from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError
from typer.testing import CliRunner

from livecart.cli.commands import cli
from tests.shop.test_webhooks import serving


@pytest.fixture
def run(tmp_path):
    (tmp_path / "rooms.toml").write_text(
        f"""[catalog]
        url = "sqlite:///{tmp_path / "catalog.db"}"
        folder = "{tmp_path / "catalog"}"
        internal_hosts = ["127.0.0.1"]
        """
    )

    def on_catalog(*arguments, status=0):
        command = ["webhooks", *map(str, arguments), "--config", str(tmp_path / "rooms.toml")]
        result = CliRunner().invoke(cli, command)
        assert result.exit_code == status, result.output
        return result.output.strip()

    return on_catalog


async def test_an_endpoint_is_added_tested_rotated_and_removed(run):
    secret, got = "", []

    async def take(request):
        try:
            got.append(Webhook(secret).verify(await request.read(), dict(request.headers)))
        except WebhookVerificationError:
            return web.Response(status=401, text="who are you?")
        return web.Response(status=204)

    async with serving(take) as hook:

        async def do(*arguments, **more):
            return await asyncio.to_thread(run, *arguments, **more)

        secret = await do("add", hook)
        assert secret.startswith("whsec_")
        assert "taken: status 204" in await do("test", hook)
        new = json.loads(await do("rotate", 1, "--json"))["secret"]
        assert "taken" in await do("test", hook)
        old, secret = secret, "whsec_c29tZWJvZHkgZWxzZQ=="
        assert "not taken: status 401: who are you?" in await do("test", hook, status=1)
        secret = new
        assert "taken" in await do("test", hook)
        listed = await do("list")
        assert hook in listed
        assert all(each not in listed for each in (old, new))
        assert await do("dead") == "（空 none）"
        assert "is on the list already" in await do("add", hook, status=1)
        assert "is not public" in await do("add", "https://10.0.0.1/", status=1)
        assert "no webhook message has id" in await do("replay", "nothing", status=1)
        await do("remove", 1)
        assert "no webhook endpoint is" in await do("test", hook, status=1)
    assert [message["type"] for message in got] == ["webhook.test"] * 3
