# property: a block that sleeps is ended when its time is up
# expect: seen.killed_by == "time" and seen.stdout == "so far\n"
# off: wall_seconds
# works: seen.stdout == "so far\nREACHED\n"
# limits: wall_seconds=0.4
import time

print("so far")
time.sleep(1.5)
print("REACHED")
