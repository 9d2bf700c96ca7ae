#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# series-long.sh: like series.sh, but every step compiles, with all drivers and with the
# options of vfio-pci off.

# shellcheck disable=SC2034 # test.sh reads it
SUITE_LONG=1

exec "$(dirname "$0")/../series.sh" --build-all
