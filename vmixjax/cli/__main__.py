"""Lets `python -m vmixjax.cli` be the command."""

import sys

from vmixjax.cli import main

if __name__ == "__main__":
    sys.exit(main())
