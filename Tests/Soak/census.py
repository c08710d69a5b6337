"""What there is in this harness's namespaces, to be compared: nothing may be left behind."""

import os
import socket
import struct

from processes import all_pids, stat, text, tree


def strays(root, known):
    """Processes that belong neither to the harness nor to the workload's tree."""
    ours = set(tree(root)) | {1} | set(known)
    for pid in known:
        ours |= set(tree(pid))
    return {pid: words(pid) for pid in all_pids() if pid not in ours and stat(pid)}


def words(pid):
    found = stat(pid) or ["gone"]
    command = text(f"/proc/{pid}/cmdline").replace("\0", " ").strip() or text(f"/proc/{pid}/comm").strip()
    return f"{command[:60]} ({found[0]})"


def runs(pid, program):
    try:
        return os.readlink(f"/proc/{pid}/exe") == program
    except OSError:
        return False


def tables():
    """Names of nf_tables tables: packet locks."""
    found = set()
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as netlink:  # NETLINK_NETFILTER
        netlink.settimeout(5)
        # nlmsghdr: NFT_MSG_GETTABLE of the subsystem nf_tables, NLM_F_REQUEST|NLM_F_DUMP; nfgenmsg
        netlink.send(struct.pack("=IHHII", 20, 0xA01, 0x301, 1, 0) + bytes(4))
        while True:
            data = netlink.recv(65536)
            while data:
                length, kind = struct.unpack_from("=IH", data)
                if kind in (2, 3):  # NLMSG_ERROR, NLMSG_DONE
                    return found
                at = 20
                while at < length:
                    size, attribute = struct.unpack_from("=HH", data, at)
                    if attribute == 1:  # NFTA_TABLE_NAME
                        found.add(data[at + 4 : at + size].rstrip(b"\0").decode())
                    at += max(4, (size + 3) & ~3)
                data = data[(length + 3) & ~3 :]


def files(folders, without):
    found = set()
    for folder in folders:
        for place, names, others in os.walk(folder):
            names[:] = [name for name in names if f"{place}/{name}" not in without]
            found |= {f"{place}/{name}" for name in names + others}
    return found


def cgroups(roots):
    return {place for root in roots for place, _, _ in os.walk(root)}


def system_v(kind):
    return {f"{kind} {line.split()[1]}" for line in text(f"/proc/sysvipc/{kind}").splitlines()[1:]}


def sockets():
    """Abstract UNIX names, and TCP and UDP sockets that are bound or connected."""
    found = {line.split()[7] for line in text("/proc/net/unix").splitlines()[1:] if " @" in line}
    for kind in ("tcp", "tcp6", "udp", "udp6", "raw", "raw6", "packet"):
        for line in text(f"/proc/net/{kind}").splitlines()[1:]:
            parts = line.split()
            # TIME_WAIT is the kernel's own, and passes.
            if not (kind.startswith("tcp") and parts[3] == "06"):
                found.add(f"{kind} {' '.join(parts[1:4])}")
    return found


class Census:
    """Everything but tasks that dumps and restores could leave behind."""

    def __init__(self, folders, without, groups):
        self.found = {
            "mount": set(text("/proc/self/mountinfo").splitlines()),
            "descriptor": {f"fd {name}" for name in os.listdir("/proc/self/fd")},
            "file": files(folders, without),
            "cgroup": cgroups(groups),
            "System V object": system_v("shm") | system_v("sem") | system_v("msg"),
            "socket": sockets(),
            "packet lock": tables(),
            "interface": {name for _, name in socket.if_nameindex()},
        }

    def more_than(self, other):
        """What is here and was not there; and mounts that are gone."""
        lines = [
            f"{kind} left: {thing}"
            for kind, things in self.found.items()
            for thing in sorted(things - other.found[kind])
        ]
        return lines + [f"mount gone: {thing}" for thing in sorted(other.found["mount"] - self.found["mount"])]


# Facts of tasks

STATUS = (
    "PPid Uid Gid Groups Umask NSpgid NSsid SigBlk SigIgn SigCgt CapInh CapPrm CapEff CapBnd CapAmb NoNewPrivs Seccomp"
).split()


def facts(pids):
    """What /proc says of processes that a dump which failed must leave as it was."""
    found = {}
    for pid in pids:
        folder = f"/proc/{pid}"
        for line in text(f"{folder}/status").splitlines():
            name, _, value = line.partition(":")
            if name in STATUS:
                found[pid, name] = value.strip()
        for name in ("cmdline", "limits", "oom_score_adj", "personality", "timerslack_ns", "cgroup", "auxv"):
            found[pid, name] = text(f"{folder}/{name}")
        found[pid, "maps"] = "\n".join(line.rstrip() for line in text(f"{folder}/maps").splitlines())
        for name, key in (("task", "tasks"), ("fd", "descriptors")):
            try:
                found[pid, key] = " ".join(sorted(os.listdir(f"{folder}/{name}"), key=int))
            except OSError:
                found[pid, key] = "gone"
        for task in found[pid, "tasks"].split():
            if task != "gone":
                state = stat(f"{pid}/task/{task}")
                found[pid, f"task {task} stopped"] = str(bool(state) and state[0] in "Tt")
    return found


def stable(before, after):
    """Facts that stand still."""
    return {key: value for key, value in before.items() if after.get(key) == value}


def differences(expected, now, killed=False):
    """What has changed. An engine that was killed may leave its memory in a process of several threads; and memory and mask
    in a stopped one, which undoes both when it goes on."""
    lines = []
    for (pid, name), value in sorted(expected.items()):
        found = now.get((pid, name))
        if killed and name in ("maps", "SigBlk"):
            tasks = expected.get((pid, "tasks"), "").split()
            is_stopped = any(expected.get((pid, f"task {task} stopped")) == "True" for task in tasks)
            if name == "SigBlk" and is_stopped:
                continue
            if name == "maps" and found and (is_stopped or len(tasks) > 1):
                kept = [line for line in found.splitlines() if line in value or not line.endswith("rwxp 00000000 00:00 0")]
                found = "\n".join(kept)
        if found != value:
            was, became = set(value.splitlines()), set(str(found).splitlines())
            lines.append(f"{pid} {name}: {sorted(was - became)[:4]} became {sorted(became - was)[:4]}")
    return lines


def dying(pids):
    """Whether one of them is about to end: SIGKILL is on its way, or it does (PF_EXITING)."""
    for pid in pids:
        found = stat(pid)
        if found and found[0] != "Z" and int(found[6]) & 4:
            return True
        for line in text(f"/proc/{pid}/status").splitlines():
            if line.startswith(("SigPnd:", "ShdPnd:")) and int(line.split()[1], 16) & 0x100:
                return True
    return False


def traced(pids):
    """Tasks that somebody traces or that stand in a tracer's stop."""
    found = []
    for pid in pids:
        try:
            tasks = os.listdir(f"/proc/{pid}/task")
        except OSError:
            continue
        for task in tasks:
            folder = f"/proc/{pid}/task/{task}"
            tracer = [line.split()[1] for line in text(f"{folder}/status").splitlines() if line.startswith("TracerPid:")]
            state = stat(f"{pid}/task/{task}")
            if tracer not in ([], ["0"]) or (state and state[0] == "t"):
                found.append(f"task {task} of {pid} is traced by {tracer}, state {state and state[0]}")
    return found
