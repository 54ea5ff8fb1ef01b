# property: the package that makes the tasks cannot be imported
# expect: seen.error_type == "ModuleNotFoundError"
# off: process
# works: "optimal_value" in seen.stdout
from knapsack_lib.families.knapsack import FAMILY

print(FAMILY.make_task("pocket-easy", seed=5, split="easy", index=0).reference)
