# property: the package cannot be imported by the place it lies in
# expect: seen.error_type == "ModuleNotFoundError"
# off: files
# works: "REACHED" in seen.stdout
import sys

sys.path.insert(0, "{REPO}")
import knapsack_lib

print("REACHED")
