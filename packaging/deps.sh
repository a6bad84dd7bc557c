#!/bin/bash
# SPDX-License-Identifier: MIT
#
# deps - installs the Debian packages of the named groups that are missing
#
# Usage: packaging/deps.sh [-n] build|test|bench|demo ...
#   -n  only name what is missing; exit 1 if anything is
#
# Silent when nothing is missing.  Services that come with a package (nginx,
# redis, sshd, openvpn) are neither started nor left enabled: the tests run
# their own, inside namespaces.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
list=$here/debian-packages
policy=/usr/sbin/policy-rc.d
arch=$(dpkg --print-architecture)
dry=
[ "${1-}" = -n ] && { dry=1; shift; }
[ $# -gt 0 ] || { sed -n '5,7s/^# //p' "$0" >&2; exit 2; }

fail()
{
	echo "deps: $*" >&2
	exit 1
}

# The packages of the groups in "$@", each once.
wanted()
{
	local group
	for group; do
		grep -q "^$group " "$list" || fail "no group '$group' in $list"
		sed -n "s/^$group\\(-$arch\\)\\{0,1\\}  *//p" "$list"
	done | sort -u
}

# Those of "$@" that dpkg does not hold as installed.
missing()
{
	{ dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null || :
	} |
		awk '$1 == "installed" { print $2 }' | sort -u |
		comm -13 - <(printf '%s\n' "$@" | sort -u)
}

as_root()
{
	if [ "$(id -u)" = 0 ]; then
		"$@"
	else
		sudo "$@"
	fi
}

# Shows how far apt is, from its status lines: in place on a terminal, else a line
# at each quarter.
show_progress()
{
	local tty=
	[ ! -t 1 ] || tty=1
	awk -F: -v tty=$tty '
	/^(dl|pm)status:/ {
		what = /^dl/ ? "downloading" : "installing"
		step = int($3 / (tty ? 1 : 25))
		if (what step == shown)
			next
		shown = what step
		if (tty)
			printf "\r\033[Kdeps: %s %d %%", what, $3
		else if (step > 0)
			printf "deps: %s %d %%\n", what, step * 25
		fflush()
	}
	END { if (tty) printf "\r\033[K" }'
}

# The status has a descriptor of its own: apt makes it non-blocking, and package
# scripts fail where their output is. It is made behind sudo, which closes ours.
install_packages()
{
	as_root sh -c 'exec "$@" 3>&1 >&2' - \
		env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y \
		--no-install-recommends -o Dpkg::Use-Pty=0 \
		-o APT::Status-Fd=3 "$@" 2>"$log" | show_progress
}

# Package scripts ask policy-rc.d before they start a service; 101 forbids.
forbid_services()
{
	[ -e "$policy" ] && return
	printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
	as_root chmod 755 "$policy"
	placed=1
}

# Keep the services of packages that were just installed off at the next boot.
disable_services()
{
	local package unit
	command -v systemctl >/dev/null || return 0
	for package; do
		case $package in
		nginx-light) unit=nginx ;;
		openssh-server) unit=ssh ;;
		redis-server) unit=redis-server ;;
		openvpn) unit=openvpn ;;
		*) continue ;;
		esac
		as_root systemctl disable -q "$unit" 2>/dev/null || true
	done
}

# failed TEXT: and what apt said to it
failed()
{
	{ grep -m 5 -E '^(E:|W:|Err:|dpkg: error|sudo:)' "$log" ||
		tail -n 5 "$log"; } | cut -c1-200 >&2
	trap 'keep=1; cleanup' EXIT
	fail "$* (all that apt said is in $log)"
}

cleanup()
{
	[ -z "$placed" ] || as_root rm -f "$policy"
	[ -n "$keep" ] || rm -f "$log"
}

[ -r /etc/debian_version ] && command -v apt-get >/dev/null ||
	fail "this is not a Debian system; INSTALL names what to install by hand"
names=$(wanted "$@")
packages=$(missing $names)
[ -n "$packages" ] || exit 0
if [ -n "$dry" ]; then
	echo "missing:" $packages
	exit 1
fi
if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
	fail "not root and sudo is not installed; as root run: apt-get install" \
		$packages
fi

echo "deps: $(wc -w <<<"$packages") packages by apt:" $packages
placed='' keep=''
log=$(mktemp)
trap cleanup EXIT
trap 'exit 130' INT TERM
forbid_services
# The package lists are refreshed only when what they say does not suffice.
if ! install_packages $packages; then
	echo "deps: refreshing the package lists"
	as_root apt-get update -qq >"$log" 2>&1 ||
		failed "apt-get update failed; is the network there?"
	install_packages $packages ||
		failed "apt-get could not install the packages"
fi
disable_services $packages
still=$(missing $packages)
[ -z "$still" ] || fail "still missing after installation:" $still
