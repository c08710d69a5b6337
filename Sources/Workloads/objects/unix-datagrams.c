// datagram UNIX sockets: senders with, without and of lost names, peers of one side, peers that are gone
// needs: unix-sockets
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "unix-name.h"
#include "workload.h"

static int bound(const struct name *name) {
    int descriptor = WORKLOAD_CALL(socket(AF_UNIX, SOCK_DGRAM, 0));
    if (name) WORKLOAD_CALL(bind(descriptor, (const struct sockaddr *)&name->address, name->length));
    return descriptor;
}

static void post(int from, const struct name *to, const char *text) {
    size_t length = strlen(text);
    ssize_t answer = to
        ? sendto(from, text, length, 0, (const struct sockaddr *)&to->address, to->length) : send(from, text, length, 0);
    WORKLOAD_CHECK(answer == (ssize_t)length, "%s: errno %d", text, errno);
}

static void expect(int at, const char *text, const struct name *from) {
    char bytes[64];
    struct name sender = {.length = sizeof sender.address};
    ssize_t answer =
        recvfrom(at, bytes, sizeof bytes, MSG_DONTWAIT, (struct sockaddr *)&sender.address, &sender.length);
    WORKLOAD_CHECK(answer == (ssize_t)strlen(text), "%s: %zd, errno %d", text, answer, errno);
    for (ssize_t index = 0; index < answer; index++) WORKLOAD_CHECK(bytes[index] == text[index], "%s differs", text);
    if (!from) {
        WORKLOAD_CHECK(sender.length <= sizeof(sa_family_t), "%s has a sender of %u bytes", text, sender.length);
        return;
    }
    WORKLOAD_CHECK(sender.length == from->length, "%s: a name of %u bytes", text, sender.length);
    for (socklen_t index = 0; index < from->length; index++)
        WORKLOAD_CHECK(((char *)&sender.address)[index] == ((const char *)&from->address)[index], "%s: name", text);
}

static void connect_to(int descriptor, const struct name *to) {
    WORKLOAD_CALL(connect(descriptor, (const struct sockaddr *)&to->address, to->length));
}

int main(void) {
    workload_begin();
    char text[64];
    snprintf(text, sizeof text, "@datagrams-%d", getpid());
    struct name server_name = named("server"), client_name = named("client"), hidden_name = named(text);
    struct name lost_name = named("lost"), one_name = named("one"), two_name = named("two"), gone_name = named("gone");
    int server = bound(&server_name), client = bound(&client_name), hidden = bound(&hidden_name), nameless = bound(NULL);
    connect_to(client, &server_name);
    connect_to(nameless, &server_name);
    // The first one got a message from somebody else before it got a peer.
    int one = bound(&one_name), two = bound(&two_name);
    post(hidden, &one_name, "before");
    connect_to(one, &two_name);
    connect_to(two, &one_name);
    post(two, NULL, "after");
    int orphan = bound(NULL), gone = bound(&gone_name);
    connect_to(orphan, &gone_name);
    close(gone);
    int lonely[2];
    WORKLOAD_CALL(socketpair(AF_UNIX, SOCK_DGRAM, 0, lonely));
    post(lonely[1], NULL, "last words");
    close(lonely[1]);
    for (bool ready = false; !workload_verify_requested();) {
        int lost = bound(&lost_name);
        post(lost, &server_name, "from a lost name");
        close(lost);
        WORKLOAD_CALL(unlink("lost"));
        post(client, NULL, "from a client");
        post(nameless, NULL, "from nobody");
        post(hidden, &server_name, "from a hidden one");
        post(server, &hidden_name, "an answer");
        post(server, &client_name, "to a client");
        if (!ready) workload_ready();
        ready = true;
        workload_pause(20);
        if (workload_break_now()) WORKLOAD_CALL(recv(server, text, 8, 0));
        expect(server, "from a lost name", &lost_name);
        expect(server, "from a client", &client_name);
        expect(server, "from nobody", NULL);
        expect(server, "from a hidden one", &hidden_name);
        expect(hidden, "an answer", &server_name);
        expect(client, "to a client", &server_name);
        WORKLOAD_CHECK(send(hidden, "x", 1, 0) < 0 && errno == ENOTCONN, "it has a peer: errno %d", errno);
        ssize_t answer = sendto(hidden, "x", 1, 0, (struct sockaddr *)&one_name.address, one_name.length);
        WORKLOAD_CHECK(answer < 0 && errno == EPERM, "a stranger reaches one with a peer: errno %d", errno);
        struct name peer = {.length = sizeof peer.address};
        WORKLOAD_CALL(getpeername(orphan, (struct sockaddr *)&peer.address, &peer.length));
        WORKLOAD_CHECK(peer.length == gone_name.length && peer.address.sun_path[0] == 'g', "the peer that is gone");
        WORKLOAD_CHECK(recv(lonely[0], text, 64, MSG_PEEK) == 10, "last words: errno %d", errno);
        workload_progress();
    }
    expect(one, "before", &hidden_name);
    expect(one, "after", &two_name);
    WORKLOAD_CHECK(send(orphan, "x", 1, 0) < 0 && errno == ECONNREFUSED, "a peer that is gone: errno %d", errno);
    expect(lonely[0], "last words", NULL);
    WORKLOAD_CHECK(send(lonely[0], "x", 1, 0) < 0 && errno == ECONNREFUSED, "a lost end: errno %d", errno);
    workload_verified();
}
