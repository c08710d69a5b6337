// Names of UNIX sockets, for the objects that bind them.
#ifndef CRLAB_UNIX_NAME_H
#define CRLAB_UNIX_NAME_H

#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

struct name {
    struct sockaddr_un address;
    socklen_t length;
};

/// A path, or behind `@` an abstract name, which has no end but its length.
__attribute__((unused)) static struct name named(const char *path) {
    struct name name = {.address = {.sun_family = AF_UNIX}};
    size_t length = strlen(path);
    memcpy(name.address.sun_path, path, length + 1);
    if (path[0] == '@') name.address.sun_path[0] = 0;
    name.length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (path[0] == '@' ? 0 : 1));
    return name;
}

#endif
