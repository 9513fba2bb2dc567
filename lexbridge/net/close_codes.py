"""WebSocket close codes: RFC 6455, section 7.4.1, and IANA's registry (section 11.7).

Registry: https://www.iana.org/assignments/websocket/websocket.xhtml#close-code-number .
"""

NORMAL = 1000
GOING_AWAY = 1001
PROTOCOL_ERROR = 1002
UNSUPPORTED_DATA = 1003
NO_CODE = 1005
"""Placeholder for a close without a code. It is never sent."""
INVALID_PAYLOAD = 1007
POLICY_VIOLATION = 1008
TOO_BIG = 1009
INTERNAL_ERROR = 1011
TRY_AGAIN_LATER = 1013


def is_legal_code(code: int) -> bool:
    """Return whether a close may carry `code` (section 7.4; 1012 to 1014 are from the registry)."""
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999
