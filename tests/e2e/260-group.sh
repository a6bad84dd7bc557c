#!/bin/bash
# SPDX-License-Identifier: MIT
# 260-group - two devices: founded, invited while both are online, accepted, in; both show
# one code, aloud and as a QR code, say when the next renewal is, and key openssl alike
. "$(dirname "$0")/../lab/lab.sh"
. "$LAB_SRC/tests/lab/ntm.sh"
. "$LAB_SRC/tests/lab/groups.sh"
. "$LAB_SRC/tests/lab/faults.sh"

groups_nodes a=laptop.alice b=desk.alice
B=${NTM_NAME[b]}

assert_contains "$(group a list)" "in no group" "at first there is none"
group a create band >"$LAB/out" 2>&1 || not_ok "no group: $(cat "$LAB/out"; group a status)"
group_in 5 a band 1
group_joins b band a "$B"
group_in 30 b band 2
group_in 10 a band 2
assert_eq "$(group a verify band | head -n 1)" "$(group b verify band | head -n 1)" \
	"both show the same code"
assert_eq "$(group a export band test 32)" "$(group b export band test 32)" "and export one key"

# --- what is due
assert_between "$(group_get a band .renewal_s)" 3400 3600 "s until the server renews it"
assert_between "$(group_get a band .refresh_s)" 86200 86400 "and the members"
assert_contains "$(group a status band)" "every 3600 s by the server, next in 3" "in words"

# --- the QR code: two rows of modules in a line of the terminal, as a camera would read it
group a verify band --qr >"$LAB/qr"
python3 - "$LAB/qr" >"$LAB/qr.pbm" <<'END'
import re, sys
lines = [re.sub("\033[^m]*m", "", l.rstrip("\n")) for l in open(sys.argv[1], encoding="utf-8")
         if l.startswith("\033[30;107m")]
rows = []
for l in lines:
    rows += ["".join(str(int(c in "\u2588\u2580")) for c in l),
             "".join(str(int(c in "\u2588\u2584")) for c in l)]
big = ["".join(m * 4 for m in r) for r in rows for _ in range(4)]
print("P1", len(big[0]), len(big))
print("\n".join(big))
END
assert_eq "$(zbarimg -q --raw "$LAB/qr.pbm" 2>"$LAB/out")" \
	"ntm-group:band:$(group_get b band .epoch):$(group b verify band --json | jq -r .code)" \
	"what a reads out of its QR code is the code of b"

# --- a program's key: sealed at one, opened at the other
sealing()
{
	local host=$1
	shift
	lab_as_user "$host" openssl enc -aes-256-ctr -pbkdf2 "$@" \
		-pass "pass:$(group "$host" export band files 32)"
}
echo "only for the band" | sealing a >"$LAB/sealed"
assert_fails "it is sealed" grep -q band "$LAB/sealed"
assert_eq "$(sealing b -d <"$LAB/sealed")" "only for the band" "openssl opens it at b"
