"""`python -m tellwire`: the command line."""

import sys

from tellwire.cli import main

if __name__ == "__main__":
    sys.exit(main())
