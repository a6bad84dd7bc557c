#!/bin/bash
# SPDX-License-Identifier: MIT
# 113-ssh - OpenSSH's client and a user's own sshd, over virtual IPv4 and IPv6
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"

ntm_pair
ntm_ssh b a 2222
head -c 1000000 /dev/urandom >"$LAB/data"
chmod 644 "$LAB/data"

for family in 4 6; do
	ntm_carried a 1000 1000 ntm_run a ssh -F ssh_config -$family "$B" \
		'echo "$SSH_CONNECTION"; hostname'
	assert_eq "$(sed -n 1p "$LAB/out" | cut -d ' ' -f 1,3)" \
		"${NTM_VIP[a.$family]} ${NTM_VIP[b.$family]}" \
		"ssh -$family: the session's two addresses are virtual"
	assert_eq "$(sed -n 2p "$LAB/out")" b "and it runs on the peer"
	assert_eq "$(ntm_ssh_source)" "${NTM_VIP[a.$family]}" "as sshd's log says"
	ntm_carried a 1000000 1000 ntm_run a bash -c \
		"ssh -F ssh_config -$family '$B' sha256sum <'$LAB/data'"
	assert_eq "$(cut -c 1-64 "$LAB/out")" \
		"$(sha256sum <"$LAB/data" | cut -c 1-64)" "a megabyte by pipe"
	ntm_carried a 1000 1000000 ntm_run a scp -q -F ssh_config -$family \
		"$B:$LAB/data" got
	cmp "$LAB/data" "$(lab_home a)/got"
	ok "scp -$family brings it back"
done

# A forwarded port: ssh listens for the browser, sshd connects for it.
ntm_web b 8000
echo through >"$LAB/www/page"
ntm_start forward a ssh -F ssh_config -N -L 127.0.0.1:9000:127.0.0.1:8000 "$B"
wait_for 5 'lab_listens a tcp 9000'
assert_eq "$(lab_as_user a curl -sS http://127.0.0.1:9000/page)" through \
	"a port forwarded through the tunnel"
