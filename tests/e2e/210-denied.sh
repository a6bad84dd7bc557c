#!/bin/bash
# SPDX-License-Identifier: MIT
# 210-denied - where user namespaces or /dev/net/tun are denied, one sentence says what is
# denied and what mends it; programs then run as on the host
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"

ntm_installed
lab_host a
tun=/dev/net/tun

# says TEXT WHAT FIX COMMAND...: by both ways to start a broker
says()
{
	local text=$1 what=$2 fix=$3
	shift 3
	refused "$text" "$what" "$@" ntm-broker --foreground
	refused "$text: the fix" "$fix" "$@" ntm-broker --foreground
	refused "$text: ntm up" "$fix" "$@" ntm up
}

# A user namespace has limits of its own; this one allows none within.
says "no user namespaces" "allows no user or network namespaces" \
	"sysctl -w user.max_user_namespaces=10000" \
	lab_as_user a unshare --user --map-root-user bash -ec '
		echo 0 >/proc/sys/user/max_user_namespaces
		exec "$@"' -
says "unshare denied, as in a container" "user namespaces are denied here" \
	"allow it unshare(2), or run outside" \
	lab_as_user a "$LAB_O/tests/e2e/denied"

lab_root a mount -t tmpfs -o mode=755 none /dev/net
says "no TUN device" "/dev/net/tun does not exist" "modprobe tun" lab_as_user a
lab_root a install -m 600 /dev/null $tun
# In a lab of an ordinary user nothing there is root's: any file of root will do.
[ "$LAB_MODE" = root ] || lab_root a mount --bind /etc/shadow $tun
says "a TUN device of root alone" "/dev/net/tun is closed to you (mode " \
	"chmod 666 /dev/net/tun" lab_as_user a
out=$(lab_as_user a ntm-run getent hosts localhost 2>&1)
assert_contains "$out" "chmod 666 /dev/net/tun" "ntm-run says it"
assert_contains "$out" "the program runs as on the host" "and goes on without"
assert_contains "$out" "localhost" "and the program ran"
[ "$LAB_MODE" = root ] || lab_root a umount $tun
lab_root a umount /dev/net
ntm_up a
ok "mended, the broker starts"

profile=/usr/local/share/doc/ntmobile/apparmor/ntm-broker
[ -r $profile ] || not_ok "no AppArmor profile is installed"
assert_contains "$(<$profile)" "userns," "the profile grants user namespaces"
assert_contains "$(<$profile)" "/usr/local/bin/ntm-broker" "to the broker"
assert_lacks "$(<$profile)" "@PREFIX@" "where it is installed"
