#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# deb-long.sh: like deb.sh, with an upgrade and a second kernel.

# shellcheck disable=SC2034 # test.sh reads it
SUITE_LONG=1

exec "$(dirname "$0")/deb.sh" all
