#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# series.sh: git am of the exported series gives the tested tree, every step compiles, and
# the last step of each series compiles with the options of vfio-pci off, too.

# shellcheck disable=SC2034 # test.sh reads it
SUITE_SECONDS=700 SUITE_COMPILES=1

exec "$(dirname "$0")/../series.sh" --build
