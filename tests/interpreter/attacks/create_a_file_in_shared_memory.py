# property: the folder of shared memory takes no file
# expect: seen.error_type == "PermissionError"
# off: files
# works: seen.stdout == "REACHED\n"
import os

os.close(os.open("/dev/shm/knapsack-{PID}", os.O_CREAT | os.O_RDWR))
print("REACHED")
os.unlink("/dev/shm/knapsack-{PID}")
