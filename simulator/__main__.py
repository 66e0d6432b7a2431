"""`python -m simulator`."""

import sys

from simulator.main import main

if __name__ == "__main__":
    sys.exit(main())
