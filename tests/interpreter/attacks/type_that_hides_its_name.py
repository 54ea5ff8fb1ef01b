# property: a metaclass that refuses a type's name does not keep an error from being reported
# expect: seen.error_type == "Exception" and seen.error == "x" and seen.killed_by is None
# off: process
# works: seen.died
class Meta(type):
    @property
    def __name__(cls):
        raise KeyError


class Bad(Exception, metaclass=Meta):
    pass


raise Bad("x")
