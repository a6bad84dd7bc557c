#!/bin/bash
# SPDX-License-Identifier: MIT
# install - what `make install` puts in a home folder works there, each program has its
# manual page, and `make uninstall` leaves nothing behind
set -eu
cd "$(dirname "$0")/../../.."
: "${O:=build}"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

fail()
{
	echo "not ok - $*"
	exit 1
}

# A shell that is no bash leaves the ~ to us.
to=(DESTDIR="$tmp/root" PREFIX='~/.local' HOME=/home/alice)
make -s -o all O="$O" "${to[@]}" install
prefix=$tmp/root/home/alice/.local
for program in ntm ntm-run ntm-group ntm-broker ntm-server; do
	"$prefix/bin/$program" --version | grep -q "^$program [0-9]" ||
		fail "$program does not tell its version"
	find "$prefix/share/man" -name "$program.[18]" | grep -q . ||
		fail "$program has no manual page"
done
[ -x "$prefix/libexec/ntm/ntm-worker" ] || fail "there is no worker"
[ -x "$prefix/libexec/ntm/ntm-portmap" ] || fail "nobody asks the router"
[ -x "$prefix/libexec/ntm/ntm-post" ] || fail "nobody sends items"
[ -x "$prefix/libexec/ntm/ntm-member" ] || fail "nobody is in a group"
for doc in $(grep -o 'docs/[a-z.-]*[a-z]' README.md | sort -u); do
	[ -s "$prefix/share/doc/ntmobile/${doc#docs/}" ] || fail "the README names $doc"
done
# A program of somebody else's, with the installed header and library.
flags=$(PKG_CONFIG_PATH=$prefix/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$tmp/root \
	pkg-config --cflags --libs ntmclient) || fail "there is no ntmclient.pc"
# shellcheck disable=SC2086
"${CC:-cc}" ${SAN:+-fsanitize=$SAN} -Wall -Wextra -Werror -o "$tmp/notes" "$prefix/share/doc/ntmobile/example-items.c" \
	$flags || fail "the example of ntmclient.h does not compile"
said=$(XDG_RUNTIME_DIR=$tmp LD_LIBRARY_PATH=$prefix/lib "$tmp/notes" sent 2>&1) &&
	fail "items without a broker"
[[ $said == *"no broker is running"* ]] || fail "without a broker the example says: $said"
nm -D --defined-only "$prefix/lib/libntmclient.so" | grep -v ' ntm_items_' &&
	fail "the library shows more than its header"
for f in $(sed -n 's/.*[ *]\(ntm_items_[a-z_]*\)(.*/\1/p' "$prefix/include/ntmclient.h" | grep -v "_fn$" | sort -u); do
	nm -D --defined-only "$prefix/lib/libntmclient.so" | grep -q " T $f$" ||
		fail "the library has no $f"
	grep -q "^.Fn $f " "$prefix/share/man/man3/ntmclient.3" ||
		fail "ntmclient(3) does not name $f"
done
"$prefix/bin/ntm" env | grep -qF "$prefix/lib/libntm.so" ||
	fail "ntm env does not name the library beside it"
! grep -r '@[A-Z]*@' "$prefix/lib/systemd" "$prefix/share" ||
	fail "a file was not filled in"
grep -q "/home/alice/.local/bin/ntm-broker " \
	"$prefix/share/doc/ntmobile/apparmor/ntm-broker" ||
	fail "the AppArmor profile names another program"
cp "$prefix/bin/ntm" "$tmp/alone"
said=$(XDG_RUNTIME_DIR=$tmp "$tmp/alone" up 2>&1) && fail "a broker from nowhere"
[[ $said == *"ntm-broker is not beside this program"* ]] ||
	fail "a program without its broker says: $said"
make -s -o all O="$O" "${to[@]}" uninstall
left=$(find "$prefix" -mindepth 1)
[ -z "$left" ] || fail "left behind: $left"
