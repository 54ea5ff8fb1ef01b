"""python -m knapsack_lib.interpreter: which protections are active on this machine, found out by
trying them."""

import argparse
import sys

from knapsack_lib.interpreter.check import report
from knapsack_lib.interpreter.confine import PROTECTIONS

parser = argparse.ArgumentParser(
    prog="python -m knapsack_lib.interpreter",
    description="Try what hostile code would try, with each protection and without it. "
    "Exit status 1 when one that is claimed does not hold or is missing.",
    epilog="example: python -m knapsack_lib.interpreter --without files",
)
parser.add_argument(
    "--without", nargs="+", default=[], choices=list(PROTECTIONS), help="do without these"
)
sys.exit(report(tuple(parser.parse_args().without)))
