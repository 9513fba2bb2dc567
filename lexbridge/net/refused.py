"""The log of what peers did that they may not do."""

from lexbridge.logs import RateLimitedLog

refused = RateLimitedLog("peer-refused")
"""Counter of refused requests and closed connections by reason. The log gets one line per reason and interval."""
