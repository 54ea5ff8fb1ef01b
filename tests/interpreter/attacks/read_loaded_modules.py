# property: nothing of the package is among the loaded modules
# expect: seen.stdout == "[]\n"
# off: process
# works: "knapsack_lib.families.knapsack" in seen.stdout
import sys

print([name for name in sys.modules if "knapsack" in name])
