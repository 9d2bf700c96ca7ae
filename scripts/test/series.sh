#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# series.sh: git am of the exported series gives the tested tree, the last step of each
# series compiles, and the last of these steps compiles with the options of vfio-pci off,
# too. The long suite series-long compiles every step, which takes half an hour.

# shellcheck disable=SC2034 # test.sh reads it
SUITE_SECONDS=400 SUITE_COMPILES=1

exec "$(dirname "$0")/../series.sh" --build
