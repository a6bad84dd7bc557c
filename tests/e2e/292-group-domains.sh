#!/bin/bash
# SPDX-License-Identifier: MIT
# 292-group-domains - a group of devices of two domains; both lease from one IPv4 range
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/domains.sh"
. "$LAB_SRC/tests/lab/played.sh"

ntm_installed
ntm_star root sa sb a b
domains_two
played_group chat one.example batch a b
assert_eq "$(played_get a vip6) $(played_get a vip4)" \
	"$(played_get b vip6) $(played_get b vip4)" \
	"both have the same addresses of the group"
assert_eq "$(ntm_run b getent ahosts "$PLAYED" | wc -l)" 6 \
	"b, of the other domain, resolves the name"

declare -A AT=([4]=$(played_get a vip4) [6]=$(played_get a vip6))
for host in a b; do
	for family in 4 6; do
		ntm_start "hear-$host-$family" $host \
			"$LAB_SRC/tests/lab/manyhear.py" hear $family \
			"${AT[$family]}" 500$family
		wait_for 5 "grep -q ready '$(lab_log hear-$host-$family)'"
	done
done
for family in 4 6; do
	for host in a b; do
		other=b
		[ $host = a ] || other=a
		ntm_run $host "$LAB_SRC/tests/lab/manyhear.py" count $family \
			"${AT[$family]}" 500$family 3
		for n in 0 1 2; do
			wait_for 8 "grep -q ' n$n\$' '$(lab_log hear-$other-$family)'" \
				"lab_as_user $other ntm status --json"
		done
		from=$(awk '/ n2$/ { from = $1 } END { print from }' \
			"$(lab_log hear-$other-$family)")
		assert_eq "$(ntm_run $other getent hosts "$from" |
			awk '{ print $2 }')" "${NTM_NAME[$host]}" \
			"$other hears $host by IPv$family, and knows it by $from"
	done
done
