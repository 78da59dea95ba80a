"""What CCID commands and errors are called for people (CCID 1.1, chapter 6)."""

from protocols.ccid import messages

ERRORS = {
    messages.ERROR_NOT_SUPPORTED: "不支持 · not supported",
    messages.ERROR_BAD_LENGTH: "长度不对 · wrong length",
    messages.ERROR_BAD_SLOT: "无此卡槽 · no such slot",
    messages.ERROR_PIN_CANCELLED: "密码输入已取消 · PIN entry cancelled",
    messages.ERROR_PIN_TIMEOUT: "密码输入超时 · PIN entry timed out",
    messages.ERROR_DEACTIVATED: "未上电 · not powered",
    messages.ERROR_PROCEDURE_BYTE: "过程字节不对 · wrong procedure byte",
    messages.ERROR_CLASS: "无此电压 · voltage not supported",
    messages.ERROR_PROTOCOL: "协议不对 · wrong protocol",
    messages.ERROR_BAD_TCK: "ATR 校验不对 · wrong TCK",
    messages.ERROR_BAD_TS: "ATR 首字符不对 · wrong TS",
    messages.ERROR_HARDWARE: "电流过大 · overcurrent",
    messages.ERROR_OVERRUN: "字符过多 · overrun",
    messages.ERROR_PARITY: "奇偶校验错 · parity",
    messages.ERROR_MUTE: "卡不回应 · mute card",
    messages.ERROR_ABORTED: "已中止 · aborted",
}
COMMANDS = {
    messages.ICC_POWER_ON: "IccPowerOn",
    messages.ICC_POWER_OFF: "IccPowerOff",
    messages.GET_SLOT_STATUS: "GetSlotStatus",
    messages.XFR_BLOCK: "XfrBlock",
    messages.ESCAPE: "Escape",
    messages.GET_PARAMETERS: "GetParameters",
    messages.RESET_PARAMETERS: "ResetParameters",
    messages.SET_PARAMETERS: "SetParameters",
    messages.ICC_CLOCK: "IccClock",
    messages.SECURE: "Secure",
    messages.T0_APDU: "T0APDU",
    messages.MECHANICAL: "Mechanical",
    messages.ABORT: "Abort",
    messages.SET_DATA_RATE_AND_CLOCK: "SetDataRateAndClock",
}
