# property: bytecode that makes no sense ends its own process only
# expect: seen.killed_by is not None or seen.error_type is not None
# off: process
# works: seen.died
def victim():
    pass


code = victim.__code__
victim.__code__ = code.replace(co_code=bytes([100, 255] * 8 + [83, 0]), co_consts=(), co_stacksize=1)
print(victim())
