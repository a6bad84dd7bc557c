#!/bin/bash
# SPDX-License-Identifier: MIT
# 208-full-disk - a full disk under the server's stores, or under a device's state, is an
# error that says so; what runs goes on, nothing is lost, and space is enough to repair it
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"
. "$LAB_SRC/tests/lab/items.sh"

# A disk of 4 MB under a folder of a host, the user's.
disk()
{
	lab_as_user "$1" mkdir -p "$2"
	lab_root "$1" mount -t tmpfs -o size=4m,mode=700 disk "$2"
	[ "$LAB_MODE" != root ] || lab_root "$1" chown "$LAB_UID:$LAB_GID" "$2"
}

# fill HOST FOLDER, free HOST FOLDER: not a byte is left
fill()
{
	lab_as_user "$1" dd if=/dev/zero of="$2/filler" bs=4k 2>"$LAB/out" || :
	refused "the disk of $1 is full" "No space left" \
		lab_as_user "$1" dd if=/dev/zero of="$2/more" bs=4k count=1
	lab_as_user "$1" rm -f "$2/more"
}
free()
{
	lab_as_user "$1" rm -f "$2/filler" "$2/more"
}

ntm_installed
ntm_star server a b c
lab_stop server-server
rm -r "$(server_dir server)"
disk server "$(server_dir server)"
lab_as_user server ntm-server init --domain "$NTM_DOMAIN" --listen 10.1.0.2 \
	>"$(lab_log server-init-server)"
ntm_server_start server
NTM_JOIN[$NTM_DOMAIN]=$(lab_as_user server ntm-server join-string)
ntm_account server alice
for host in a b; do
	disk $host "$(state_dir $host)"
done
ntm_node a laptop.alice
ntm_node b desk.alice
B=${NTM_NAME[b]}
roles="$(server_role server as) $(server_role server dc)"
ntm_up c

fill server "$(server_dir server)"
refused "a new account" "the store could not be written; check the disk" \
	lab_as_user server ntm-server account add --password-stdin bob \
	<<<"$NTM_PASSWORD"
refused "a new device" "the store could not be written" \
	try_login c "$NTM_PASSWORD" alice phone
refused "an account is not half disabled" "the store could not be written" \
	lab_as_user server ntm-server account disable alice
lab_as_user a ntm ping -c 1 "$B" >"$LAB/out"
ok "devices that are known still meet"
free server "$(server_dir server)"
ntm_account server bob
try_login c "$NTM_PASSWORD" bob phone >"$(lab_log login-c)"
ntm_wait_online c
ok "with space again all is done"
assert_eq "$(server_role server as) $(server_role server dc)" "$roles" \
	"no role has died of it"
assert_eq "$(lab_as_user server ntm-server device list | grep -c active)" 3 \
	"three devices are on the disk"

# its prekeys, which the full box did not take, are there by now, and ntm-post has ended:
# else the room that it gives back is enough for a login
items_prekey a
wait_for 30 '[ -z "$(items_post a)" ]' "tail -n 20 '$(state_dir a)/broker.log'"
fill a "$(state_dir a)"
refused "a device that cannot keep a new login" \
	"the store could not be written; check the disk" \
	try_login a "$NTM_PASSWORD" alice laptop
lab_as_user a ntm ping -c 1 "$B" >"$LAB/out"
assert_eq "$(ntm_get a state)" online "the login it has works on"
lab_as_user a ntm down
wait_for 5 '[ -z "$(ntm_keeper a)" ]'
fill a "$(state_dir a)" # files of its stores went with it
refused "it does not start without its boot number on the disk" \
	"the store could not be written; check the disk" lab_as_user a ntm up
free a "$(state_dir a)"
ntm_up a
ntm_wait_online a
lab_as_user a ntm ping -c 1 "$B" >"$LAB/out"
ok "with space again it starts and is who it was"
