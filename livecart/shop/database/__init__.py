"""Engine, tables, migrations and transactions.

store.py    transactions, and whom they notify;  session.py  who writes, the clock, the audit log
engine.py   SQLite and MySQL;  migrate.py  Alembic over migrations/
"""
