"""`python -m livecart`, and the command `livecart`."""


def main() -> None:
    # Not with the module: processes of `livecart.core.untrusted` import the command's script, and need none of it.
    from livecart.cli.commands import main as run

    run()


if __name__ == "__main__":
    main()
