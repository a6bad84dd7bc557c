#!/bin/bash
# SPDX-License-Identifier: MIT
# 211-inner-source - a peer that sends inner packets from another's virtual address: an
# honest broker drops them on the way out, the receiver drops those of an altered one
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"

ntm_pair
lab_host c
ntm__link c other 10.200.0.9/24 2001:db8:200::9/64 5
ntm_node c phone.alice
NTM_VIP[c.4]=$(ntm_get c vip4)
NTM_VIP[c.6]=$(ntm_get c vip6)
ntm_start sink b /usr/bin/python3 -u -c '
import socket
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.bind(("::", 7000))
while True:
    data, source = s.recvfrom(2048)
    print(data.decode(), "seen", source[0].replace("::ffff:", ""))'
wait_for 5 'ntm_listens b udp 7000'
lab_as_user a ntm ping -c 1 "$B" >"$LAB/out"
spoof=$LAB_SRC/tests/e2e/spoof.py

# sent SOURCE_HOST FAMILY: five datagrams leave a's namespace as from that host
sent()
{
	ntm_inside a "$spoof" send ntm0 "${NTM_VIP[$1.$2]}" "${NTM_VIP[b.$2]}" \
		7000 5
}

# arrived FAMILY: how many as from a or c
arrived()
{
	grep -c "^from ${NTM_VIP[$1.$2]} seen ${NTM_VIP[$1.$2]}\$" \
		"$(lab_log sink)" || :
}

# dropped HOST COUNTER FAMILY: five more as from c do not arrive; the counter rises
dropped()
{
	local was
	was=$(ntm_get "$1" totals.$2)
	sent c "$3"
	wait_for 5 "[ \$(ntm_get $1 totals.$2) = $((was + 5)) ]" \
		"ntm_get a totals; ntm_get b totals"
	ok "IPv$3: $1's $2 rose by five"
	assert_eq "$(arrived c "$3")" 0 "nothing arrived as from c"
}

for family in 4 6; do
	sent a $family
	wait_for 5 "[ \$(arrived a $family) = 5 ]" "cat '$(lab_log sink)'"
	ok "IPv$family: what a sends as itself arrives"
	dropped a bad_lease $family
done

# a's worker is altered: it lets everything out.  Its tunnels stay.
worker=$(ntm_worker a)
for family in 4 6; do
	"$spoof" lease "$worker" "${NTM_VIP[a.$family]}" "${NTM_VIP[c.$family]}" \
		>"$LAB/out"
done
for family in 4 6; do
	dropped b bad_source $family
done
assert_eq "$(ntm_worker a)" "$worker" "it was that worker"
assert_eq "$(ntm_peer b "$A" state)" direct "the tunnel is as it was"

# What c itself sends is not harmed by what was sent in its name.
lab_as_user c ntm ping -c 1 "$B" >"$LAB/out"
ntm_inside c "$spoof" send ntm0 "${NTM_VIP[c.6]}" "${NTM_VIP[b.6]}" 7000 5
wait_for 5 '[ "$(arrived c 6)" = 5 ]' "cat '$(lab_log sink)'"
ok "c's own datagrams arrive"
