"""``python -m skmm.benchmark``."""

import sys

from skmm.benchmark._extras import require

if __name__ == "__main__":
    try:
        require("typer")
    except ImportError as error:
        sys.exit(str(error))
    from skmm.benchmark._cli import app

    app(prog_name="python -m skmm.benchmark")
