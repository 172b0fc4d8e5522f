"""`livecart webhooks …`: options of the commands in webhook_work.py. Exit codes: 0 done, 1 not or not all, 2 usage."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from livecart.cli.catalog_commands import Config, Folder, Json, Url, command_group, run_on_catalog

if TYPE_CHECKING:
    from pathlib import Path

    from livecart.cli.catalog_work import CommandResult
    from livecart.shop.service import CatalogService

_WEBHOOKS = """卡片推送 webhooks：卡片出现、更新、撤下时通知你的系统。

Tell other systems of cards, as Standard Webhooks. docs/webhooks.md has the messages. The catalog is the one of
--config, section [catalog], or of --url.

\b
  livecart webhooks add https://erp.example.com/cards --config rooms.toml
  livecart webhooks test https://erp.example.com/cards --config rooms.toml
"""
_TEST = """发送一条测试消息。

Send `webhook.test` to an endpoint of the list now, and say what it answered. A disabled one that takes it is sent to
again.
"""
_REPLAY = """重发：一条消息，或全部死信。

Send a message once more to every endpoint that wants its type; without MESSAGE all dead letters.
"""

webhooks_cli = command_group(_WEBHOOKS)
Place = tuple["Path | None", "str | None", "Path | None"]
Target = Annotated[str, typer.Argument(metavar="URL", show_default=False)]
EndpointId = Annotated[int, typer.Argument(metavar="ID", show_default=False)]


@webhooks_cli.command("add", help="添加 add an endpoint; its secret is printed this once.")
def add(
    target: Target,
    *,
    types: Annotated[
        list[str] | None, typer.Option("--type", help="只要这些 only these types, such as card.shown; default: all.")
    ] = None,
    config: Config = None,
    url: Url = None,
    folder: Folder = None,
    json: Json = False,
) -> None:
    _run((config, url, folder), json, lambda work, service: work.add(service, target, types or []))


@webhooks_cli.command("list", help="列出 endpoints: id, state, types, URL, last error.")
def list_endpoints(config: Config = None, url: Url = None, folder: Folder = None, json: Json = False) -> None:
    _run((config, url, folder), json, lambda work, service: work.list_endpoints(service))


@webhooks_cli.command("remove", help="移除 remove an endpoint, with what waits for it.")
def remove(
    endpoint_id: EndpointId, config: Config = None, url: Url = None, folder: Folder = None, json: Json = False
) -> None:
    _run((config, url, folder), json, lambda work, service: work.remove(service, endpoint_id))


@webhooks_cli.command("rotate", help="换密钥 a new secret; the old one signs too for a day.")
def rotate(
    endpoint_id: EndpointId, config: Config = None, url: Url = None, folder: Folder = None, json: Json = False
) -> None:
    _run((config, url, folder), json, lambda work, service: work.rotate(service, endpoint_id))


@webhooks_cli.command("test", help=_TEST)
def try_endpoint(
    target: Target, config: Config = None, url: Url = None, folder: Folder = None, json: Json = False
) -> None:
    _run((config, url, folder), json, lambda work, service: work.try_out(service, target))


@webhooks_cli.command("dead", help="死信 dead letters: records that no try could deliver, newest first.")
def dead(config: Config = None, url: Url = None, folder: Folder = None, json: Json = False) -> None:
    _run((config, url, folder), json, lambda work, service: work.dead(service))


@webhooks_cli.command("replay", help=_REPLAY)
def replay(
    message: Annotated[str | None, typer.Argument(metavar="[MESSAGE]", show_default=False)] = None,
    *,
    config: Config = None,
    url: Url = None,
    folder: Folder = None,
    json: Json = False,
) -> None:
    _run((config, url, folder), json, lambda work, service: work.replay(service, message))


def _run(place: Place, as_json: bool, do: Callable[[Any, CatalogService], CommandResult]) -> None:
    def on_catalog(_: Any, service: CatalogService) -> CommandResult:
        # Not above: the catalog's packages may not be there.
        from livecart.cli import webhook_work

        return do(webhook_work, service)

    run_on_catalog(place, as_json, on_catalog)
