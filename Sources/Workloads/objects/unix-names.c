// UNIX sockets bound to paths (absolute, relative, removed, moved) and abstract names, listening and not
// needs: unix-sockets
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "unix-name.h"
#include "workload.h"

static int bound(int type, struct name *name) {
    int descriptor = WORKLOAD_CALL(socket(AF_UNIX, type, 0));
    WORKLOAD_CALL(bind(descriptor, (struct sockaddr *)&name->address, name->length));
    return descriptor;
}

static void check_name(int descriptor, const struct name *name, const char *what) {
    struct name now = {.length = sizeof now.address};
    WORKLOAD_CALL(getsockname(descriptor, (struct sockaddr *)&now.address, &now.length));
    WORKLOAD_CHECK(now.length == name->length, "%s: a name of %u bytes instead of %u", what, now.length, name->length);
    for (size_t index = 0; index < name->length; index++)
        WORKLOAD_CHECK(((char *)&now.address)[index] == ((char *)&name->address)[index], "%s: another name", what);
}

/// Connects by whatever name leads there now, and back through accept(2).
static void check_service(int listener, struct name *by, const char *what) {
    int client = WORKLOAD_CALL(socket(AF_UNIX, SOCK_STREAM, 0));
    WORKLOAD_CHECK(
        connect(client, (struct sockaddr *)&by->address, by->length) == 0, "%s: connect: errno %d", what, errno);
    int server = WORKLOAD_CALL(accept(listener, NULL, NULL));
    char byte = 'x';
    WORKLOAD_CHECK(write(client, &byte, 1) == 1 && read(server, &byte, 1) == 1, "%s: errno %d", what, errno);
    close(client);
    close(server);
}


int main(void) {
    workload_begin();
    char folder[60], path[100], text[108];
    WORKLOAD_CHECK(getcwd(folder, sizeof folder) != NULL, "getcwd: errno %d", errno);
    snprintf(path, sizeof path, "%s/absolute", folder);
    struct name absolute = named(path), relative = named("folder/../relative"), here = named("relative");
    struct name removed = named("removed"), old = named("old"), new = named("new"), again = named("again");
    snprintf(text, sizeof text, "@workload-%d", getpid());
    struct name abstract = named(text), idle = named("idle");
    WORKLOAD_CALL(mkdir("folder", 0755));
    umask(0);

    int listener = bound(SOCK_STREAM, &absolute);
    WORKLOAD_CALL(listen(listener, 3));
    WORKLOAD_CALL(chmod(path, 0751));
    // From another working directory.
    int inside = bound(SOCK_STREAM, &relative);
    WORKLOAD_CALL(listen(inside, 3));
    int gone = bound(SOCK_STREAM, &removed);
    WORKLOAD_CALL(listen(gone, 3));
    WORKLOAD_CALL(unlink("removed"));
    int moved = bound(SOCK_STREAM, &old);
    WORKLOAD_CALL(listen(moved, 3));
    WORKLOAD_CALL(rename("old", "new"));
    // Two of the same name: the first one has lost it.
    int first = bound(SOCK_STREAM, &again);
    WORKLOAD_CALL(unlink("again"));
    int second = bound(SOCK_STREAM, &again);
    WORKLOAD_CALL(listen(second, 3));
    int hidden = bound(SOCK_STREAM, &abstract);
    WORKLOAD_CALL(listen(hidden, 3));
    int unused = bound(SOCK_SEQPACKET, &idle);
    int nameless = WORKLOAD_CALL(socket(AF_UNIX, SOCK_STREAM, 0));
    workload_ready();
    while (!workload_verify_requested()) {
        if (workload_break_now()) WORKLOAD_CALL(unlink(path));
        struct stat status;
        WORKLOAD_CHECK(stat(path, &status) == 0, "stat: errno %d", errno);
        WORKLOAD_CHECK((status.st_mode & 0777) == 0751, "mode %o", status.st_mode);
        check_name(listener, &absolute, "absolute");
        check_service(listener, &absolute, "absolute");
        check_name(inside, &relative, "relative");
        check_service(inside, &here, "relative");
        check_name(gone, &removed, "removed");
        WORKLOAD_CHECK(access("removed", F_OK) != 0, "the removed name is back");
        check_name(moved, &old, "moved");
        check_service(moved, &new, "moved");
        check_name(first, &again, "the first of two");
        check_name(second, &again, "the second of two");
        check_service(second, &again, "the second of two");
        check_name(hidden, &abstract, "abstract");
        check_service(hidden, &abstract, "abstract");
        check_name(unused, &idle, "idle");
        struct name none = {.address = {.sun_family = AF_UNIX}, .length = sizeof(sa_family_t)};
        check_name(nameless, &none, "nameless");
        workload_progress();
        workload_pause(5);
    }
    workload_verified();
}
