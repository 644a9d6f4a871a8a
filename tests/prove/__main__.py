import sys

from tests.prove.driver import main

sys.exit(main(sys.argv[1:]))
