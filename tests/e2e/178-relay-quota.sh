#!/bin/bash
# SPDX-License-Identifier: MIT
# 178-relay-quota - an account has used up its day at the relay: the person sees why
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"
. "$LAB_SRC/tests/lab/grid.sh"

ntm_installed
GRID_B=desk.bob
grid_lab
server_set server account_day=600K
grid_site a symm
grid_site b symm
grid_meet symm 4 symm 4
lab_as_user b ntm allow "${NTM_NAME[a]}" >"$(lab_log allow)"
ntm_web b 8000
head -c 3000000 /dev/urandom >"$LAB/www/big"
ntm_start get a curl -sS -o got -m 60 "http://${NTM_NAME[b]}:8000/big"
reason='forwards no more for this account today'
wait_for 40 "lab_as_user b ntm peers --json | grep -q '$reason'" \
	'lab_as_user b ntm peers --json'
ok "the sender's ntm peers says why"
lab_as_user b ntm peers | grep -q "$reason"
ok "for people, too"
reason="forwards no more for the peer's account today"
wait_for 30 "lab_as_user a ntm peers --json | grep -q \"$reason\"" \
	'lab_as_user a ntm peers --json'
ok "and so does the receiver's, whose own account has more"
lab_as_user a ntm netcheck | grep -q "$reason"
ok "ntm netcheck says it, too"
over=$(lab_as_user server ntm-server status --json |
	sed -n 's/.*"over_day": \([0-9]*\).*/\1/p')
[ "$over" -gt 0 ]
ok "the relay dropped what was more: $over packets"
# direct ways cost the relay nothing
lab_stop get
grid_plug b open 4
ntm_wait_online b
assert_eq "$(ntm_run a curl -sS -m 20 -o /dev/null -w '%{size_download}' \
	"http://${NTM_NAME[b]}:8000/big")" 3000000 "a direct way has no limit"
