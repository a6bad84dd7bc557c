#!/bin/bash
# SPDX-License-Identifier: MIT
# 209-configuration - a mistake in a configuration is an error that names file and line,
# before anything runs with it
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"

ntm_installed
ntm_star server a
ntm_account server alice
ntm_node a laptop.alice
conf=$(server_dir server)/ntm-server.conf
cp "$conf" "$LAB/good.conf"

# wrong TEXT LINE SENTENCE: with the line at the end, -n and run refuse, by file and line
wrong()
{
	local line
	cp "$LAB/good.conf" "$conf"
	printf '%s\n' "$2" >>"$conf"
	line=$(wc -l <"$conf")
	for how in "run -n" run; do
		refused "$1, $how" "$conf:$line: " \
			lab_as_user server ntm-server $how
	done
	refused "$1" "$3" lab_as_user server ntm-server run -n
}
# The running server does not take it either, and goes on.
wrong "an unknown key" "keepaliv = 2s" "keepaliv"
kill -HUP "${LAB_PID[server-server]}"
wait_for 5 "grep -q '$conf:.*keepaliv' '$(lab_log server-server)'"
ok "SIGHUP with it: the log names file and line"
assert_eq "$(lab_as_user a ntm netcheck --json | json udp4.works)" true \
	"and the DC answers as before"
lab_stop server-server
wrong "an unknown section" $'[relay]\nport = 1' "relay"
wrong "a value that is none" "ttl = soon" "soon"
wrong "a line that is none" "ttl" "neither [section] nor key = value"
cp "$LAB/good.conf" "$conf"
printf '[as]\nlifetime = 5m\n' >>"$conf"
refused "a value out of range" "as.lifetime is not between 10m and 30d" \
	lab_as_user server ntm-server run -n
cp "$LAB/good.conf" "$conf"
assert_contains "$(lab_as_user server ntm-server run -n)" good \
	"the good one passes"

policy=$(lab_home a)/.config/ntm/policy
lab_as_user a ntm allow "bob.$NTM_DOMAIN" 22 8000 >"$LAB/out"
lab_as_user a ntm down
wait_for 5 '[ -z "$(ntm_keeper a)" ]'
cp "$policy" "$LAB/good.policy"
for line in "allow" "alow bob.$NTM_DOMAIN" "allow bob.$NTM_DOMAIN 70000" \
	"allow bob..$NTM_DOMAIN" "allow bob.$NTM_DOMAIN 22 ssh"; do
	cp "$LAB/good.policy" "$policy"
	printf '# by hand\n%s\n' "$line" >>"$policy"
	refused "policy '$line'" "$policy:$(wc -l <"$policy"): " \
		lab_as_user a ntm up
done
assert_eq "$(ntm_keeper a)" "" "nobody is let in by mistake: no broker runs"
cp "$LAB/good.policy" "$policy"
ntm_up a
assert_contains "$(lab_as_user a ntm allow)" 8000 "the good one is in force"

# Edited by hand while it runs.
echo "alow carol.$NTM_DOMAIN" >>"$policy"
wrong_line="$policy:$(wc -l <"$policy"): "
kill -HUP "$(ntm_keeper a)"
wait_for 5 "[[ \$(ntm_get a warnings) == *'$wrong_line'*'rules of before hold'* ]]" \
	"lab_as_user a ntm status --json"
ok "ntm status names the line: $(ntm_get a warnings)"
refused "ntm allow does not write over it" "$wrong_line" \
	lab_as_user a ntm allow "dave.$NTM_DOMAIN"
assert_contains "$(cat "$policy")" "alow carol" "what was written is still there"
sed -i 's/^alow/allow/' "$policy"
lab_as_user a ntm allow "dave.$NTM_DOMAIN" >"$LAB/out"
for name in bob carol dave; do
	assert_contains "$(cat "$policy")" "allow $name.$NTM_DOMAIN" \
		"corrected: $name"
done
assert_eq "$(ntm_get a warnings)" "[]" "nothing to warn of any more"
