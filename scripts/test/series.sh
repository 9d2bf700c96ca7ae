#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# series.sh: git am of the exported series gives the tested tree, and the last step compiles
# with the options of vfio-pci off; the suite variants compiles it with all drivers. The long
# suite series-long compiles every step in both ways, which takes half an hour.

# shellcheck disable=SC2034 # test.sh reads it
SUITE_SECONDS=100 SUITE_COMPILES=1

exec "$(dirname "$0")/../series.sh" --build
