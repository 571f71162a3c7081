"""`python -m eros_matcher.kernel DIRECTORY [LEVEL …]`: see `eros_matcher.kernel.ahead`."""

import sys

from eros_matcher.kernel.ahead import main

main(sys.argv[1:])
