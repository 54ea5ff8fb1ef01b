# property: NUL and escape sequences are characters of the output and change nothing about it
# expect: seen.stdout == "\x00\x1b[2J\x1b]0;x\x07" and seen.killed_by is None
# off: process
# works: seen.died
import os

_ = os.write(1, b"\0\x1b[2J\x1b]0;x\x07")
