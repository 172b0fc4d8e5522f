"""Sends the outbox of `repositories.webhooks`, as Standard Webhooks 1.0 has it. docs/webhooks.md has the promises.

outbox.py  one transaction: results in, the next deliveries out, waits between tries
post.py    one signed POST;  sender.py  rounds of both
"""
