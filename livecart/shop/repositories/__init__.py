"""Functions that read and write the catalog in a transaction: their `session` is of `Store.read` or `Store.write`.

They raise NotFound for what is not in the catalog, Conflict where somebody else was first, InvalidValue for a value
that the catalog does not take, and StoreUnavailable while the database does not answer.
"""
