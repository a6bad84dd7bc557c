#!/bin/bash
# SPDX-License-Identifier: MIT
# 291-group-ways - a group by whatever way its members have: a relay, later directly;
# signed, over IPv6 alone, with datagrams that fill it
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/played.sh"

ntm_installed
NTM_UNDERLAY=6
ntm_star server a b c
# a and b do not hear each other by UDP but through the relay
lab_root net nft -f - <<-END
	table inet block {
		chain ways {
			type filter hook forward priority filter;
			iifname "$(lab_dev net n2)" oifname "$(lab_dev net n3)" \
				meta l4proto udp drop
			iifname "$(lab_dev net n3)" oifname "$(lab_dev net n2)" \
				meta l4proto udp drop
		}
	}
END
ntm_account server alice
ntm_node a laptop.alice
ntm_node b desk.alice
ntm_node c phone.alice
played_group band "$NTM_DOMAIN" sign a b c
V6=$(played_get a vip6) V4=$(played_get a vip4)

for host in a b c; do
	ntm_start "hear-$host" $host "$LAB_SRC/tests/lab/manyhear.py" hear 6 \
		"$V6" 5000
	wait_for 5 "grep -q ready '$(lab_log hear-$host)'"
done

# speak HOST TEXT: heard by all, from its own address
speak()
{
	local host
	local text
	text=$(tail -c 20 <<<"$2")
	echo -n "$2" | ntm_run "$1" socat -u - "UDP6-DATAGRAM:[$V6]:5000"
	for host in a b c; do
		wait_for 8 "grep -q -- '^$(ntm_get "$1" vip6) .*$text$' '$(lab_log hear-$host)'" \
			"lab_as_user $host ntm status --json; lab_as_user $host ntm peers"
		ok "$host hears $(tail -c 13 <<<"$2") from the virtual address of $1"
	done
}
for host in a b c; do
	speak $host "word-of-$host"
done
[ "$(ntm_peer a "${NTM_NAME[b]}" path)" = relay ] ||
	not_ok "a and b were to meet at the relay"
ok "a and b meet at the relay, and hear each other"
assert_eq "$(ntm_peer a "${NTM_NAME[c]}" path)" direct "a and c meet directly"
assert_between "$(played_get b signed)" 2 100 "each packet's signature was checked"
assert_eq "$(played_get b signed_bad)" 0 "and holds"

# what fills the interface's MTU, signature and all, and more
for size in 1368 4000; do
	speak a "$(head -c $size /dev/zero | tr '\0' x)-$size"
done

# the way opens while numbers are on their way: none is lost, none comes twice
ntm_start count a "$LAB_SRC/tests/lab/manyhear.py" count 6 "$V6" 5000 600
wait_for 5 "grep -q ' n50\$' '$(lab_log hear-b)'"
assert_eq "$(ntm_peer a "${NTM_NAME[b]}" path)" relay "they come by the relay"
lab_root net nft delete table inet block
wait_for 20 "[ \$(ntm_peer a '${NTM_NAME[b]}' path) = direct ]" \
	"lab_as_user a ntm peers"
ok "the relay is left for a direct way meanwhile"
lab_join count
wait_for 15 "grep -q ' n599\$' '$(lab_log hear-b)'"
for host in b c; do
	assert_eq "$(grep -c ' n[0-9]*$' "$(lab_log hear-$host)")" 600 \
		"$host has every number"
	assert_eq "$(grep ' n[0-9]*$' "$(lab_log hear-$host)" | sort | uniq -d)" "" \
		"and each once"
done
