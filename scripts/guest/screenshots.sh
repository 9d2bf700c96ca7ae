#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# screenshots.sh FOLDER: in the guest, record FOLDER/lsvfio/lsvfio in a terminal with 100
# columns. Write the output to FOLDER/NAME.txt, and the arguments to FOLDER/NAME.arguments.

set -euo pipefail

export folder=$PWD/$1
export PATH=$PATH:$PWD/scripts/guest
# script runs the shell in SHELL
export LC_ALL=C.UTF-8 TERM=xterm SHELL=/bin/bash

# shot NAME OPTION...: record lsvfio.
shot()
{
	echo "${*:2}" >"$folder/$1.arguments"
	script -q -e -c "stty cols 100; $folder/lsvfio/lsvfio ${*:2}" /dev/null | tr -d '\r' >"$folder/$1.txt"
}
export -f shot

read -r edu igb nvme < <(tr ' ' '\n' <<<"$VM_DEVICES" | sed 's/=.*//' | xargs)
bind.sh "$igb" igb
bind.sh "$nvme" vfio-pci
mkdir -p /run/modprobe.d
echo blacklist vfio_pci_edu >/run/modprobe.d/edu.conf
bind.sh "$edu" vfio-pci
shot lsvfio-why --why "$edu"
modprobe vfio_pci_edu
cat >/run/in-use <<-END
	shot lsvfio-list
	shot lsvfio-regions -v $edu
END
while-open.py "$edu" bash /run/in-use
