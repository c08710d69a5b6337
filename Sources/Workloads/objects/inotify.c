// inotify with a gap in its watch numbers, watching a folder, a file, and a file without a name
// needs: files, inotify
#include <sys/inotify.h>
#include <sys/stat.h>

#include "workload.h"

static char buffer[4096] __attribute__((aligned(8)));

/// Takes one event; `mask` 0 expects none.
static void expect(int descriptor, int *offset, int *count, int watch, uint32_t mask, const char *name) {
    if (*offset >= *count) {
        *offset = 0;
        *count = (int)read(descriptor, buffer, sizeof buffer);
        if (mask == 0) {
            WORKLOAD_CHECK(*count < 0 && errno == EAGAIN, "%d bytes of unexpected events", *count);
            return;
        }
        WORKLOAD_CHECK(*count > 0, "no event 0x%x for watch %d: errno %d", mask, watch, errno);
    }
    struct inotify_event *event = (struct inotify_event *)(buffer + *offset);
    WORKLOAD_CHECK(mask != 0, "unexpected event 0x%x of watch %d", event->mask, event->wd);
    WORKLOAD_CHECK(
        event->wd == watch && event->mask == mask, "event 0x%x of watch %d instead of 0x%x of watch %d", event->mask,
        event->wd, mask, watch);
    for (size_t index = 0; name[index]; index++)
        WORKLOAD_CHECK(index < event->len && event->name[index] == name[index], "event of another name");
    *offset += (int)(sizeof *event + event->len);
}

int main(void) {
    workload_begin();
    WORKLOAD_CALL(mkdir("folder", 0755));
    int file = WORKLOAD_CALL(open("watched", O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    int nameless = WORKLOAD_CALL(open("nameless", O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    int descriptor = WORKLOAD_CALL(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    int passing = WORKLOAD_CALL(inotify_add_watch(descriptor, "/", IN_UNMOUNT));
    int folder = WORKLOAD_CALL(inotify_add_watch(descriptor, "folder", IN_CREATE | IN_DELETE));
    WORKLOAD_CALL(inotify_rm_watch(descriptor, passing));
    int watched = WORKLOAD_CALL(inotify_add_watch(descriptor, "watched", IN_MODIFY));
    int lost = WORKLOAD_CALL(inotify_add_watch(descriptor, "nameless", IN_MODIFY));
    WORKLOAD_CALL(unlink("nameless"));
    while (read(descriptor, buffer, sizeof buffer) > 0) {}
    workload_ready();
    while (!workload_verify_requested()) {
        if (workload_break_now()) WORKLOAD_CALL(inotify_rm_watch(descriptor, watched));
        int offset = 0, count = 0;
        expect(descriptor, &offset, &count, 0, 0, "");
        WORKLOAD_CALL(close(open("folder/new", O_WRONLY | O_CREAT | O_CLOEXEC, 0644)));
        expect(descriptor, &offset, &count, folder, IN_CREATE, "new");
        WORKLOAD_CALL(pwrite(file, "x", 1, 0));
        expect(descriptor, &offset, &count, watched, IN_MODIFY, "");
        WORKLOAD_CALL(pwrite(nameless, "x", 1, 0));
        expect(descriptor, &offset, &count, lost, IN_MODIFY, "");
        WORKLOAD_CALL(unlink("folder/new"));
        expect(descriptor, &offset, &count, folder, IN_DELETE, "new");
        workload_progress();
        workload_pause(20);
    }
    workload_verified();
}
