#!/bin/bash
# SPDX-License-Identifier: MIT
# 181-evil-relay - a relay that loses, delays, doubles, turns, misleads and replays
#                  packets harms a download by its time alone
# limit: 180
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"
. "$LAB_SRC/tests/lab/grid.sh"

GRID_WIRE=(5)
ntm_installed
grid_lab
grid_site a symm
grid_site b symm
lab_root server nft -f - <<-END
	table ip evil {
		chain pre {
			type nat hook prerouting priority dstnat;
			iifname eth0 udp dport 4503 redirect to :5503
		}
	}
END
lab_start evil user server "$LAB_SRC/tests/lab/evilrelay.py" 5503 192.0.2.1 4503 \
	"$LAB_SEED"
wait_for 5 'grep -q ready "$(lab_log evil)"'
grid_meet symm 4 symm 4
ntm_slow_web b 8000 1m
head -c 4000000 /dev/urandom >"$LAB/www/big"

ntm_start get a curl -sS -o got -w '%{num_connects}' "http://${NTM_NAME[b]}:8000/big"
got=$(lab_home a)/got
wait_for 10 "[ \$(stat -c %s '$got' || echo 0) -gt 500000 ]"
pids=("$(ntm_worker a)" "$(ntm_worker b)" "$(server_role server rs)")
mapfile -t was < <(anon "${pids[@]}")
kill -USR1 "${LAB_PID[evil]}"
lab_join get
cmp "$got" "$LAB/www/big"
ok "a download of 4 MB is whole"
assert_eq "$(cat "$(lab_log get)")" 1 "on one connection"
mapfile -t now < <(anon "${pids[@]}")
for n in 0 1 2; do
	assert_between "${now[n]}" 0 $((was[n] + GROWTH)) \
		"KiB of process ${pids[n]}, ${was[n]} before"
done
assert_eq "${pids[*]}" \
	"$(ntm_worker a) $(ntm_worker b) $(server_role server rs)" \
	"nothing had to start anew"
for host in a b; do
	assert_lacks "$(cat "$(lab_log watch-$host)")" direct "$host was never direct"
	assert_between "$(ntm_get $host totals.bad_auth)" 1 1000000 \
		"packets that $host did not believe"
done

# Honest again: as if nothing had been
kill -USR1 "${LAB_PID[evil]}"
ntm_start call a "$LAB_SRC/tests/lab/natcell.py" call "${NTM_NAME[b]}" 7000 \
	"$GRID_STOP"
wait_for 10 'grep -q first= "$(lab_log call)"'
was=$(ntm_get a totals.tx_packets)
wait_for 10 "[ \$(ntm_get a totals.tx_packets) -gt $((was + 100)) ]"
touch "$GRID_STOP"
lab_join call
ok "honest again it carries echoes: $(tail -n 1 "$(lab_log call)")"
grid_part
lab_stop evil TERM
counts=$(tail -n 1 "$(lab_log evil)")
for what in lost twice late turned strayed replayed; do
	[[ $counts =~ $what=([0-9]+) ]]
	assert_between "${BASH_REMATCH[1]}" 20 1000000 "of its packets were $what"
done
