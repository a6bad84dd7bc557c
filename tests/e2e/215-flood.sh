#!/bin/bash
# SPDX-License-Identifier: MIT
# 215-flood - replayed, truncated, bit-flipped, forged and random datagrams, 100,000 a
# second beside a running transfer: it goes on, and no process grows
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"

RATE=100000 SECONDS_EACH=2
ntm_installed
# Bare links to the victims: the flood shall reach them whole.
lab_router net
for host in server a b; do
	lab_net "n-$host"
	n=$((${n-0} + 1))
	lab_link net "n-$host" 10.$n.0.1/24 -
	lab_host $host
	lab_link $host "n-$host" 10.$n.0.2/24 -
	[ $host != server ] || ntm_server server "$NTM_DOMAIN"
done
server_set server dc.keepalive=2s
ntm_account server alice
ntm_node a laptop.alice
ntm_node b desk.alice
A=${NTM_NAME[a]} B=${NTM_NAME[b]}
ntm_slow_web b 8000 4m
head -c 48000000 /dev/urandom >"$LAB/www/big"
got=$(lab_home a)/got
ntm_start get a curl -sS -o got -w '%{num_connects}' "http://$B:8000/big"
wait_for 10 "[ \$(stat -c %s '$got') -gt 4000000 ]"

# processes: those that read datagrams
processes="$(ntm_worker a) $(ntm_keeper a) $(ntm_worker b) $(server_role server dc)"

# refused_by HOST: datagrams it has dropped for good reasons
refused_by()
{
	lab_as_user "$1" ntm status --json | /usr/bin/python3 -c '
import json, sys
t = json.load(sys.stdin)["totals"]
print(sum(t[k] for k in ("bad_auth", "replayed", "malformed", "unknown_path",
                         "no_keys")))'
}

# flood DEVICE ADDRESS PORT: beside the transfer.  Where other work keeps the machine
# from 100,000 a second, a fifth of that is the least that counts as a flood.
flood()
{
	lab_start flood root net "$LAB_O/tests/e2e/flood" "$1" "$2" "$3" \
		$RATE $SECONDS_EACH "$LAB_SEED"
	lab_join flood
	echo "# to $2:$3: $(tail -n 1 "$(lab_log flood)")"
	sent=$(sed -n 's/.*, sent \([0-9]*\),.*/\1/p' "$(lab_log flood)")
	rate=$(sed -n 's/.* a second \([0-9]*\):.*/\1/p' "$(lab_log flood)")
	assert_between "$rate" $((RATE / 5 / LAB_SLOW)) $((RATE * 2)) \
		"datagrams a second to $2:$3"
}
echo "# memory before: $(anon $processes | xargs) KiB"
lab_capture back net eth1 dst net 203.0.113.0/24
lab_capture back-dc net eth0 dst net 203.0.113.0/24

was=$(refused_by a)
before=$(stat -c %s "$got")
flood eth1 10.2.0.2 "$(ntm_get a udp_port)"
assert_between $(($(refused_by a) - was)) $((sent / 4)) "$sent" \
	"a's worker read and refused them"
lab_running get
assert_between $(($(stat -c %s "$got") - before)) 1000000 48000000 \
	"the transfer went on meanwhile, bytes"
warm=$(anon $processes | xargs)
echo "# memory after one flood: $warm KiB"
flood eth1 10.2.0.2 "$(ntm_get a udp_port)"
flood eth0 10.1.0.2 4502
now=$(anon $processes | xargs)
echo "# memory after three: $now KiB"
read -r -a was <<<"$warm"
n=0
for size in $now; do
	assert_between "$size" 0 $((was[n] + GROWTH)) \
		"process $n has not grown, KiB"
	n=$((n + 1))
done

assert_eq "$(ntm_worker a) $(ntm_keeper a) $(ntm_worker b) $(server_role server dc)" \
	"$processes" "nobody has died"
lab_join get
cmp "$got" "$LAB/www/big"
assert_eq "$(cat "$(lab_log get)")" 1 "the transfer is whole, on one connection"
for host in a b; do
	assert_eq "$(ntm_get $host state)" online "$host is online"
done
assert_eq "$(lab_captured back | wc -l)" 0 "a sent nothing to forged sources"
assert_eq "$(lab_captured back-dc | wc -l)" 0 "nor did the DC"
for log in "$(state_dir a)/broker.log" "$(lab_log server-server)"; do
	assert_between "$(wc -l <"$log")" 0 200 "lines in ${log##*/}"
done
