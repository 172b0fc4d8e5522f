"""Where card events go: memory:// inside one process, redis:// between processes."""
