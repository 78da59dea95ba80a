"""Why a slot cannot do what it was asked."""


class SlotError(Exception):
    """`error` is the CCID bError."""

    def __init__(self, error: int) -> None:
        super().__init__("slot error %02X" % error)
        self.error = error
