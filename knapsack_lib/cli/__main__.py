"""python -m knapsack_lib.cli: the command `knapsack`, also where it was not installed."""

from knapsack_lib.cli import main

main()
