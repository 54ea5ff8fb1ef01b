from knapsack_lib.cli import main

main()
