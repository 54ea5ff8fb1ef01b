# property: a tool that was replaced among the builtins is named by the observation while it is so
# expect: world.inspected == [] and seen.shadowed == (("inspect",) if mode != "reset" else ())
# off: process
# works: seen.stdout == "fake\n" and seen.shadowed == ()
import builtins

builtins.inspect = lambda item: "fake"
print(builtins.inspect("Ba"))
