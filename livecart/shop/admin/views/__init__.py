"""One page, or one kind of page, a module."""
