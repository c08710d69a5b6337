# What the workloads written in bash share; the protocol is in ../README.md. Sourced: installed beside each script.
# shellcheck shell=bash
set -u
workload_directory=$PWD
workload_count=0

workload_event() { printf '%s\n' "$1" >>"$workload_directory/status"; }

workload_fail() {
    workload_event "failed: $1"
    exit 1
}

# No truncation: a reader never finds an empty file.
workload_progress() {
    workload_count=$((workload_count + 1))
    printf '%020d\n' "$workload_count" 1<>"$workload_directory/progress"
}

workload_verify_requested() { [ -e "$workload_directory/verify" ]; }

# True once, after some healthy steps, when CRLAB_BREAK=1 asks for damage.
workload_break_now() {
    [ "${CRLAB_BREAK:-0}" = 1 ] && [ "$workload_count" -ge 3 ] || return 1
    CRLAB_BREAK=0
}
