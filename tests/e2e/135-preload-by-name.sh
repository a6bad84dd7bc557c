#!/bin/bash
# SPDX-License-Identifier: MIT
# 135-preload-by-name - after `ntm up`, LD_PRELOAD=libntm.so in a script is enough
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"

ntm_pair
ntm_web b 8000
echo "from the peer" >"$LAB/www/page"
cat >"$LAB/by-name" <<END
#!/bin/sh
LD_PRELOAD=libntm.so curl -sS http://$B:8000/page?bare
export LD_PRELOAD=libntm.so
wget -q -O - http://$B:8000/page?exported
unset LD_PRELOAD
eval "\$(ntm env)"
curl -sS http://$B:8000/page?env
unset LD_PRELOAD
curl -sS --max-time 5 http://$B:8000/page?without || echo "status \$?"
END
chmod 755 "$LAB/by-name"
out=$(lab_as_user a "$LAB/by-name" 2>/dev/null)
assert_eq "$(head -n 3 <<<"$out" | sort -u)" "from the peer" \
	"by bare name, exported, and by ntm env"
assert_eq "$(tail -n 1 <<<"$out")" "status 6" "without it the name is unknown"
for how in bare exported env; do
	assert_virtual "$(ntm_web_seen "page?$how")" "$how: the server's log"
done

# Another preloaded library stays in place, before ours. (A sanitized ntm-run would
# else insist on its runtime being the first.)
export ASAN_OPTIONS=${ASAN_OPTIONS-}:verify_asan_link_order=0
assert_eq "$(lab_as_user a env ASAN_OPTIONS="$ASAN_OPTIONS" \
	LD_PRELOAD=libm.so.6 ntm-run sh -c \
	'echo "$LD_PRELOAD"' | cut -d : -f 1)" libm.so.6 \
	"ntm-run appends to LD_PRELOAD"
assert_contains "$(lab_as_user a env ASAN_OPTIONS="$ASAN_OPTIONS" \
	LD_PRELOAD=libm.so.6 ntm-run \
	cat /proc/self/maps)" libntm.so "and is loaded"
