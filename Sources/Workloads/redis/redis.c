// redis-server with data in memory, looked after and asked by a plain program: a shell and redis-cli took a guest five
// times as long as the restore of the server.
//
//   redis         starts the server, fills it, and lives beside it
//   redis check   asks it from outside its tree: all acknowledged writes, and one more
//
// Between `ready` and `verify` nobody is connected: a connection would belong to the dump; nor is anything below /proc
// open. So progress says only that the server lives; `check` asks it.
#include "workload.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { KEYS = 400, BATCH = 50, LONGEST = 200 };

static pid_t server;
static bool outside;
static uint64_t seed = 1;
static in_port_t port = 16379;

__attribute__((noreturn, format(printf, 1, 2))) static void give_up(const char *format, ...) {
    char reason[400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    if (outside) {
        fprintf(stderr, "%s\n", reason);
        exit(1);
    }
    if (server > 0) kill(server, SIGKILL);
    workload_fail("%s", reason);
}

// The value of a key under the seed; long ones now and then, so that more than one size class is used.
static void value_of(int key, char text[LONGEST + 1]) {
    uint64_t number = (((uint64_t)key * 2654435761u + seed) * 40503) & 0xFFFFFFFF;
    snprintf(text, LONGEST + 1, key % 50 == 0 ? "%0200llu" : "%llu", (unsigned long long)number);
}

// One connection, with what was read from it and not yet looked at.
struct connection {
    int descriptor;
    size_t begin, end;
    char bytes[1 << 16];
};

static struct connection connection;

// Whether the server takes a connection.
static bool connected(void) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {.tv_sec = 20};
    connection.begin = connection.end = 0;
    connection.descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection.descriptor < 0) give_up("socket: %s", strerror(errno));
    setsockopt(connection.descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(connection.descriptor, (struct sockaddr *)&address, sizeof address) == 0) return true;
    int reason = errno;
    close(connection.descriptor);
    errno = reason;
    return false;
}

// What is said goes out together before the next answer is read.
static char words_to_say[1 << 16];
static size_t words_length;

static void say(const char *text) {
    size_t length = strlen(text);
    if (length > sizeof words_to_say - words_length) give_up("too many questions at once");
    memcpy(words_to_say + words_length, text, length);
    words_length += length;
}

static void send_all(void) {
    for (size_t done = 0; done < words_length;) {
        ssize_t count = send(connection.descriptor, words_to_say + done, words_length - done, MSG_NOSIGNAL);
        if (count < 0) give_up("redis does not listen: %s", strerror(errno));
        done += (size_t)count;
    }
    words_length = 0;
}

// The next line of an answer without its end; valid until the next call.
static const char *hear(void) {
    for (send_all();;) {
        char *first = connection.bytes + connection.begin;
        char *end = memchr(first, '\n', connection.end - connection.begin);
        if (end && end > first && end[-1] == '\r') {
            end[-1] = 0;
            connection.begin = (size_t)(end + 1 - connection.bytes);
            return first;
        }
        memmove(connection.bytes, first, connection.end - connection.begin);
        connection.end -= connection.begin;
        connection.begin = 0;
        if (connection.end == sizeof connection.bytes) give_up("redis answers with an endless line");
        ssize_t count = recv(
            connection.descriptor, connection.bytes + connection.end, sizeof connection.bytes - connection.end, 0);
        if (count <= 0) give_up("redis does not answer: %s", count == 0 ? "end of the connection" : strerror(errno));
        connection.end += (size_t)count;
    }
}

// The next answer must be `wanted`: a string, or a line as the protocol has it.
static void expect(const char *asked, const char *wanted) {
    const char *heard = hear();
    // A string follows its length; a length of -1 is no string.
    if (heard[0] == '$' && heard[1] != '-') heard = hear();
    if (strcmp(heard, wanted) != 0)
        give_up("acknowledged data is not there: %s is %.60s instead of %.60s", asked, heard, wanted);
}

static void fill(void) {
    static char strings[BATCH * (LONGEST + 32)], ranking[BATCH * 40], list[BATCH * 24];
    char value[LONGEST + 1], number[24];
    for (int key = 0; key < KEYS;) {
        char *string = stpcpy(strings, "MSET"), *rank = stpcpy(ranking, "ZADD ranking");
        char *item = stpcpy(list, "RPUSH list");
        for (int end = key + BATCH; key < end; key++) {
            value_of(key, value);
            string += sprintf(string, " key:%d %s", key, value);
            rank += sprintf(rank, " %d member:%d", key, key);
            item += sprintf(item, " item:%d", key);
        }
        for (int each = 0; each < 3; each++) {
            say((const char *[]){strings, ranking, list}[each]);
            say("\r\n");
        }
        expect("the answer to MSET", "+OK");
        snprintf(number, sizeof number, ":%d", BATCH);
        expect("the answer to ZADD", number);
        snprintf(number, sizeof number, ":%d", key);
        expect("the answer to RPUSH", number);
    }
}

// All writes that were acknowledged are still there, and the command, one more write, is answered as it must be.
static void check(const char *command, const char *wanted) {
    char asked[24], value[LONGEST + 1], batch[24], all[24], last[24];
    snprintf(batch, sizeof batch, "*%d", BATCH);
    snprintf(all, sizeof all, ":%d", KEYS);
    snprintf(last, sizeof last, "item:%d", KEYS - 1);
    if (!connected()) give_up("redis takes no connection: %s", strerror(errno));
    for (int key = 0; key < KEYS; key++) {
        if (key % BATCH == 0) say("MGET");
        snprintf(asked, sizeof asked, " key:%d", key);
        say(asked);
        if (key % BATCH == BATCH - 1) say("\r\n");
    }
    say("ZCARD ranking\r\nLLEN list\r\nZSCORE ranking member:77\r\nLINDEX list -1\r\n");
    say(command);
    say("\r\n");
    for (int key = 0; key < KEYS; key++) {
        if (key % BATCH == 0) expect("the answer to MGET", batch);
        snprintf(asked, sizeof asked, "key:%d", key);
        value_of(key, value);
        expect(asked, value);
    }
    expect("ZCARD ranking", all);
    expect("LLEN list", all);
    expect("ZSCORE ranking member:77", "77");
    expect("LINDEX list -1", last);
    expect(command, wanted);
    close(connection.descriptor);
}

// The last line that the server wrote into its log.
static const char *last_words(void) {
    static char line[300];
    FILE *log = fopen("redis.log", "re");
    while (log && fgets(line, sizeof line, log)) {}
    if (log) fclose(log);
    line[strcspn(line, "\n")] = 0;
    return line;
}

static void alive(void) {
    int status;
    if (waitpid(server, &status, WNOHANG) == 0) return;
    server = 0;
    give_up("redis-server has gone (status %d): %s", status, last_words());
}

static int sockets(void) {
    char path[300], target[8];
    int found = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", server);
    DIR *folder = opendir(path);
    if (!folder) return 0;
    for (struct dirent *entry; (entry = readdir(folder));) {
        snprintf(path, sizeof path, "/proc/%d/fd/%s", server, entry->d_name);
        found += readlink(path, target, sizeof target) == sizeof target && memcmp(target, "socket:[", 8) == 0;
    }
    closedir(folder);
    return found;
}

static void start(void) {
    char number[8], folder[PATH_MAX];
    snprintf(number, sizeof number, "%d", port);
    if (!getcwd(folder, sizeof folder)) give_up("getcwd: %s", strerror(errno));
    server = fork();
    if (server < 0) give_up("fork: %s", strerror(errno));
    if (server > 0) return;
    int nothing = open("/dev/null", O_RDONLY);
    if (nothing < 0 || dup2(nothing, STDIN_FILENO) < 0) _exit(126);
    if (nothing != STDIN_FILENO) close(nothing);
    execlp(
        "redis-server", "redis-server", "--port", number, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
        "--daemonize", "no", "--databases", "1", "--dir", folder, "--logfile", "redis.log", "--ignore-warnings",
        "ARM64-COW-BUG", NULL);
    _exit(127);
}

int main(int count, char **words) {
    const char *text = getenv("CRLAB_SEED");
    if (text) seed = strtoull(text, NULL, 10);
    text = getenv("CRLAB_REDIS_PORT");
    if (text) port = (in_port_t)atoi(text);
    outside = count > 1 && strcmp(words[1], "check") == 0;
    if (outside) {
        check("SET outside yes", "+OK");
        return 0;
    }
    workload_begin();
    start();
    // Its own listening socket first: on a taken port somebody else would answer, or nobody for ever.
    while (sockets() == 0 || !connected()) {
        alive();
        workload_pause(5);
    }
    fill();
    close(connection.descriptor);
    check("SET inside yes", "+OK");
    // Until the server has closed its end of our connections.
    while (sockets() != 1) {
        alive();
        workload_pause(5);
    }
    workload_ready();
    while (!workload_verify_requested()) {
        alive();
        workload_progress();
        if (workload_break_now()) {
            if (!connected()) give_up("redis takes no connection: %s", strerror(errno));
            say("SET key:7 damaged\r\n");
            expect("the answer to SET", "+OK");
            close(connection.descriptor);
            check("SET inside yes", "+OK");
        }
        workload_pause(20);
    }
    check("INCR verified", ":1");
    int status;
    kill(server, SIGTERM);
    if (waitpid(server, &status, 0) != server || status != 0) give_up("redis-server ended with status %d", status);
    workload_verified();
}
