# property: an error that cannot say what it is is reported without its text
# expect: seen.error_type == "Exception" and "could not be made" in seen.error and seen.killed_by is None
# off: process
# works: seen.died
class Bad(Exception):
    def __str__(self):
        raise KeyError


raise Bad
