#!/bin/bash
# SPDX-License-Identifier: MIT
# 214-verified-account - a new device of an account of which a device is verified is
# refused, both ways, until it is verified too
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"

ntm_installed
ntm_star server a b c
for name in alice bob; do
	ntm_account server $name
done
ntm_node a laptop.bob
ntm_node b desk.alice
A=${NTM_NAME[a]} B=${NTM_NAME[b]} C=phone.alice.$NTM_DOMAIN
lab_as_user a ntm allow "alice.$NTM_DOMAIN" >"$LAB/out"
lab_as_user b ntm allow "bob.$NTM_DOMAIN" >"$LAB/out"
serve=$LAB_SRC/tests/lab/peername.py
ntm_start server a "$serve" tcp :: 7000
wait_for 5 'ntm_listens a tcp 7000'

lab_as_user a ntm ping -c 1 "$B" >"$LAB/out"
assert_eq "$(lab_as_user a ntm verify --json "$B" | json code)" \
	"$(lab_as_user b ntm verify --json "$A" | json code)" \
	"both sides show one code"
# Without the domain, and bob's own device by its name alone.
for name in desk.alice alice; do
	lab_as_user a ntm ping -c 1 $name >"$LAB/out"
	assert_eq "$(lab_as_user a ntm verify --json $name | json fqdn)" "$B" \
		"$name is $B"
done
refused "and this device itself is no peer" "that is this device itself" \
	lab_as_user a ntm ping laptop
refused "a name of nobody" "no such name" lab_as_user a ntm ping nobody
refused "to verify" "no such name" lab_as_user a ntm verify nobody

lab_as_user a ntm verify -y "$B" >"$LAB/out"
assert_eq "$(lab_as_user a ntm verify --json "$B" | json verified)" true \
	"bob has verified alice's desk"

# Whoever holds the Account Server could add a device like this.
ntm_node c phone.alice
lab_as_user c ntm allow "bob.$NTM_DOMAIN" >"$LAB/out"
refused "to the new device" "a new device of a verified account" \
	lab_as_user a ntm ping "$C"
refused "and what to do" "run \`ntm verify\` first" lab_as_user a ntm ping "$C"
ask_error "a program" "gai -" 5000 a tcp 6 "$C" 7000
ask_error "from the new device" "gai -" 5000 c tcp 6 "$A" 7000
assert_eq "$(ntm_peer a "$C" state)" refused "ntm peers shows it"
lab_as_user a ntm ping -c 1 "$B" >"$LAB/out"
ok "the verified device is as it was"

# Without a verified device first contact is trust: the other way round, bob's.
lab_as_user c ntm ping -c 1 "$B" >"$LAB/out"
ok "nobody else is concerned"

lab_as_user a ntm verify -y "$C" >"$LAB/out"
lab_as_user a ntm ping -c 1 "$C" >"$LAB/out"
ok "verified, it is reached"
assert_eq "$(ntm_ask c tcp 6 "$A" 7000 | sed -n '1s/ .*//p')" "$(ntm_get c vip6)" \
	"and gets in"
