"""The one thing that X-Ray's SDK cannot see for itself: that an answer with HTTP 400 was a throttle."""

import sys
from typing import Any


def flag_throttle() -> None:
    """Flag the subsegment of the request under way as throttled, where X-Ray's SDK has patched aiobotocore."""
    client = sys.modules.get("aiobotocore.client")
    # Nothing of it is typed.
    core: Any = sys.modules.get("aws_xray_sdk.core")
    if core is None or not getattr(client, "_xray_enabled", False):
        return
    from aws_xray_sdk.core.exceptions.exceptions import SegmentNotFoundException

    try:
        subsegment = core.xray_recorder.current_subsegment()
    except SegmentNotFoundException:
        # Nobody traces this call.
        return
    if subsegment is not None and subsegment.in_progress:
        subsegment.add_throttle_flag()
