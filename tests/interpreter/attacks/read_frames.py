# property: no frame below a block holds the world
# expect: seen.stdout == "[]\n"
# off: process
# works: "'weight'" in seen.stdout
import sys

found, frame = [], sys._getframe()
while frame is not None:
    found += [w for w in (frame.f_globals.get("world"), frame.f_locals.get("world")) if w is not None]
    frame = frame.f_back
print([vars(w) for w in found])
