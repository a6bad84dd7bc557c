#!/bin/bash
# SPDX-License-Identifier: MIT
# 161-domains-relay - two domains, both hosts behind NATs that let nobody in: by the
# relay of who asks; and a move while a download runs
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/domains.sh"

ntm_installed
domains_behind symmetric
domains_two
ntm_slow_web b 8000 300k
echo from-b >"$LAB/www/f"
head -c 1500000 /dev/urandom >"$LAB/www/big"
assert_eq "$(ntm_run a curl -sS -m 10 "http://$B:8000/f")" from-b \
	"a fetches from b"
assert_eq "$(ntm_peer a "$B" path)" relay "through a relay"
assert_contains "$(ntm_peer a "$B" relay)" 10.2.0.2 "a's domain's relay"
assert_eq "$(ntm_peer b "$A" path)" relay "which b uses, too"
assert_contains "$(ntm_peer b "$A" relay)" 10.2.0.2 "though it is another domain's"

# a goes into another network while a download runs
ntm_start get a curl -sS -m 60 -o got "http://$B:8000/big"
was=$(ntm_get a totals.rx_bytes)
wait_for 10 "[ \$(ntm_get a totals.rx_bytes) -gt $((was + 200000)) ]"
lab_lose a
lab_gain a other 10.200.0.9/24 -
lab_join get
cmp "$(lab_home a)/got" "$LAB/www/big"
ok "a download survives a's move"
# and b, whose new network is open, too
ntm_start get2 a curl -sS -m 60 -o got2 "http://$B:8000/big"
was=$(ntm_get a totals.rx_bytes)
wait_for 10 "[ \$(ntm_get a totals.rx_bytes) -gt $((was + 200000)) ]"
lab_lose b
lab_gain b other 10.200.0.10/24 -
lab_join get2
cmp "$(lab_home a)/got2" "$LAB/www/big"
ok "and b's"

# an account that is disabled in one domain loses its tunnels in the other
ntm_run a curl -sS -m 10 "http://$B:8000/f" >"$LAB/out"
lab_as_user sb ntm-server account disable bob
wait_for 5 "case \$(ntm_peer a $B state) in direct | relayed) false ;; esac" \
	"lab_as_user a ntm peers"
ok "a withdrawal in two.example ends a's tunnel in one.example"
