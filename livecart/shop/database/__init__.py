"""Engine, tables, migrations and transactions."""
