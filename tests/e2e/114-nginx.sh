#!/bin/bash
# SPDX-License-Identifier: MIT
# 114-nginx - a user's nginx with several workers serves peers and its own network
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"

ntm_pair
home=$(lab_home b)
mkdir -p "$LAB/www"
head -c 1000000 /dev/urandom >"$LAB/www/big"
echo small >"$LAB/www/small"

# nginx_conf WORKERS [LISTEN OPTION]
nginx_conf()
{
	cat >"$home/nginx.conf" <<-END
	daemon off;
	worker_processes $1;
	pid $home/nginx.pid;
	error_log $home/error.log notice;
	events { worker_connections 256; }
	http {
		log_format from '\$remote_addr \$server_addr \$pid \$request_uri';
		access_log $home/access.log from;
		client_body_temp_path $home/tmp;
		proxy_temp_path $home/tmp;
		fastcgi_temp_path $home/tmp;
		uwsgi_temp_path $home/tmp;
		scgi_temp_path $home/tmp;
		sendfile on;
		keepalive_requests 2;
		server {
			listen 8080 ${2-};
			listen [::]:8080 ${2-};
			root $LAB/www;
		}
	}
	END
	lab_give "$home/nginx.conf"
}

serve()
{
	ntm_start nginx b nginx -e "$home/error.log" -c "$home/nginx.conf"
	wait_for 5 'ntm_listens b tcp 8080'
}

# source NEEDLE FIELD: of the last line of the log with this in it
logged()
{
	wait_for 2 "grep -q '$1' '$home/access.log'"
	grep "$1" "$home/access.log" | tail -n 1 | cut -d ' ' -f "$2"
}

nginx_conf 3
serve
for family in 4 6; do
	ntm_carried a 1000 1000000 ntm_run a curl -sS -$family \
		"http://$B:8080/big?$family"
	cmp "$LAB/out" "$LAB/www/big"
	ok "the file is whole, IPv$family"
	assert_eq "$(logged "big?$family" 1)" "${NTM_VIP[a.$family]}" \
		"\$remote_addr is the virtual IPv$family address"
	assert_eq "$(logged "big?$family" 2)" "${NTM_VIP[b.$family]}" \
		"\$server_addr is virtual, too"
done

# Many connections at a time (two requests each), and whoever came from outside.
for family in 4 6; do
	ntm_run a curl -sS -$family -Z --parallel-max 20 -o /dev/null \
		"http://$B:8080/small?many$family-[1-60]"
	wait_for 3 "[ \$(grep -c 'many$family-' '$home/access.log') = 60 ]"
	assert_eq "$(grep "many$family-" "$home/access.log" |
		cut -d ' ' -f 1 | sort -u)" "${NTM_VIP[a.$family]}" \
		"60 requests, 20 at a time, all from the virtual IPv$family address"
done
lab_as_user server curl -sS -o /dev/null http://10.3.0.2:8080/small?real
assert_eq "$(logged 'small?real' 1)" 10.1.0.2 \
	"a host without NTMobile reaches the same server where it always was"
lab_as_user b curl -sS -o /dev/null http://127.0.0.1:8080/small?self
assert_eq "$(logged 'small?self' 1)" 127.0.0.1 "and so does its own host"

# A reload: new workers on the old listeners.
old=$(logged 'small?self' 3)
kill -HUP "$(cat "$home/nginx.pid")"
wait_for 5 "! kill -0 $old"
ntm_run a curl -sS "http://$B:8080/small?reloaded" >/dev/null
assert_virtual "$(logged 'small?reloaded' 1)" "after a reload it serves on"
lab_stop nginx

# One listener per worker.
nginx_conf 2 reuseport
serve
ntm_run a curl -sS -4 -Z --parallel-max 20 -o /dev/null \
	"http://$B:8080/small?port-[1-40]"
wait_for 3 "[ \$(grep -c 'port-' '$home/access.log') = 40 ]"
assert_eq "$(grep 'port-' "$home/access.log" | cut -d ' ' -f 1 | sort -u)" \
	"${NTM_VIP[a.4]}" "with reuseport, one listener a worker"
assert_lacks "$(cat "$home/error.log")" "[alert]" "nothing alarmed nginx"
