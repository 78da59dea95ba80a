"""Values that cannot be changed, for CPython and MicroPython alike."""


class Frozen:
    """A value: the fields named in `FIELDS` are set once by `__init__` and compared by content."""

    FIELDS: "tuple[str, ...]" = ()

    def _freeze(self, *values: object) -> None:
        """Set the fields in the order of `FIELDS`."""
        fields = self.FIELDS
        for place in range(len(fields)):  # MicroPython allocates for every step of a zip
            object.__setattr__(self, fields[place], values[place])

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("frozen: " + name)

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return False
        return all(getattr(self, name) == getattr(other, name) for name in self.FIELDS)

    def __hash__(self) -> int:
        return hash(tuple(getattr(self, name) for name in self.FIELDS))
