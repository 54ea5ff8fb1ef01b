# property: bytes that are no text become marks in the output
# expect: seen.stdout == "\ufffd\ufffd ok" and seen.killed_by is None
# off: process
# works: seen.died
import os

_ = os.write(1, b"\xff\xfe ok")
