/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/layer/tree_rig.h"

#include "base/scoped.h"
#include "unit/cmocka_setup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

bool tree_rig_is_root(void)
{
    if (geteuid() == 0)
        return true;
    printf("SKIP: this test needs root: it makes files of other owners\n");
    return false;
}

void tree_rig_begin(struct tree_rig *rig)
{
    strcpy(rig->path, "/tmp/cowsnap-tree-XXXXXX");
    assert_non_null(mkdtemp(rig->path));
    rig->fd = open(rig->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(rig->fd >= 0);
}

int tree_rig_setup(void **state)
{
    struct tree_rig *rig = calloc(1, sizeof(*rig));

    assert_non_null(rig);
    tree_rig_begin(rig);
    *state = rig;
    return 0;
}

int tree_rig_teardown(void **state)
{
    struct tree_rig *rig = *state;
    char command[128];

    close(rig->fd);
    snprintf(command, sizeof(command), "rm -rf '%s'", rig->path);
    free(rig);
    return system(command);
}

void tree_rig_folder(struct tree_rig *rig, const char *name)
{
    assert_int_equal(mkdirat(rig->fd, name, 0755), 0);
}

void tree_rig_file(struct tree_rig *rig, const char *name, const char *text)
{
    scoped_fd int fd = openat(rig->fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

void tree_rig_symlink(struct tree_rig *rig, const char *name, const char *target)
{
    assert_int_equal(symlinkat(target, rig->fd, name), 0);
}

struct stat tree_rig_stat(struct tree_rig *rig, const char *name)
{
    struct stat status;

    assert_int_equal(fstatat(rig->fd, name, &status, AT_SYMLINK_NOFOLLOW), 0);
    return status;
}

static char listing[8192];

static void append(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void append(const char *format, ...)
{
    size_t used = strlen(listing);
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(listing + used, sizeof(listing) - used, format, arguments);
    va_end(arguments);
}

static void append_file(int folder, const char *name, const struct stat *status)
{
    char text[17] = "";
    scoped_fd int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

    if (status->st_size > 16) {
        append("=#%lld", (long long)status->st_size);
        return;
    }
    assert_true(fd >= 0 && read(fd, text, 16) == status->st_size);
    append("=%s", text);
}

static void append_symlink(int folder, const char *name)
{
    char target[PATH_MAX];
    ssize_t length = readlinkat(folder, name, target, sizeof(target) - 1);

    assert_true(length >= 0);
    append("@%.*s", (int)length, target);
}

static int by_name(const struct dirent **left, const struct dirent **right)
{
    return strcmp((*left)->d_name, (*right)->d_name);
}

static void append_folder(int folder, const char *prefix)
{
    struct dirent **entries;
    int count = scandirat(folder, ".", &entries, NULL, by_name);

    assert_true(count >= 0);
    for (int i = 0; i < count; i++) {
        scoped_free struct dirent *entry = entries[i];
        const char *name = entry->d_name;
        struct stat status;

        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
            continue;
        assert_int_equal(fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW), 0);
        append("%s%s%s", listing[0] ? " " : "", prefix, name);
        if (S_ISDIR(status.st_mode)) {
            char below[PATH_MAX];
            scoped_fd int child = openat(folder, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

            append("/");
            snprintf(below, sizeof(below), "%s%s/", prefix, name);
            append_folder(child, below);
        } else if (S_ISREG(status.st_mode)) {
            append_file(folder, name, &status);
        } else if (S_ISLNK(status.st_mode)) {
            append_symlink(folder, name);
        } else if (S_ISFIFO(status.st_mode)) {
            append("|");
        } else {
            append("{%u,%u}", major(status.st_rdev), minor(status.st_rdev));
        }
    }
    free(entries);
}

const char *tree_rig_list(struct tree_rig *rig, const char *name)
{
    scoped_fd int fd = openat(rig->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert_true(fd >= 0);
    listing[0] = '\0';
    append_folder(fd, "");
    return listing;
}
