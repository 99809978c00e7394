"""``python -m gpcore check my_file.py:my_penalty``."""

import sys

from .check.command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
