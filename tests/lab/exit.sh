# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# exit.sh - a domain with an exit, and a host that knows nothing of NTMobile
#
# After lab.sh, ntm.sh and faults.sh:
#
#	exit_lab		hosts server, a and general; a is laptop.alice, who may
#				use the exit and wants to
#
# general is 203.0.113.80 and 2001:db8:300::80, two routers' wires away from both.

EXIT_GENERAL4=203.0.113.80
EXIT_GENERAL6=2001:db8:300::80
EXIT_RELAY4=10.1.0.2		# where general sees programs of a
EXIT_RELAY6=2001:db8:1::2
EXIT_HOST=general		# where exit_nginx runs

exit_lab()
{
	ntm_installed
	ntm_star server a
	lab_net outside
	ntm__link net outside 203.0.113.1/24 2001:db8:300::1/64
	lab_host general
	ntm__link general outside $EXIT_GENERAL4/24 $EXIT_GENERAL6/64 5
	ntm_account server alice
	lab_as_user server ntm-server account exit alice on
	lab_as_user server ntm-server exit enrol >/dev/null
	server_set server "roles=as, dc, rs, exit" "$@"
	ntm_up a
	try_login a "$NTM_PASSWORD" alice laptop --exit=yes >"$LAB/log/login-a"
	ntm_wait_online a
	wait_for 20 '[ "$(exit_status online)" = true ]' \
		'lab_as_user server ntm-server exit status'
}

# exit_status FIELD: of `ntm-server exit status`
exit_status()
{
	lab_as_user server ntm-server exit status --json 2>/dev/null |
		tr -d '\n' | json "$1"
}

# exit_run PROGRAM...: at a, through the exit or not at all
exit_run()
{
	lab_as_user a ntm-run --exit=relay "$@"
}

# exit_nginx [RATE]: a plain nginx at EXIT_HOST, port 80; its log of addresses is `web`
exit_nginx()
{
	lab_root $EXIT_HOST sh -c \
		'echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start'
	ntm_nginx_conf $EXIT_HOST 80 "sendfile_max_chunk 16k; limit_rate ${1-0};"
	lab_start nginx user $EXIT_HOST nginx -e stderr \
		-c "$(lab_home $EXIT_HOST)/nginx.conf"
	wait_for 5 "lab_listens $EXIT_HOST tcp 80"
}
