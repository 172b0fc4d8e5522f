"""`python -m livecart`, and the command `livecart`."""

from __future__ import annotations

from livecart.cli.commands import main

if __name__ == "__main__":
    main()
