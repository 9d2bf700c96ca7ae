#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# guest-payload.sh SOURCE OUTPUT: compile a program that QEMU boots as a nested
# guest (see scripts/guest/guest-payload.h). Both are paths in the checkout.

. "$(dirname "$0")/lib.sh"

[ $# -eq 2 ] || die "two arguments are needed; usage: guest-payload.sh SOURCE OUTPUT"
exec "$SCRIPTS/in-root.sh" gcc -m32 -march=i686 -std=gnu11 -O2 -Wall -Wextra -Werror -ffreestanding -fno-pic \
	-fno-stack-protector -fcf-protection=none -mgeneral-regs-only -nostdlib -static -no-pie \
	-Wl,-N,--no-warn-rwx-segments,-Ttext=0x100000,--build-id=none \
	-o "/repo/$2" "$1"
