#!/bin/bash
# SPDX-License-Identifier: MIT
# 167-exit-large - datagrams larger than the tunnel to and from a host without NTMobile,
# and over a path that is narrower than usual
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"
. "$LAB_SRC/tests/lab/exit.sh"

exit_lab
for family in 4 6; do
	lab_start echo$family user general "$LAB_SRC/tests/lab/general.py" \
		serve $family 700$family
	wait_for 5 "lab_listens general udp 700$family"
done

# ask HOW FAMILY SIZE - a datagram of SIZE bytes is answered by as many
ask()
{
	local where=EXIT_GENERAL$2 relay=EXIT_RELAY$2
	assert_eq "$(exit_run "$LAB_SRC/tests/lab/general.py" \
		$1 "${!where}" 700$2 $3)" "${!relay}" "IPv$2, $1, $3 bytes: $4"
}

for family in 4 6; do
	for size in 1300 1368 1369 1388 1389 1500 9000 40000; do
		ask connect $family $size "both ways"
	done
	ask sendto $family 5000 "both ways"
	where=EXIT_GENERAL$family
	assert_eq "$(exit_run "$LAB_SRC/tests/lab/general.py" \
		ping "${!where}" 0 1900)" "${!where}" "an echo of 1900 bytes over IPv$family"
done
assert_eq "$(exit_status lost)" 0 "packets that the other process did not take"
assert_eq "$(exit_status malformed)" 0 "packets that were malformed"

# The wire before the node drops what is larger than 1380 bytes, and says nothing; the
# move has the path tried anew.
lab_wire a drop-above 1380
lab_move a n2 10.2.0.7/24 2001:db8:2::7/64
wait_for 20 'exit_run "$LAB_SRC/tests/lab/general.py" connect $EXIT_GENERAL4 7004 \
	1340 2>/dev/null' 'lab_as_user a ntm peers'
for family in 4 6; do
	for size in 1300 1389 4000; do
		ask connect $family $size "over a narrow path"
	done
done
