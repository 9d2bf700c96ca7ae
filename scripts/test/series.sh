#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# series.sh: git am of the exported series makes the tree that is tested, and
# every step of it compiles.

exec "$(dirname "$0")/../series.sh" --build
