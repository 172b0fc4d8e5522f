"""Text on packaging: reading it, and finding whose name or photo it agrees with."""
