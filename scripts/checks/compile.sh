# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154 # checks.sh sets the variables
#
# Compile all drivers of drivers/vfio with W=1 and sparse, and compare the messages
# with stock. The suite "variants" does the same for other architectures, in the
# same build folders.

. "$SCRIPTS/vfio-build.sh"

open_build x86_64 full strict
status=0
build_rev "$tree" series || status=$?
result "$status" "drivers/vfio compiles" "$work/errors"
grep -v -F '[-W' "$work/new" >"$tmp/sparse" || true
grep -F '[-W' "$work/new" >"$tmp/gcc" || true
empty "W=1 gives no new warning" "$tmp/gcc"
empty "sparse gives no new warning ($(wc -l <"$work/stock/messages") messages in stock)" "$tmp/sparse"
unlock
