# property: output written straight to the descriptor counts too
# expect: seen.killed_by == "output"
# off: process
# works: seen.spilled > 4_000_000
import os

for _ in range(100):
    os.write(1, b"y" * 65536 + b"\n")
