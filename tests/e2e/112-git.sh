#!/bin/bash
# SPDX-License-Identifier: MIT
# 112-git - git clones from a peer by http and by ssh, over virtual IPv4 and IPv6
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"

ntm_pair
home=$(lab_home b)

lab_as_user b bash -ec '
	git init -q -b main work
	cd work
	head -c 500000 /dev/urandom >file
	git add file
	git -c user.name=user -c user.email=user@localhost commit -q -m first
	git clone -q --bare . ../project.git
	git rev-parse HEAD >../head'

# git's own CGI program behind a small web server.
mkdir -p "$home/web/cgi-bin"
cat >"$home/web/cgi-bin/git" <<END
#!/bin/sh
echo "\$REMOTE_ADDR" >>$home/cgi.log
export GIT_PROJECT_ROOT=$home GIT_HTTP_EXPORT_ALL=1
exec git http-backend
END
chmod +x "$home/web/cgi-bin/git"
lab_give -R "$home/web"
ntm_start cgi b /usr/bin/python3 -u -m http.server 8001 --cgi \
	--bind :: --directory "$home/web"
wait_for 5 'ntm_listens b tcp 8001'

ntm_ssh b a 2222

# clone FAMILY URL: prove that the commit arrived.
clone()
{
	ntm_carried a 1000 500000 ntm_run a git clone -q "$2" "clone-$1"
	assert_eq "$(lab_as_user a git -C "clone-$1" rev-parse HEAD)" \
		"$(cat "$home/head")" "git clone $2"
	lab_as_user a git -C "clone-$1" fsck --no-progress
	rm -r "$(lab_home a)/clone-$1"
}

ntm_look_up a "$B"
for family in 4 6; do
	address=${NTM_VIP[b.$family]}
	[ $family = 4 ] || address="[$address]"
	clone $family "http://$address:8001/cgi-bin/git/project.git"
	source=$(tail -n 1 "$home/cgi.log")
	assert_eq "${source#::ffff:}" "${NTM_VIP[a.$family]}" \
		"the web server saw the virtual IPv$family address"
done
clone name "http://$B:8001/cgi-bin/git/project.git"

for family in 4 6; do
	lab_as_user a git config --global core.sshCommand \
		"ssh -F $(lab_home a)/ssh_config -$family"
	clone $family "ssh://$B:2222$home/project.git"
	assert_eq "$(ntm_ssh_source)" "${NTM_VIP[a.$family]}" \
		"sshd saw the virtual IPv$family address"
done
