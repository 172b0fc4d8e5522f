"""Functions that read and write the catalog within a transaction of `Store.read` or `Store.write`."""
