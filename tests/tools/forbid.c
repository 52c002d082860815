/* SPDX-License-Identifier: Apache-2.0 */

/*
 * forbid ENOSYS|EPERM SYSCALL… -- PROGRAM ARGUMENT…
 *
 * Runs a program, and all that it starts, where those system calls fail with that error: as under
 * a kernel that has none of them, or in the sandbox of a service manager or a container runtime
 * (seccomp(2)). The process stays the same one, so signals reach the program.
 */

#include <err.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CALLS_MOST 8

static const struct {
    const char *name;
    uint32_t number;
} known[] = {{"openat2", SYS_openat2}, {"io_uring_setup", SYS_io_uring_setup}};

static uint32_t number_of(const char *name)
{
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strcmp(name, known[i].name) == 0)
            return known[i].number;
    errx(2, "the system call %s is not one that this program forbids", name);
}

static uint32_t error_of(const char *name)
{
    if (strcmp(name, "ENOSYS") == 0)
        return ENOSYS;
    if (strcmp(name, "EPERM") == 0)
        return EPERM;
    errx(2, "%s is neither ENOSYS nor EPERM", name);
}

/* Each call is compared with the number and, if it is the one, refused. Programs of another
 * architecture are not looked at: none is run here. */
static void forbid(const uint32_t *numbers, unsigned count, uint32_t error)
{
    struct sock_filter filter[2 * CALLS_MOST + 2];
    unsigned short used = 0;
    struct sock_fprog program = {.filter = filter};

    filter[used++] =
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (unsigned i = 0; i < count; i++) {
        filter[used++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, numbers[i], 0, 1);
        filter[used++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error);
    }
    filter[used++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    program.len = used;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
        err(2, "the system calls cannot be forbidden");
}

int main(int count, char **arguments)
{
    uint32_t numbers[CALLS_MOST];
    unsigned used = 0;
    int at = 2;

    for (; at < count && strcmp(arguments[at], "--") != 0; at++) {
        if (used == CALLS_MOST)
            errx(2, "at most %d system calls can be forbidden", CALLS_MOST);
        numbers[used++] = number_of(arguments[at]);
    }
    if (used == 0 || at + 1 >= count)
        errx(2, "usage: forbid ENOSYS|EPERM SYSCALL... -- PROGRAM ARGUMENT...");
    forbid(numbers, used, error_of(arguments[1]));
    execvp(arguments[at + 1], arguments + at + 1);
    err(2, "%s", arguments[at + 1]);
}
