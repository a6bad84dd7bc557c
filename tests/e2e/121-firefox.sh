#!/bin/bash
# SPDX-License-Identifier: MIT
# 121-firefox - Firefox shows a peer's page, over virtual IPv4 and IPv6
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"

ntm_pair
ntm_web b 8000

# What the page is made of comes from the peer as well: a style sheet, a script.
echo 'document.body.className = "painted";' >"$LAB/www/paint.js"

# render FAMILY R G B: the page in this colour, photographed
render()
{
	local family=$1 profile=profile$1 only4=false x
	[ "$family" = 6 ] || only4=true
	echo ".painted { background: rgb($2, $3, $4); }" >"$LAB/www/page.css"
	cat >"$LAB/www/page.html" <<-END
	<!DOCTYPE html><title>marker</title>
	<link rel=stylesheet href="page.css?$family">
	<body><h1>Hello from desk.alice, IPv$family</h1>
	<script src="paint.js?$family"></script>
	END
	lab_as_user a mkdir "$profile"
	cat >"$(lab_home a)/$profile/user.js" <<-END
	user_pref("network.dns.disableIPv6", $only4);
	user_pref("network.dns.preferIPv6", true);
	user_pref("network.http.fast-fallback-to-IPv4", false);
	user_pref("network.captive-portal-service.enabled", false);
	user_pref("network.connectivity-service.enabled", false);
	user_pref("browser.safebrowsing.update.enabled", false);
	user_pref("app.normandy.enabled", false);
	user_pref("app.update.enabled", false);
	user_pref("datareporting.policy.dataSubmissionEnabled", false);
	user_pref("toolkit.telemetry.enabled", false);
	user_pref("services.settings.server", "");
	user_pref("browser.cache.disk.enable", false);
	END
	: >"$(lab_log web)"
	ntm_carried a 1000 1000 ntm_run a timeout -k 2 $((40 * LAB_SLOW)) \
		firefox-esr --headless --no-remote --profile "$profile" \
		--window-size 640,480 --screenshot "$(lab_home a)/shot$family.png" \
		"http://$B:8000/page.html?$family"
	lab_keep "$(lab_home a)/shot$family.png" "ipv$family.png"
	for x in 20 620; do
		assert_eq "$("$LAB_SRC/tests/lab/pixel.py" \
			"$(lab_home a)/shot$family.png" $x 400)" "$2 $3 $4" \
			"the picture has the page's colour"
	done
	ntm_web_source "page.html?$family" a "$family"
	assert_virtual "$(ntm_web_seen "paint.js?$family")" "its script came so"
}

render 4 18 52 86
render 6 200 30 90
