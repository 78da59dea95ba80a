"""Status words of the card (`ssc-card.md 4.4`)."""

SW_SUCCESS = 0x9000
SW_MEMORY_FAILURE = 0x6581
SW_WRONG_LENGTH = 0x6700
SW_STATE_NOT_ACCEPTED = 0x6901
SW_FILE_STRUCTURE = 0x6981
SW_SECURITY_STATUS = 0x6982
SW_AUTHENTICATION_BLOCKED = 0x6983
SW_REFERENCED_DATA_INVALID = 0x6984
SW_CONDITIONS_OF_USE = 0x6985
SW_NO_CURRENT_EF = 0x6986
SW_MAC_MISSING = 0x6987
SW_MAC_WRONG = 0x6988
SW_WRONG_DATA = 0x6A80
SW_FUNCTION_NOT_SUPPORTED = 0x6A81
SW_FILE_NOT_FOUND = 0x6A82
SW_RECORD_NOT_FOUND = 0x6A83
SW_NO_SPACE = 0x6A84
SW_TLV_LENGTH = 0x6A85
SW_WRONG_P1P2 = 0x6A86
SW_KEY_NOT_FOUND = 0x6A88
SW_OFFSET_OUTSIDE = 0x6B00
SW_INS_UNKNOWN = 0x6D00
SW_CLA_UNKNOWN = 0x6E00
SW_INVALID_DATA = 0x6F00
SW_PAYMENT_MAC_INVALID = 0x9302
SW_APPLICATION_BLOCKED = 0x9303
SW_AMOUNT_NOT_SUFFICIENT = 0x9401
SW_COUNTER_AT_MAXIMUM = 0x9402
SW_KEY_INDEX_NOT_SUPPORTED = 0x9403
SW_MAC_NOT_AVAILABLE = 0x9406

SW1_MORE_DATA = 0x61
SW1_WRONG_LE = 0x6C
_VERIFICATION_FAILED = 0x63C0

_MEANINGS = {
    SW_SUCCESS: "Success.",
    SW_MEMORY_FAILURE: "The card's memory failed.",
    SW_WRONG_LENGTH: "Wrong length.",
    SW_STATE_NOT_ACCEPTED: "The command is not accepted in this state.",
    SW_FILE_STRUCTURE: "The command does not fit the file's structure.",
    SW_SECURITY_STATUS: "The security status is not satisfied.",
    SW_AUTHENTICATION_BLOCKED: "The PIN or key is blocked.",
    SW_REFERENCED_DATA_INVALID: "Referenced data are invalid; no challenge was fetched.",
    SW_CONDITIONS_OF_USE: "The conditions of use are not satisfied.",
    SW_NO_CURRENT_EF: "No elementary file is selected.",
    SW_MAC_MISSING: "The MAC is missing.",
    SW_MAC_WRONG: "The MAC is wrong.",
    SW_WRONG_DATA: "The data field is wrong.",
    SW_FUNCTION_NOT_SUPPORTED: "The function is not supported, or the card is blocked.",
    SW_FILE_NOT_FOUND: "File not found.",
    SW_RECORD_NOT_FOUND: "Record not found.",
    SW_NO_SPACE: "Not enough space in the file.",
    SW_TLV_LENGTH: "Lc does not fit the TLV structure.",
    SW_WRONG_P1P2: "P1 or P2 is wrong.",
    SW_KEY_NOT_FOUND: "The key was not found.",
    SW_OFFSET_OUTSIDE: "The offset lies outside the file.",
    SW_INS_UNKNOWN: "Unknown instruction.",
    SW_CLA_UNKNOWN: "Unknown class.",
    SW_INVALID_DATA: "Invalid data, or nothing to return.",
    SW_PAYMENT_MAC_INVALID: "The payment MAC is invalid.",
    SW_APPLICATION_BLOCKED: "The application is permanently blocked.",
    SW_AMOUNT_NOT_SUFFICIENT: "The amount is not sufficient.",
    SW_COUNTER_AT_MAXIMUM: "The transaction counter is at its maximum.",
    SW_KEY_INDEX_NOT_SUPPORTED: "The key index is not supported.",
    SW_MAC_NOT_AVAILABLE: "The requested MAC is not available.",
}


def tries_left(sw: int) -> "int | None":
    """The number in `63Cx`; None for every other status word."""
    return sw & 0x0F if sw & 0xFFF0 == _VERIFICATION_FAILED else None


def more_data(sw: int) -> "int | None":
    """How many bytes wait for GET RESPONSE after `61xx` (00 is 256); None for every other status word."""
    return ((sw & 0xFF) or 256) if sw >> 8 == SW1_MORE_DATA else None


def exact_le(sw: int) -> "int | None":
    """The true length in `6Cxx` (00 is 256); None for every other status word."""
    return ((sw & 0xFF) or 256) if sw >> 8 == SW1_WRONG_LE else None


def meaning(sw: int) -> str:
    """One English sentence."""
    tries = tries_left(sw)
    if tries is not None:
        return "Verification failed, %d tries left." % tries
    if more_data(sw) is not None:
        return "%d bytes wait for GET RESPONSE." % (more_data(sw) or 0)
    if exact_le(sw) is not None:
        return "Wrong Le, %d bytes are there." % (exact_le(sw) or 0)
    return _MEANINGS.get(sw, "Unknown status word.")
