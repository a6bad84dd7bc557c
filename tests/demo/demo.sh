#!/bin/bash
# SPDX-License-Identifier: MIT
#
# demo - the main job, shown as it happens: an unmodified curl downloads from an
#        unmodified nginx by name, the machine moves, the daemon is killed, and the
#        download ends with the right checksum. Then both are behind NATs, meet at
#        the relay and go on directly. Firefox shows a page of the peer. A file
#        reaches who was off when it was sent. A program speaks to a group.
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/faults.sh"
. "$LAB_SRC/tests/lab/groups.sh"

SIZE=${DEMO_BYTES:-200000000}
METER=$LAB_O/tests/demo/meter
WEB=$LAB/web			# what B serves
B=desk.bob.$NTM_DOMAIN
began=$(lab_now)

if [ -t 2 ] && [ -z "${NO_COLOR-}" ]; then
	bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' plain=$'\e[0m'
else
	bold='' dim='' green='' plain=''
fi

# The story tells what was proved; the lab itself speaks up only when something fails.
ok()
{
	LAB_OKS=$((LAB_OKS + 1))
}

# say TEXT: a line of the story, with the seconds since the start
say()
{
	printf '%s%6.1f s%s  %s\n' "$dim" \
		"$(awk -v ms="$(lab_ms_since "$began")" 'BEGIN { print ms / 1000 }')" \
		"$plain" "$*" >&2
}

chapter()
{
	printf '\n%s%s%s\n' "$bold" "$*" "$plain" >&2
}

# --- the stage ------------------------------------------------------------------

build_network()
{
	local net

	lab_router net
	for net in home:1 cafe:2 office:3 hosting:4; do
		lab_net "${net%:*}"
		lab_link net "${net%:*}" "10.${net#*:}.0.1/24" \
			"2001:db8:${net#*:}::1/64"
	done
	lab_host a
	lab_host b
	lab_host server
	# 5 ms each way on every link: 20 ms from any host to any other and back.
	lab_link a home 10.1.0.2/24 2001:db8:1::2/64 5 --rate-mbit 600
	lab_link b office 10.3.0.2/24 2001:db8:3::2/64 5
	lab_link server hosting 10.4.0.2/24 2001:db8:4::2/64 5
	# Behind the cafe's and the office's addresses, for the third act: routers as at
	# home, that let in only who was written to, address and port.
	build_nat gate-a cafe 10.2.0.5/24 attic
	build_nat gate-b office 10.3.0.5/24 flat
}

# build_nat ROUTER OUTSIDE ADDR NET: IPv4 only
build_nat()
{
	lab_router "$1"
	lab_uplink "$1" "$2" "$3" -
	lab_net "$4"
	lab_link "$1" "$4" 192.168.1.1/24 -
	lab_nat "$1" "$2" port-restricted
}

build_domain()
{
	ntm_server server "$NTM_DOMAIN"
	ntm_account server alice
	ntm_account server bob
	ntm_node a laptop.alice
	ntm_node b desk.bob
	lab_as_user b ntm allow alice."$NTM_DOMAIN" 8080 >/dev/null
}

build_site()
{
	mkdir -p "$WEB/tmp"
	head -c "$SIZE" /dev/urandom >"$WEB/big"
	cat >"$WEB/index.html" <<-HTML
		<!doctype html><title>desk.bob</title>
		<body style="background:#0b5394;color:white;font:40px sans-serif">
		<p>Hello from <b>$B</b></p>
		<p>You came by your virtual address.</p></body>
	HTML
	cat >"$WEB/nginx.conf" <<-CONF
		daemon off; worker_processes 2; pid $WEB/tmp/pid;
		error_log stderr; events {}
		http {
			access_log $WEB/tmp/access; client_body_temp_path $WEB/tmp/c;
			proxy_temp_path $WEB/tmp/p; fastcgi_temp_path $WEB/tmp/f;
			uwsgi_temp_path $WEB/tmp/u; scgi_temp_path $WEB/tmp/s;
			types { text/html html; } sendfile on;
			server { listen 8080; listen [::]:8080; root $WEB; }
		}
	CONF
	lab_give "$WEB" "$WEB"/* "$WEB/tmp"
	ntm_start nginx b nginx -c "$WEB/nginx.conf"
	wait_for 10 "lab_root b ss -Hltn sport = :8080 | grep -q ."
}

# --- the acts -------------------------------------------------------------------

# follow: print what A's broker says of the way to B whenever it changes
follow()
{
	local at way remote t0
	t0=$(awk '{ print int($1 * 1000) }' /proc/uptime)
	lab_as_user a "$LAB_SRC/tests/lab/natcell.py" watch "$B" "$LAB/unwatched" |
		while read -r at way remote; do
			[ "$way" != none ] || continue
			printf '%s    + %4d ms  tunnel %s%s\n' "$dim" \
				$((at > t0 ? at - t0 : 0)) \
				"${way/relay/through the relay}, $remote" "$plain" >&2
			echo "$way" >>"$LAB/ways"
		done
}

unfollow()
{
	touch "$LAB/unwatched"
	wait "$1"
	rm "$LAB/unwatched"
}

# download NAME COMMAND: 200 MB from B, COMMAND when half has come
download()
{
	local name=$1 out=$LAB/$1.big

	: >"$LAB/half"
	"$METER" --total "$SIZE" --at 0.5 --out "$out" --report "$LAB/$name.json" \
		--run "echo x >'$LAB/half'; $2" < <(
		lab_as_user a ntm-run curl -sS --fail "http://$B:8080/big")
	assert_eq "$(sha256sum <"$out")" "$(sha256sum <"$WEB/big")" \
		"the checksums of both files agree"
	say "checksum of ${bold}200 MB${plain}: $(sha256sum <"$out" | cut -c1-16)... on both sides, ${green}the same${plain}"
	rm -f "$out"
}

# report NAME [MOVED]: the longest silence; MOVED: when the new address was usable
report()
{
	python3 - "$LAB/$1.json" "${2-}" <<-'PY' >&2
		import json, sys
		r = json.load(open(sys.argv[1]))
		print("          the event came %.1f s into the download; the longest silence"
		      " after it was %.0f ms" % (r["event_s"], r["gap_ms"]))
		if sys.argv[2]:
		    print("          of which %.0f ms with the new address usable" %
		          max(0, (r["gap_ended_us"] - max(int(sys.argv[2]), r["gap_began_us"])) / 1e3))
		print("          (in calm before it: %.0f ms; a round trip takes 20 ms)"
		      % r["calm_gap_ms"])
	PY
}

act_move()
{
	local follower

	chapter "1. A moves to another network in the middle of a download"
	say "A (laptop.alice) is at $(lab_addresses a | tr '\n' ' ')"
	say "A runs: ntm-run curl http://$B:8080/big"
	# The lab moves the host: its shell must do it, so wait for the half in here.
	(
		wait_for 60 '[ -s "$LAB/half" ]'
		say "half has come: A loses its address, and gets one in the cafe"
		lab_move a cafe 10.2.0.77/24 2001:db8:2::77/64
		echo "$LAB_MOVED" >"$LAB/moved"
		say "A is at $(lab_addresses a | tr '\n' ' ')"
		follow
	) &
	follower=$!
	download move true
	unfollow $follower
	LAB_PORT_NET[a.0]=cafe		# as the subshell left it
	report move "$(cat "$LAB/moved")"
}

act_kill()
{
	local old new teller

	chapter "2. A's daemon is killed (kill -9) in the middle of a download"
	old=$(ntm_worker a)
	say "A runs: ntm-run curl http://$B:8080/big"
	rm -f "$LAB/half"
	(
		wait_for 60 '[ -s "$LAB/half" ]'
		say "half has come: kill -9 $old"
	) &
	teller=$!
	download kill "kill -KILL $old"
	wait $teller
	new=$(ntm_worker a)
	assert_ne "$new" "$old" "another worker runs"
	say "worker $old was killed, worker $new took over; curl noticed nothing"
	report kill
}

act_nat()
{
	local follower mover

	chapter "3. Both are behind NATs; then A has IPv6 only, and B IPv4 only"
	lab_as_user a ntm down >"$LAB/log/down-a"
	lab_move a attic 192.168.1.2/24 -
	lab_move b flat 192.168.1.3/24 -
	ntm_up a
	ntm_wait_online a
	wait_for 10 '[[ $(ntm_get b observed) == 10.3.0.5:* ]]'
	say "A is 192.168.1.2 behind 10.2.0.5, B is 192.168.1.3 behind 10.3.0.5"
	say "neither router lets in whom its host has not written to"
	say "A runs: ntm-run curl http://$B:8080/big"
	rm -f "$LAB/half" "$LAB/ways"
	follow &
	follower=$!
	(
		wait_for 60 '[ -s "$LAB/half" ]'
		say "half has come: A moves to a network of IPv6 alone"
		lab_move a home - 2001:db8:1::77/64
		echo "$LAB_MOVED" >"$LAB/moved"
		say "A is at $(lab_addresses a | tr '\n' ' ')"
	) &
	mover=$!
	download nat true
	wait $mover
	unfollow $follower
	assert_contains "$(grep -xe relay -e direct "$LAB/ways" | xargs)" \
		"relay direct relay" "the relay's way, the direct one, the relay's"
	say "why not direct: $(lab_as_user a ntm peers --json | python3 -c '
import json, sys
print(json.load(sys.stdin)["peers"][0]["why"])')"
	report nat "$(cat "$LAB/moved")"
}

act_firefox()
{
	local png=$LAB/firefox.png

	chapter "4. Firefox, unmodified, under ntm-run"
	if ! command -v firefox-esr >/dev/null; then
		say "firefox-esr is not installed: make demo installs it"
		return 1
	fi
	say "A runs: ntm-run firefox-esr --headless --screenshot http://$B:8080/"
	lab_as_user a mkdir -p "$(lab_home a)/profile"
	lab_as_user a env MOZ_HEADLESS=1 timeout 90 ntm-run firefox-esr --headless \
		--no-remote --profile "$(lab_home a)/profile" --window-size 800,400 \
		--screenshot "$(lab_home a)/firefox.png" "http://$B:8080/" \
		>"$LAB/log/firefox" 2>&1
	cp "$(lab_home a)/firefox.png" "$png"
	assert_contains "$(tail -n 3 "$WEB/tmp/access")" "GET / " "B served its page"
	lab_keep "$png"
	say "the picture is $LAB_HOST_O/log/${LAB_TEST:-lab}.firefox.png"
	say "B saw the visitor as $(awk '/GET \/ / { print $1 }' "$WEB/tmp/access" | tail -1): a virtual address"
}

# seconds MS: with one decimal
seconds()
{
	awk -v ms="$1" 'BEGIN { printf "%.1f s", ms / 1000 }'
}

# outbox: what A's says of the last item's receiver
outbox()
{
	lab_as_user a ntm outbox --json | jq -r '.items[-1].to[0].state'
}

act_away()
{
	local t sent sum size=50000000

	chapter "5. A sends to B, who is off; A is switched off; B comes back elsewhere"
	head -c $size /dev/urandom >"$(lab_home a)/film"
	lab_give "$(lab_home a)/film"
	lab_as_user b ntm down >"$LAB/log/down-b" 2>&1
	say "B is switched off; A runs: ntm send film bob"
	t=$(lab_now)
	lab_as_user a ntm send film bob >"$LAB/log/send" 2>&1
	sent=$(lab_ms_since "$t")
	say "$((size / 1000000)) MB, sealed to B's key, are at the server after ${bold}$(seconds "$sent")${plain}; A's outbox: $(outbox)"
	lab_as_user a ntm down >"$LAB/log/down-a" 2>&1
	say "A is switched off"
	lab_move b cafe 10.2.0.88/24 2001:db8:2::88/64
	say "B is switched on, in the cafe: $(lab_addresses b | tr '\n' ' ')"
	t=$(lab_now)
	ntm_up b
	wait_for 60 '[ "$(lab_as_user b ntm inbox --json | jq -r ".items[0].state")" = here ]' \
		"lab_as_user b ntm inbox"
	lab_as_user b ntm receive >"$LAB/log/receive"
	say "${bold}$(seconds "$(lab_ms_since "$t")")${plain} later B has it: ntm receive prints $(cat "$LAB/log/receive")"
	sum=$(sha256sum <"$(lab_home b)/film")
	assert_eq "$sum" "$(sha256sum <"$(lab_home a)/film")" "the film is the same"
	say "checksum ${sum:0:16}... on both sides, ${green}the same${plain}; the server could not read a byte"
	ntm_up a
	wait_for 60 '[ "$(outbox)" = received ]' "lab_as_user a ntm outbox"
	say "A is switched on again; its outbox: $(outbox)"
}

# ear HOST: socat takes what comes to the group; GROUP is its name
ear()
{
	ntm_start "ear-$1" "$1" socat -u \
		"UDP4-RECV:5000,ip-add-membership=$GROUP:lo" \
		"OPEN:$(lab_home "$1")/heard,creat,append"
	wait_for 10 "ntm_inside $1 ss -Hlnu sport = :5000 | grep -q ."
}

# hears HOST TEXT
hears()
{
	wait_for 10 "grep -qx '$2' $(lab_home "$1")/heard" \
		"lab_as_user $1 ntm status --json"
	say "$1 hears: ${green}$2${plain}"
}

# speak TEXT: A, to the group
speak()
{
	say "A runs: echo $1 | ntm-run socat - UDP4-DATAGRAM:$GROUP:5000"
	echo "$1" | ntm_run a socat -u - "UDP4-DATAGRAM:$GROUP:5000"
}

act_group()
{
	local t host

	GROUP=band.group.$NTM_DOMAIN
	chapter "6. A, B and C form a group; a program speaks to all of them"
	lab_host c
	lab_link c hosting 10.4.0.3/24 - 5
	ntm_account server carol
	ntm_node c phone.carol
	say "C is phone.carol.$NTM_DOMAIN, in a third network"
	lab_as_user c ntm allow alice."$NTM_DOMAIN" 8080 >/dev/null
	t=$(lab_now)
	say "A runs: ntm-group create band; ntm-group invite band bob carol"
	group a create band >"$LAB/log/create" 2>&1
	group a invite band bob carol >"$LAB/log/invite" 2>&1
	for host in b c; do
		group_invited 30 $host band
		group $host accept band >"$LAB/log/accept-$host" 2>&1
	done
	for host in a b c; do
		group_in 30 $host band 3
	done
	say "${bold}$(seconds "$(lab_ms_since "$t")")${plain} later all three have its key, which the server has not"
	say "B and C run: ntm-run socat UDP4-RECV:5000,ip-add-membership=$GROUP:lo -"
	ear b
	ear c
	speak hello
	hears b hello
	hears c hello
	say "A runs: ntm-group remove band phone.carol.$NTM_DOMAIN"
	group a remove band "phone.carol.$NTM_DOMAIN" >"$LAB/log/remove" 2>&1
	group_in 30 b band 2
	speak "among us"
	hears b "among us"
	assert_eq "$(cat "$(lab_home c)/heard")" hello "C hears nothing more"
	say "C, who was removed, does not, and has no key to it"
}

chapter "NTMobile: three hosts, 20 ms between any two"
say "A  at home, later in a cafe    B  in an office    server  at a hosting company"
build_network
say "the server makes a domain, A and B log in"
build_domain
say "A is laptop.alice.$NTM_DOMAIN  $(ntm_get a vip6)"
say "B is $B  $(ntm_get b vip6)"
say "B runs: ntm-run nginx, serving $((SIZE / 1000000)) MB of random bytes"
build_site
act_move
act_kill
act_nat
act_firefox
act_away
act_group
chapter "Done"
python3 - "$LAB/move.json" "$LAB/kill.json" "$LAB/nat.json" <<'PY' >&2
import json, sys
move, kill, nat = (json.load(open(f))["gap_ms"] for f in sys.argv[1:])
print("measured gap: %.0f ms when A moved, %.0f ms when A's worker was killed,"
      " %.0f ms from IPv4 to IPv6" % (move, kill, nat))
PY
LAB_ENDED=1
trap - EXIT
