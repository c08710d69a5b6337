# What the driver and the check of the redis workload share. Few processes and few round trips: guests are slow.
# shellcheck shell=bash
redis_port=${CRLAB_REDIS_PORT:-16379}
redis_keys=400
redis_batch=50

redis() { redis-cli -h 127.0.0.1 -p "$redis_port" "$@"; }

# Sets `value` for key $1 under the seed; long ones now and then, so that more than one size class is used.
redis_value() {
    local number=$(((($1 * 2654435761 + ${CRLAB_SEED:-1}) * 40503) & 0xFFFFFFFF))
    if [ $(($1 % 50)) = 0 ]; then printf -v value '%0200d' "$number"; else value=$number; fi
}

redis_fill() {
    local key end value strings ranking list
    for ((key = 0; key < redis_keys; )); do
        strings=MSET ranking='ZADD ranking' list='RPUSH list'
        for ((end = key + redis_batch; key < end; key++)); do
            redis_value "$key"
            strings+=" key:$key $value" ranking+=" $key member:$key" list+=" item:$key"
        done
        printf '%s\n' "$strings" "$ranking" "$list"
    done
}

redis_questions() {
    local key end question
    for ((key = 0; key < redis_keys; )); do
        question=MGET
        for ((end = key + redis_batch; key < end; key++)); do question+=" key:$key"; done
        printf '%s\n' "$question"
    done
    printf '%s\n' 'ZCARD ranking' 'LLEN list' 'ZSCORE ranking member:77' 'LINDEX list -1'
}

# What the server must answer to redis_questions, one line each.
redis_expected() {
    local key value
    for ((key = 0; key < redis_keys; key++)); do
        redis_value "$key"
        printf '%s\n' "$value"
    done
    printf '%s\n' "$redis_keys" "$redis_keys" 77 "item:$((redis_keys - 1))"
}

# All writes that were acknowledged are still there, and the command given, one more write, is answered with $1; says what
# is wrong. One connection for all of it, because a start of redis-cli takes a tenth of a second in a guest. Questions and answers were written down once:
# working them out again would take a shell in a guest longer than the whole restore of the server.
redis_check() {
    local all wanted line
    local -a answers expected
    all=$(printf '%s\n' "$(<questions)" "${*:2}" | redis 2>&1)
    wanted=$(<expected)$'\n'$1
    [ "$all" != "$wanted" ] || return 0
    mapfile -t answers <<<"$all"
    mapfile -t expected <<<"$wanted"
    for ((line = 0; line < ${#expected[@]}; line++)); do
        [ "${answers[line]:-nothing}" != "${expected[line]}" ] || continue
        echo "acknowledged data is not there: answer $line is ${answers[line]:-nothing} instead of ${expected[line]}" >&2
        return 1
    done
    echo "more answers than questions" >&2
    return 1
}
