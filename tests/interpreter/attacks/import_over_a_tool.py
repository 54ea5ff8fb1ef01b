# property: an import that takes a tool's name is named by the observation
# expect: seen.shadowed == (("inspect",) if mode in ("persistent", "functions", "ttl:2") else ())
# off: process
# works: "module" in seen.stdout and seen.shadowed == ()
import inspect

print(type(inspect).__name__)
