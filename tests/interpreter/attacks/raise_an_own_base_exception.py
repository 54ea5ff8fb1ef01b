# property: an exception of the block's own kind is reported, whatever it is derived from
# expect: seen.error_type == "BaseException" and seen.error == "mine" and seen.killed_by is None
# off: process
# works: seen.died
class Mine(BaseException):
    pass


raise Mine("mine")
