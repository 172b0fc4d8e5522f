"""Shops on platforms as feeds: docs/connectors.md.

sign                                signatures of requests
token_pairs                         access tokens: renewed by one process, on the disk before they are used
platform_client                     sign, send, understand the answer; wait, renew or give up
platform_items                      products as platforms have them, and as the catalog keeps them
platform_source                     the list read whole, details of what changed
details                             details that were read, from one reading to the next
taobao, doudian, wechat, tiktok,
shopify, kuaishou                   one platform each: its requests, its answers, its products
"""
