#!/bin/bash
# SPDX-License-Identifier: MIT
# 281-direct-first-login - `ntm receive --follow` runs before anybody has logged in there, so
# ntm-post is started without a virtual address; with the login it gets port 4507, and what
# is sent then comes straight
# limit: 120
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"
. "$LAB_SRC/tests/lab/items.sh"

items_server a b
ntm_node a laptop.alice
ntm_up b
mkdir -p "$(lab_home b)/got"
lab_give "$(lab_home b)/got"
lab_start follow user b ntm receive --follow --to="$(lab_home b)/got"
wait_for 20 '[ -n "$(items_post b)" ]' "cat '$(lab_log follow)'"
before=$(items_post b)
assert_eq "$(ntm_inside b ss -Hlnt sport = :4507)" "" \
	"ntm-post runs, and there is no port 4507 yet"

ntm_login b bob desk
ntm_wait_online b
lab_as_user b ntm allow alice >"$LAB/log/allow-b"
items_prekey b
items_text a "${NTM_NAME[b]}" 'straight, from the start'
items_await a outbox '.state + " " + .to[0].by' "done direct"
assert_eq "$(items_post b)" "$before" "by the ntm-post of before the login"
