"""Changes of the catalog become the snapshot that archives follow."""
