# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2207
#
# Completion of lsvfio in bash: options, and the devices that lsvfio lists

_lsvfio()
{
	local cur=${COMP_WORDS[COMP_CWORD]} words

	if [[ "$cur" == -* ]]; then
		words='-v --verbose --json --why --diff --open --watch --help'
	else
		# Readline splits words at the colons of an address
		cur=${COMP_LINE:0:COMP_POINT}
		cur=${cur##* }
		words=$(lsvfio 2>/dev/null | awk 'NR > 1 { print $1 }')
	fi
	COMPREPLY=($(compgen -W "$words" -- "$cur"))
	# Remove the part of the address that is in earlier words
	[[ "$cur" != *:* ]] || COMPREPLY=("${COMPREPLY[@]#"${cur%"${cur##*:}"}"}")
}
complete -F _lsvfio lsvfio
