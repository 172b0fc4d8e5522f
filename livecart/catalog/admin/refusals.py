"""What the catalog refused, in the language of the page. The catalog itself speaks English, for logs and programs."""

from __future__ import annotations

import re

from starlette_admin.i18n import get_locale

from livecart.errors import CatalogError, InvalidValue

#: Patterns of reasons, and how they are said in Chinese; groups are filled in.
_CHINESE: tuple[tuple[str, str], ...] = (
    (r"is empty", "不能为空"),
    (r".* is longer than (\d+) characters", r"不能超过 \1 个字符"),
    (r"is longer than (\d+) characters", r"不能超过 \1 个字符"),
    (r".* holds control characters or line breaks", "含有控制字符或换行"),
    (r".* starts or ends with a blank", "首尾不能有空格"),
    (r"the link holds .*", "链接含有空格、引号、尖括号、反斜杠或控制字符"),
    (r"only https links are shown, this one is (.*)", r"只接受 https 链接，这是 \1"),
    (r"the link names no host", "链接缺少域名"),
    (r"a link must not hold a user name or a password", "链接不能带用户名或密码"),
    (r"host (.*) is not an allowed link host", r"域名 \1 不在允许列表内"),
    (r"not a link: .*", "不是有效的链接"),
    (r".* is no decimal number such as 12\.90", "请填写数字，如 12.90"),
    (r"(.*) is not between (\S+) and (\S+)", r"\1 不在 \2 到 \3 之间"),
    (r".* has more than (\d+) digits behind the point", r"小数不能超过 \1 位"),
    (r".* is not a code of three capital letters such as CNY", "请填写三个大写字母的代码，如 CNY"),
    (r"holds more than (\d+) entries or (\d+) bytes", r"不能超过 \1 项或 \2 字节"),
    (r"a new product needs one .*", "新商品必须填写"),
    (r"is no JPEG, PNG or WebP", "不是 JPEG、PNG 或 WebP 图片"),
    (r"is a damaged (\S+): .*", r"\1 图片已损坏"),
    (r"has (\d+) bytes, more than (\d+)", r"文件过大（\1 字节，最多 \2）"),
    (r"has (\S+) pixels, more than (\d+)", r"像素过多（\1，最多 \2）"),
    (r"has no pixels", "图片没有内容"),
    (r"product (.*) has (\d+) already; remove one first", r"已有 \2 张，请先移除一张"),
    (r".* is no host; give .*", "域名格式不对，如 shop.example.com、*.example.com"),
    (r".*: the port must be 1 to 65535", "端口须为 1 到 65535"),
    (r"must be 1 to (\d+) printable characters", r"须为 1 到 \1 个可见字符"),
    (r"must have 1 to (\d+) characters", r"须为 1 到 \1 个字符"),
    (r"belongs to `corrected`, and names another product", "请填写另一个商品的货号"),
    (r"no product has sku (.*)", r"没有货号为 \1 的商品"),
    (r"no room is named (.*)", r"没有名为 \1 的直播间"),
    (r"no review has id (\d+)", r"没有编号 \1 的审核项"),
    (r"review (\d+) was decided by (.*)", r"已由 \2 处理"),
    (r"product (.*) has no photo .*", "该商品没有这张照片"),
    (r".* holds no \S+", "文件已被清理"),
)
_COMPILED = tuple((re.compile(pattern, re.DOTALL), said) for pattern, said in _CHINESE)


def refusal(error: CatalogError) -> str:
    """Why, for whoever is at the page; English where nobody has said it in Chinese."""
    reason = error.reason if isinstance(error, InvalidValue) else str(error)
    if get_locale() != "zh":
        return reason
    for pattern, said in _COMPILED:
        found = pattern.fullmatch(reason)
        if found:
            return found.expand(said)
    return reason
