#!/bin/bash
# SPDX-License-Identifier: MIT
# 160-two-domains - hosts of two organisations, with a CA each, reach each other by name;
# both lease from the same IPv4 range
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/domains.sh"

ntm_installed
ntm_star root sa sb a b
domains_apart

# Nobody knows the other yet
ntm_web b 8000
echo from-b >"$LAB/www/f"
assert_fails "nothing is reached before anybody was told of the other" \
	ntm_run a curl -sS -m 10 "http://$B:8000/f"

domains_peer sa one.example sb two.example
assert_contains "$(lab_as_user sa ntm-server peer list)" two.example \
	"the peer is listed"
domains_allow b one.example
domains_allow a two.example
ok "each node has the other's CA"
for family in 4 6; do
	assert_eq "$(ntm_run a curl -$family -sS -m 10 "http://$B:8000/f?$family")" \
		from-b "a fetches from b by name, IPv$family"
	seen=$(ntm_web_seen "f?$family")
	assert_eq "$(ntm_run b getent hosts "$seen" | awk '{ print $2 }')" "$A" \
		"and b sees a, at $seen"
done
assert_eq "$(ntm_web_seen 'f?6')" "$(ntm_get a vip6)" "IPv6 identifies a"
[ "$(ntm_web_seen 'f?4')" != "$(ntm_get b vip4)" ] ||
	not_ok "b sees a at b's own address"

# the other way, UDP too
ntm_start peername a "$LAB_SRC/tests/lab/peername.py" tcp :: 7000
wait_for 5 'ntm_listens a tcp 7000'
for family in 4 6; do
	ntm_ask b tcp $family "$A" 7000 >"$LAB/out"
	ok "b reaches a, TCP over IPv$family: $(head -n 1 "$LAB/out")"
done
ntm_start peername2 a "$LAB_SRC/tests/lab/peername.py" udp :: 7001
wait_for 5 'ntm_listens a udp 7001'
for family in 4 6; do
	ntm_ask b udp $family "$A" 7001 >"$LAB/out"
	ok "b reaches a, UDP over IPv$family: $(head -n 1 "$LAB/out")"
done
# 3 MB over IPv4: super-packets and their checksums, both ways rewritten
head -c 3000000 /dev/urandom >"$LAB/www/big"
ntm_run a curl -4 -sS -m 30 -o got "http://$B:8000/big"
cmp "$(lab_home a)/got" "$LAB/www/big"
ok "3 MB over IPv4 are whole"
ntm_run a ping -c 2 -4 "$B" >"$LAB/out" && ok "ping of the IPv4 alias"
assert_eq "$(ntm_peer a "$B" path)" direct "the way is direct"

# the account's name, and restarts of both servers
assert_eq "$(ntm_run a curl -sS -m 10 "http://bob.two.example:8000/f")" from-b \
	"bob.two.example is bob's device"
lab_stop server-sb KILL
ntm_server_start sb
alias=$(ntm_peer a "$B" vip4)
lab_as_user a ntm down
ntm_up a
ntm_wait_online a
# b tells its DC where it is when it next hears from it
wait_for 60 "[ \"\$(ntm_run a curl -sS -m 5 'http://$B:8000/f')\" = from-b ]" \
	"lab_as_user sa ntm-server peer list"
ok "and after a restart of b's server, and of a's broker"
assert_eq "$(ntm_peer a "$B" vip4)" "$alias" "b's alias is the same one"
lab_as_user a ntm down
ntm_up a
ntm_wait_online a
assert_eq "$(ntm_run a curl -sS -m 10 "http://$alias:8000/f")" from-b \
	"and connects by itself, before anybody asks for the name"

# peer remove ends it
lab_as_user sa ntm-server peer remove two.example
wait_for 10 "[ \"\$(ntm_peer a $B state)\" != direct ]" "lab_as_user a ntm peers"
assert_fails "after peer remove nothing is reached" \
	ntm_run a curl -sS -m 10 "http://$B:8000/f"
