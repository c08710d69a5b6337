#ifndef CRL_CLINUX_H
#define CRL_CLINUX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#pragma clang assume_nonnull begin

/// Any system call, without libc in between: syscall(2).
/// syscall() is variadic and reports through errno, so Swift cannot import it. Returns the kernel's answer, -errno included.
long crl_syscall(
    long number, unsigned long a0, unsigned long a1, unsigned long a2, unsigned long a3, unsigned long a4,
    unsigned long a5);

/// One CPUID leaf into eax, ebx, ecx, edx. Leaves above the CPU's maximum answer whatever the CPU answers.
void crl_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t *registers);

/// XGETBV of the extended control register `index`.
/// The caller has checked CPUID's OSXSAVE bit; without it the instruction raises #UD.
uint64_t crl_xgetbv(uint32_t index);

/// Where the kernel put this process's vDSO (getauxval(AT_SYSINFO_EHDR)); 0 without one.
uint64_t crl_vdso_base(void);

/// clock_gettime(2) by libc: without entering the kernel where the vDSO can. A clock that is not there reads 0.
void crl_clock(int clock, int64_t *_Nonnull seconds, int64_t *_Nonnull nanoseconds);

/// One entry of the auxiliary vector: getauxval(3); 0 when absent.
uint64_t crl_auxiliary(uint64_t type);

/// What crl_spawn() does between clone3 and execve, in the order of the members.
struct crl_spawn_request {
    /// CLONE_NEW* flags; 0 to stay in the caller's namespaces.
    uint64_t namespaces;
    /// PIDs to take, innermost namespace first: clone3(2)'s set_tid; NULL to let the kernel choose.
    const pid_t *_Nullable set_tid;
    size_t set_tid_size;
    /// The cgroup to be born in, as a descriptor of its folder; -1 for the caller's.
    int cgroup;
    /// Sent to the child when the calling thread ends; 0 for none.
    int parent_death_signal;
    /// Calls setsid().
    bool new_session;
    /// In a new mount namespace: makes every mount private.
    bool private_mounts;
    /// Becomes the root directory by chroot(); NULL to keep.
    const char *_Nullable root;
    /// In new mount and PID namespaces: mounts a fresh proc on /proc (below `root`).
    bool mount_proc;
    /// The working directory, seen from `root`; NULL to keep.
    const char *_Nullable working_directory;
    /// Become descriptors 0, 1, 2; -1 to keep the caller's. All others are closed.
    int stdio[3];
    /// Empties the signal mask and sets every handler to the default.
    bool reset_signals;
    /// The program, seen from `root`; NULL to go on in the caller's own.
    const char *_Nullable executable;
    char *_Nullable const *_Nonnull arguments;
    char *_Nullable const *_Nonnull environment;
};

/// Which step of crl_spawn() failed.
enum crl_spawn_step {
    CRL_SPAWN_NONE = 0,
    CRL_SPAWN_CLONE = 1,
    CRL_SPAWN_SESSION = 2,
    CRL_SPAWN_MOUNTS = 3,
    CRL_SPAWN_ROOT = 4,
    CRL_SPAWN_PROC = 5,
    CRL_SPAWN_DIRECTORY = 6,
    CRL_SPAWN_STDIO = 7,
    CRL_SPAWN_EXEC = 8,
};

/// Starts a program: clone3(2), the request's steps, execve(2).
/// Swift code must not run between fork and exec, so the whole way is here.
/// Returns the PID, or -errno with *step set; a child whose exec failed has been reaped. *pidfd is close-on-exec.
/// Without an executable it returns 0 in the child, as fork(2) does; only for a caller that has one thread.
pid_t crl_spawn(const struct crl_spawn_request *request, int *pidfd, int *step);

/// Forks a task that only waits, to be taken over by ptrace: clone3(2) with set_tid, then pause(2) forever.
/// It dies with the calling thread (PR_SET_PDEATHSIG), shares nothing but what `flags` says, and keeps all descriptors.
/// `flags` must not hold CLONE_VM: parent and child would share a stack. Returns the PID, or -errno.
pid_t crl_clone_paused(
    uint64_t flags, int exit_signal, const pid_t *_Nullable set_tid, size_t set_tid_size, int *pidfd);

/// Opens `path` (/dev/tty) in a child with a session of its own whose controlling terminal is `slave`, and puts the new
/// descriptor in place of `target`, which child and caller share (CLONE_FILES). Only a session leader can take a
/// terminal, and whoever opens /dev/tty gets that of its own session. Close-on-exec. Returns 0 or -errno.
int crl_open_controlling(int slave, const char *path, int flags, int target);

/// Has malloc keep what is freed, up to 64 MiB, instead of giving it back: mallopt(3).
void crl_keep_memory(void);

/// Runs `body` on a new thread with `stack_bytes` of stack; `handle` is for crl_join_thread.
/// pthread_create needs a C calling convention. Returns 0 or -errno.
int crl_start_thread(
    size_t stack_bytes, void (*body)(void *_Nullable), void *_Nullable context, unsigned long *handle);

/// Waits for the end of a thread. Returns 0 or -errno.
int crl_join_thread(unsigned long handle);

/// Where `wanted` first lies in `bytes`; NULL when it does not.
/// memmem(3) is an extension of the GNU C library, which Swift does not import.
const void *_Nullable crl_find(const void *bytes, size_t count, const void *wanted, size_t wanted_count);

#pragma clang assume_nonnull end

#endif
