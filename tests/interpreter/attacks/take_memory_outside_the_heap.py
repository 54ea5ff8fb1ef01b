# property: memory asked of the kernel counts too
# expect: seen.error_type == "OSError"
# off: limits
# works: seen.stdout == "REACHED\n"
import mmap

mmap.mmap(-1, 400 << 20)
print("REACHED")
