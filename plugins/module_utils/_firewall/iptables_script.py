# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What the iptables provider has a shell do: load, remove and list. It needs iptables, ipset and POSIX tools.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import re
from typing import Mapping, Sequence

from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.command import PATH

#: What every ruleset and the inspection begin with. @TAG@ and @CHAIN@ are the names of what is ours.
_FUNCTIONS = r"""
set -eu
export LC_ALL=C PATH=@PATH@
# A host can have two kinds of tables, nft and legacy. "iptables" is one; the other may hold rules from before a switch.
other=-legacy
case $(iptables --version) in *nf_tables*) ;; *) other=-nft ;; esac

# The table filter of a command. To list a legacy table that is not there would make it.
table() {
    command -v "$1-save" >/dev/null || return 0
    names=/proc/net/ip_tables_names
    case $1 in ip6*) [ -e /proc/net/if_inet6 ] || return 0; names=/proc/net/ip6_tables_names ;; esac
    case $("$1" --version) in *nf_tables*) ;; *) grep -qsx filter $names || return 0 ;; esac
    "$1-save" ${2-} -t filter
}
# Replaces the chains of a command by those that a function prints and has the jump first: in one transaction.
put() {
    now=$(table "$1")
    {
        echo '*filter'
        "$2"
        printf '%s\n' "$now" | sed -n 's/^-A OUTPUT -j @CHAIN@$/-D OUTPUT -j @CHAIN@/p'
        echo '-I OUTPUT 1 -j @CHAIN@'
        echo COMMIT
    } | "$1-restore" --noflush --wait
}
# Takes jump and chains out of a command's table: in one transaction.
off() {
    now=$(table "$1")
    now=$(printf '%s\n' "$now" | sed -n -e 's/^-A \(OUTPUT -j @CHAIN@\)$/-D \1/p' \
        -e '/^:@CHAIN@/{s/^:\([^ ]*\).*/-F \1/p;s/-F/-X/p;}' | sort)
    [ -z "$now" ] || printf '*filter\n%s\nCOMMIT\n' "$now" | "$1-restore" --noflush --wait
}
# Destroys our sets but those named. The kernel lets go of sets some time after the rules that named them went.
tidy() {
    for set in $(ipset list -name | grep '^@TAG@[_+]'); do
        case " $* " in *" $set "*) continue ;; esac
        tries=100
        until said=$(ipset destroy "$set" 2>&1); do
            tries=$((tries - 1))
            [ $tries -gt 0 ] || { echo "set $set: $said" >&2; exit 1; }
            sleep 0.05
        done
    done
}
"""
_NOTHING = r"""
for command in iptables iptables$other ip6tables ip6tables$other; do off $command; done
tidy
# Rules that somebody had saved cannot be restored at boot, none of them, where they name sets that are no more.
for file in /etc/iptables/rules.v4 /etc/iptables/rules.v6 /etc/iptables/ipsets \
    /etc/sysconfig/iptables /etc/sysconfig/ip6tables /etc/sysconfig/ipset; do
    ours='^:@CHAIN@|^(\[[0-9:]*\] )?-A (OUTPUT -j )?@CHAIN@|^(create|add) @TAG@[_+]'
    if grep -qsE "$ours" $file; then sed -i -E "/$ours/d" $file; fi
done
"""
_LOAD = r"""
{ sets; members; } | ipset -exist restore
[ "${1-}" != sets ] || exit 0
put iptables chains4
[ ! -e /proc/net/if_inet6 ] || put ip6tables chains6
off iptables$other
off ip6tables$other
# Exactly these members: built aside and swapped.
{
    sets | sed 's/@TAG@_/@TAG@+/'
    sets | sed 's/^create @TAG@_\([^ ]*\).*/flush @TAG@+\1/'
    members | sed 's/@TAG@_/@TAG@+/'
    sets | sed 's/^create @TAG@_\([^ ]*\).*/swap @TAG@+\1 @TAG@_\1/'
} | ipset -exist restore
tidy $(sets | cut -d ' ' -f 2)
"""
_INSPECT = r"""
for command in iptables iptables$other ip6tables ip6tables$other; do echo "> $command"; table $command -c; done
echo '> ipset'
ipset save | grep '^[a-z]* @TAG@[_+]' || :
"""


def _with(tag: str, text: str) -> str:
    return (_FUNCTIONS + text).replace("@TAG@", tag).replace("@CHAIN@", tag.upper()).replace("@PATH@", PATH)


def nothing(tag: str) -> str:
    """Takes all that is ours off."""
    return "#!/bin/sh\n" + _with(tag, _NOTHING)


def inspection(tag: str) -> str:
    """Lists the table filter of every command after a line ``> COMMAND``, and our sets after ``> ipset``."""
    return _with(tag, _INSPECT)


def sets_unit(ruleset: str) -> str:
    """The systemd unit that makes the sets of a ruleset's file before saved rules are restored: rules that name a set
    which is not there are not restored, nor is any other of their table."""
    return f"""\
# Written by the Ansible collection ibm_quantum.platform; changes are overwritten.
[Unit]
Description=Sets of the egress allowlist of the IBM Quantum Platform
DefaultDependencies=no
RequiresMountsFor={ruleset}
Before=netfilter-persistent.service iptables.service ip6tables.service shutdown.target
Conflicts=shutdown.target

[Service]
Type=oneshot
ExecStart=/bin/sh {ruleset} sets
"""


def script(tag: str, sets: Mapping[str, Sequence[str]], chains: Mapping[int, Sequence[str]]) -> str:
    """Has these sets with these members, and the chains with these rules, by IP version; with the argument ``sets``
    the sets only, members of before included."""
    creates = []
    for name in sets:
        kind = "net" if re.search("_n[46]$", name) else "ip"
        family = "inet6" if re.search("_[vn]6(_|$)", name) else "inet"
        creates.append(f"create {name} hash:{kind} family {family} maxelem 1048576")
    names = [f":{tag.upper()}{end} - [0:0]" for end in ("", "_RULES")]
    parts = {
        "sets": creates,
        "members": [f"add {name} {member}" for name, members in sets.items() for member in members],
        **{f"chains{version}": [*names, *lines] for version, lines in chains.items()},
    }
    texts = [
        f"{part}() {{ cat <<'END'\n{''.join(line + chr(10) for line in lines)}END\n}}\n"
        for part, lines in parts.items()
    ]
    return "#!/bin/sh\n" + "".join(texts) + _with(tag, _LOAD)
