#!/bin/bash
# SPDX-License-Identifier: MIT
# 202-server-key - a server with another CA than the one known is refused, before the
# password leaves, and one sentence says what to do
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"

ntm_installed
ntm_star server a b
ntm_account server alice
ntm_node a laptop.alice
was=${NTM_JOIN[$NTM_DOMAIN]}
vip=$(ntm_get a vip6)

# A join string with a slip in the fingerprint: never heard of, and yet refused.
fp=${was##*#}
NTM_JOIN[$NTM_DOMAIN]=${was%#*}#$(tr 0123456789abcdef 1032547698badcfe <<<"$fp")
ntm_up b
refused "a server that is not the one of the join string" \
	"could not prove that it is the one of the join string; check the string" \
	try_login b "$NTM_PASSWORD" alice desk
NTM_JOIN[$NTM_DOMAIN]=${was%#*}#${fp:2}
refused "a join string that is cut" "join string" \
	try_login b "$NTM_PASSWORD" alice desk
NTM_JOIN[$NTM_DOMAIN]=$was

# Somebody sets up the domain anew, in its place.
lab_stop server-server
mv "$(server_dir server)" "$(server_dir server).old"
ntm_server server "$NTM_DOMAIN"
ntm_account server alice
new=${NTM_JOIN[$NTM_DOMAIN]}
assert_ne "$new" "$was" "the new CA has another join string"

NTM_JOIN[$NTM_DOMAIN]=$was
refused "the old join string at the new server" "another key than the one known" \
	try_login a "$NTM_PASSWORD" alice laptop
NTM_JOIN[$NTM_DOMAIN]=$new
refused "the new join string" "another key than the one known" \
	try_login a "$NTM_PASSWORD" alice laptop
refused "and it says what to do" "--trust-changed" \
	try_login a "$NTM_PASSWORD" alice laptop
assert_eq "$(server_status server roles.as.refused)" 0 \
	"the new server has heard no password"
assert_lacks "$(<"$(lab_log server-server)")" laptop "nor the device's name"
assert_eq "$(ntm_get a vip6)" "$vip" "the device is who it was"

try_login a "$NTM_PASSWORD" alice laptop --trust-changed >"$(lab_log login-a)"
ntm_wait_online a
ok "with --trust-changed it logs in"
assert_ne "$(ntm_get a vip6)" "$vip" "at another domain: another address"
try_login b "$NTM_PASSWORD" alice desk >"$(lab_log login-b)"
ntm_wait_online b
lab_as_user b ntm ping -c 1 "laptop.alice.$NTM_DOMAIN" >"$LAB/out"
ok "devices of the new domain meet"
