"""`easyseg` and `python -m easyseg`."""

import signal


def main() -> None:
    """Runs the command line. Until it can say so, Ctrl-C ends it without a traceback."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from easyseg import cli  # noqa: PLC0415

    cli.main()


if __name__ == "__main__":
    main()
