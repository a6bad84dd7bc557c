#!/bin/bash
# SPDX-License-Identifier: MIT
# 111-wget - wget fetches from a peer by name, over virtual IPv4 and IPv6
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"

ntm_pair
ntm_web b 8000
mkdir "$LAB/www/tree"
for i in 1 2 3; do
	head -c 300000 /dev/urandom >"$LAB/www/tree/$i"
done

for family in 4 6; do
	ntm_carried a 1000 900000 ntm_run a wget -q -$family -r -np -nH \
		-R 'index.html*' -P got$family "http://$B:8000/tree/"
	for i in 1 2 3; do
		cmp "$(lab_home a)/got$family/tree/$i" "$LAB/www/tree/$i"
	done
	ok "wget -$family mirrored the folder"
	ntm_web_source /tree/3 a $family
	: >"$(lab_log web)"
done
