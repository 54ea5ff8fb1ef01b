# property: a broken linecache module changes no report of this step or the next
# expect: seen.error_type is None and seen.killed_by is None
# off: protocol
# works: seen.died
import linecache

linecache.cache = None
