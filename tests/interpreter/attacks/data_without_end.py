# property: data that contains itself is judged in the time of the block
# expect: ("ring" in seen.bindings) == (mode in ("persistent", "data", "ttl:2")) and seen.killed_by is None
# off: process
# works: seen.died or __import__('sys').version_info >= (3, 13)
ring = []
ring.append({"ring": ring})
for _ in range(5000):
    ring = [ring, ring]
take_item(ring)
