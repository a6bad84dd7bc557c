#!/bin/bash
# SPDX-License-Identifier: MIT
# exchange - items by a Cache Server: large ones beside curl and nginx, a long list, many
#            small ones, these also straight
#
# exchange.sh [large|list|small]. Homes lie on a disk here: in the lab's tmpfs a sync
# costs nothing.
. "$(dirname "$0")/bench.sh"
. "$LAB_SRC/tests/lab/faults.sh"
. "$LAB_SRC/tests/lab/items.sh"

part=${1-}
SIZE=${BENCH_SIZE:-512}		# MiB of a large item
SMALL=${BENCH_SMALL:-500}	# items of a round
WAITING=${BENCH_WAITING:-10000}	# items of the list
disk=$LAB_O/bench-exchange
rm -rf "$disk"
mkdir -p "$disk"
mount --bind "$disk" "$LAB/hosts"
items=$LAB_SRC/tests/bench/exchange_items.py
note "$(nproc) CPUs, Linux $(uname -r), nginx $(dpkg-query -W -f '${Version}' nginx-light)," \
	"curl $(dpkg-query -W -f '${Version}' curl), $(date -u +%F)"

bench_pair
lab_host server
lab_link server lan 10.9.0.3/24 fd00:9::3/64
ntm_server server ntm.example
server_set server "server.roles=as, dc, cs"
items_ready server
ntm_account server alice
ntm_account server bob
ntm_node a a.alice
ntm_node b b.bob
NTM_B=b.bob.$NTM_DOMAIN

for h in a b; do
	items_prekey $h
done
# ntm-post stays, and with it its connections and what is counted of it
hold()
{
	lab_as_user "$1" ntm outbox >/dev/null
	lab_start "keep-$1" user "$1" "$items" hold
}
for h in a b; do
	hold $h
done

# post_pid HOST
post_pid()
{
	lab_pids "$1" ntm-post | head -n 1
}

# --- large items: b has not allowed alice, so each is fetched when it is asked for ----

nginx_start()
{
	local d
	d=$(lab_home server)/nginx
	mkdir -p "$d/files" "$d/body"
	openssl req -x509 -newkey ed25519 -nodes -days 2 -subj /CN=nginx.example \
		-addext subjectAltName=IP:10.9.0.3 -keyout "$d/key" -out "$d/cert" \
		2>/dev/null
	cat >"$d/conf" <<-END
	daemon off;
	worker_processes auto;
	pid $d/pid;
	error_log $d/error;
	events { worker_connections 64; }
	http {
		access_log off;
		client_body_temp_path $d/body;
		# where no nginx ever ran, the package's own are not there
		proxy_temp_path $d/body;
		fastcgi_temp_path $d/body;
		uwsgi_temp_path $d/body;
		scgi_temp_path $d/body;
		client_body_buffer_size 256k;
		client_max_body_size 0;
		sendfile on;
		server {
			listen 10.9.0.3:8443 ssl;
			ssl_certificate $d/cert;
			ssl_certificate_key $d/key;
			ssl_protocols TLSv1.3;
			location / { root $d/files; dav_methods PUT; }
		}
	}
	END
	cp "$d/cert" "$BENCH_OUT/nginx.pem"
	lab_give -R "$d" "$BENCH_OUT/nginx.pem"
	lab_start nginx user server nginx -c "$d/conf" -e "$d/error"
	wait_for 5 "lab_root server ss -Hltn sport = :8443 | grep -q ."
}

# seconds COMMAND...: it takes
seconds()
{
	local begun
	begun=$(date +%s%N)
	"$@" >/dev/null
	awk -v n="$(($(date +%s%N) - begun))" 'BEGIN { printf "%.3f\n", n / 1e9 }'
}

nginx_put()
{
	lab_as_user a curl -sf --cacert "$BENCH_OUT/nginx.pem" -T "$(lab_home a)/large" \
		https://10.9.0.3:8443/large
	sync -f "$(lab_home server)/nginx/files/large"
}

nginx_get()
{
	lab_as_user b curl -sf --cacert "$BENCH_OUT/nginx.pem" \
		-o "$(lab_home b)/large" https://10.9.0.3:8443/large
	sync -f "$(lab_home b)/large"
}

# rate FILE: MB/s of the seconds' median
rate()
{
	awk -v s="$(median "$1")" -v m="$SIZE" \
		'BEGIN { printf "%.0f\n", m * 1048576 / 1e6 / s }'
}

large()
{
	local round h memory
	nginx_start
	head -c "${SIZE}M" /dev/urandom >"$(lab_home a)/large"
	lab_give "$(lab_home a)/large"
	cat "$(lab_home a)/large" >/dev/null
	for round in $(seq "$BENCH_ROUNDS"); do
		seconds nginx_put >>"$LAB/put.nginx"
		lab_as_user a "$items" put "$(lab_home a)/large" "$NTM_B" >>"$LAB/put.ntm"
		seconds nginx_get >>"$LAB/get.nginx"
		lab_as_user b "$items" get >>"$LAB/get.ntm"
		lab_root b rm "$(lab_home b)/large"
	done
	note "MB/s: up $(rate "$LAB/put.ntm"), nginx $(rate "$LAB/put.nginx");" \
		"down $(rate "$LAB/get.ntm"), nginx $(rate "$LAB/get.nginx")"
	figure exchange.up-of-nginx "$(ratio "$(median "$LAB/put.nginx")" \
		"$(median "$LAB/put.ntm")")" x ">=" 0.8
	figure exchange.down-of-nginx "$(ratio "$(median "$LAB/get.nginx")" \
		"$(median "$LAB/get.ntm")")" x ">=" 0.8
	for h in a b; do
		memory=$(awk '/^VmHWM/ { print $2 / 1024 }' "/proc/$(post_pid $h)/status")
		figure "exchange.memory-$h" "$memory" MiB "<=" 32
	done
	lab_stop nginx
	lab_root a rm "$(lab_home a)/large"
}

# --- a list: nobody has fetched them ----------------------------------------------------

list()
{
	local round
	# what waits is not fetched; alone, nobody was allowed before
	lab_as_user b ntm allow -r alice >/dev/null 2>&1 || true
	lab_root a "$items" fill "$(state_dir a)/session" "$WAITING" "$NTM_B" \
		"$(server_dir server)" 10.9.0.3
	wait_for 60 '[ "$(lab_as_user b ntm inbox | wc -l)" -gt '"$WAITING"' ]'
	for round in $(seq "$BENCH_ROUNDS"); do
		lab_root b "$items" list "$(state_dir b)/session" "$(server_dir server)" 10.9.0.3 \
			>>"$LAB/list.box"
		seconds lab_as_user b ntm inbox >>"$LAB/list.ntm"
		seconds lab_as_user b true >>"$LAB/list.true"
	done
	note "ntm inbox without what the lab needs to start a program there:" \
		"$(median "$LAB/list.ntm") - $(median "$LAB/list.true") s"
	figure exchange.list-at-box "$(awk -v s="$(median "$LAB/list.box")" \
		'BEGIN { print s * 1000 }')" ms "<=" 100
	figure exchange.list-ntm-inbox "$(awk -v s="$(median "$LAB/list.ntm")" \
		-v t="$(median "$LAB/list.true")" 'BEGIN { print (s - t) * 1000 }')" ms "<=" 100
}

# --- small items ------------------------------------------------------------------------

# Every process of the path: on a and b, and all of the server's.
spent()
{
	local h what pid names=()
	for h in a b; do
		for what in post worker broker; do
			for pid in $(lab_pids $h ntm-$what); do
				names+=("$h:ntm-$what:$pid")
			done
		done
	done
	for pid in $(pgrep -f "ntm-server run"); do
		names+=("server:$(cat "/proc/$pid/comm"):$pid")
	done
	"$items" spend "${names[@]}"
}

# counted HOW COMMAND...: adds items a CPU second and items a second, and whose the CPU
# seconds were
counted()
{
	local how=$1 begun ms
	shift
	echo 0 >"$BENCH_OUT/spawned"
	lab_give "$BENCH_OUT/spawned"
	spent >"$LAB/before"
	begun=$(lab_now)
	"$@"
	ms=$(lab_ms_since "$begun")
	spent >"$LAB/after"
	echo "sends $(tail -n 1 "$BENCH_OUT/spawned") 0" >>"$LAB/after"
	awk -v n="$SMALL" '
		NR == FNR { user[$1] -= $2; kernel[$1] -= $3; next }
		{ user[$1] += $2; kernel[$1] += $3 }
		END {
			for (who in user)
				printf "%s %.3f %.3f\n", who, user[who] * 1000 / n,
					kernel[who] * 1000 / n
		}' "$LAB/before" "$LAB/after" >"$LAB/spent"
	cat "$LAB/spent" >>"$LAB/small.$how.whose"
	awk '{ ms += $2 + $3 } END { print 1000 / ms }' "$LAB/spent" \
		>>"$LAB/small.$how.core"
	awk -v n="$SMALL" -v ms="$ms" 'BEGIN { print n * 1000 / ms }' >>"$LAB/small.$how.wall"
}

# whose HOW: CPU milliseconds an item, of each process: as a program, in the kernel
whose()
{
	note "$1, ms an item:" "$(awk -v n="$BENCH_ROUNDS" '
		{ user[$1] += $2 / n; kernel[$1] += $3 / n }
		END {
			for (who in user)
				if (user[who] + kernel[who] > 0.01)
					printf "%s %.2f+%.2f\n", who, user[who], kernel[who]
		}' "$LAB/small.$1.whose" | sort | paste -sd,)"
}

# Both are online: straight.
straight()
{
	lab_as_user a "$items" "$1" "$SMALL" "$NTM_B" >"$BENCH_OUT/spawned"
}

# b is off: the Cache Server has them; then it comes back. Its start counts, too.
away()
{
	lab_as_user a "$items" queue "$SMALL" "$NTM_B" >/dev/null
	ntm_up b
	lab_as_user a "$items" "done" "$SMALL"
}

small_all()
{
	local round how
	lab_as_user b ntm allow alice >/dev/null
	for round in $(seq "$BENCH_ROUNDS"); do
		for how in send spawn; do
			counted $how straight $how
		done
		lab_stop keep-b
		lab_as_user b ntm down >/dev/null
		counted away away
		hold b
		sleep 4 # b was off: it is not looked for again within 3 s (ABSENT_S)
	done
	note "small items a second on the clock, all on these CPUs: by the Cache Server" \
		"$(median "$LAB/small.away.wall"), straight $(median "$LAB/small.send.wall")," \
		"by \`ntm send\` $(median "$LAB/small.spawn.wall")"
	for how in away send spawn; do
		whose $how
	done
	figure exchange.small-per-core "$(median "$LAB/small.away.core")" 1/s ">=" 200
	figure exchange.small-straight "$(median "$LAB/small.send.core")" 1/s ">=" 200
	figure exchange.small-ntm-send "$(median "$LAB/small.spawn.core")" 1/s ">=" 200
}

[[ large == "$part"* ]] && large
[[ small == "$part"* ]] && small_all
[[ list == "$part"* ]] && list # last: it fills b's place at the box
ok "measured"
