# property: a closed stream is the block's own loss
# expect: seen.killed_by is None
# off: process
# works: seen.died
# after: own
import sys

sys.stdout.close()
