# property: the garbage collector lists no hidden value
# expect: seen.stdout == "[]\n"
# off: process
# works: "'weight'" in seen.stdout
import gc

dicts = [value for o in gc.get_objects() if type(o) is dict for value in o.values() if type(value) is dict]
print([value for value in dicts if "weight" in value and "class" in value][:3])
