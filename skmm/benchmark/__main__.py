"""``python -m skmm.benchmark`` and ``skmm-benchmark``."""

import sys

from skmm.benchmark._extras import require


def main(prog_name: str = "skmm-benchmark") -> None:
    """Run the command line, or name the extra that it needs."""
    try:
        require("typer")
    except ImportError as error:
        sys.exit(str(error))
    from skmm.benchmark._cli import app

    app(prog_name=prog_name)


if __name__ == "__main__":
    main("python -m skmm.benchmark")
