# SPDX-License-Identifier: GPL-2.0-only
"""
Shared checks and waits of the programs in this folder
"""

import time

DEADLINE = 600          # seconds


class Failure(Exception):
    """A check failed"""


def wait_for(what, condition, seconds=DEADLINE):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise Failure("timeout: no %s after %d s" % (what, seconds))


def expect(what, found, *expected):
    if found not in expected:
        raise Failure("%s is %s, not %s" % (what, found, " or ".join(map(str, expected))))
