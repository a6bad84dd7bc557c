#!/bin/bash
# SPDX-License-Identifier: MIT
# 201-unknown-offline - an unknown name is EAI_NONAME at once; a peer that is offline, in
# whatever way, is a clear error within 5 s; so for UDP to an address
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"

ntm_pair
serve=$LAB_SRC/tests/lab/peername.py
ntm_start server b "$serve" tcp :: 7000
wait_for 5 'ntm_listens b tcp 7000'

for name in "phone.alice.$NTM_DOMAIN" "desk.carol.$NTM_DOMAIN" \
	"carol.$NTM_DOMAIN" "a.b.c.$NTM_DOMAIN"; do
	ask_error "unknown: $name" "gai -2" 1000 a tcp 6 "$name" 7000
	refused "ntm ping says so" "no such name" lab_as_user a ntm ping "$name"
done

# A virtual address that nobody has: a UDP program need not wait for an answer either.
nobody6=${NTM_VIP[b.6]%:*}:dead nobody4=198.19.254.254
ask_error "nobody's address" EHOSTUNREACH 1000 a tcp 6 "$nobody6" 7000
ask_error "UDP, IPv4" EHOSTUNREACH 1000 a udp 4 "$nobody4" 7000
ask_error "UDP, IPv6" ECONNREFUSED 1000 a udp 6 "$nobody6" 7000

# A device that was here once.
lab_host c
ntm__link c n2 10.2.0.9/24 2001:db8:2::9/64 5
ntm_node c phone.alice
lab_as_user c ntm down
wait_for 5 '[ -z "$(ntm_keeper c)" ]'
ask_error "it went in order" "gai -3" 5000 a tcp 6 "phone.alice.$NTM_DOMAIN" 7000

# Known to work, then out of reach without a word: its broker is stopped.
ntm_ask a tcp 6 "$B" 7000 >"$LAB/out"
vip=${NTM_VIP[b.6]}
pids=$(lab_pids b ntm-worker; lab_pids b ntm-broker)
kill -STOP $pids
lab_as_user a ntm forget "$B" >"$LAB/out"
ask_error "it hangs" "gai -3" 5000 a tcp 6 "$B" 7000
within 5 "and ntm ping" refused "ntm ping" "the peer is offline" \
	lab_as_user a ntm ping "$B"
kill -CONT $pids
# However long it hung, its session is good again.
wait_for 10 'ntm_ask a tcp 6 "$B" 7000' "lab_as_user b ntm status"
ok "it comes back"

# It loses its network; a knows its address.
lab_as_user a ntm down
wait_for 5 '[ -z "$(ntm_keeper a)" ]'
lab_lose b
ntm_up a
ntm_wait_online a
ask_error "it has no network" "gai -3" 5000 a tcp 6 "$B" 7000
ask_error "its remembered address" EHOSTUNREACH 5000 a tcp 6 "$vip" 7000
ask_error "by UDP" ECONNREFUSED 5000 a udp 6 "$vip" 7000
ask_error "by UDP, IPv4" EHOSTUNREACH 5000 a udp 4 "${NTM_VIP[b.4]}" 7000

# The servers cannot be reached either: nobody knows anything.
lab_stop server-server KILL
lab_as_user a ntm forget "$B" >"$LAB/out"
ask_error "no server answers" "gai -3" 5500 a tcp 6 "$B" 7000
within 6 "ntm ping" refused "says why" "no answer in time" \
	lab_as_user a ntm ping "$B"
