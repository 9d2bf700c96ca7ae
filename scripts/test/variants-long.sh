#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# variants-long.sh: like variants.sh, for other architectures.

# shellcheck disable=SC2034 # test.sh reads it
SUITE_LONG=1

exec "$(dirname "$0")/variants.sh" arm64 s390
