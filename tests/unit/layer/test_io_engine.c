/* SPDX-License-Identifier: Apache-2.0 */

/* What every I/O engine does, asked of each; and which one is chosen. */

#include "unit/layer/io_rig.h"

#include "base/scoped.h"
#include "unit/cmocka_setup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

static void an_empty_file_has_its_mode_owner_and_times(void **state)
{
    struct io_rig *rig = *state;
    struct io_file file = io_rig_file(rig, "empty", 0);
    struct stat status;

    io_rig_must(rig, io_rig_make_now(rig, &file));
    status = io_rig_stat(rig, "empty");
    assert_true(S_ISREG(status.st_mode));
    assert_int_equal(status.st_mode & 07777, 0644);
    assert_int_equal(status.st_size, 0);
    assert_int_equal(status.st_uid, 0);
    assert_int_equal(status.st_atim.tv_sec, 1000000001);
    assert_int_equal(status.st_atim.tv_nsec, 123456789);
    assert_int_equal(status.st_mtim.tv_sec, 1000000000);
    assert_int_equal(status.st_mtim.tv_nsec, 987654321);
}

static void a_small_file_has_its_bytes_and_its_times(void **state)
{
    struct io_rig *rig = *state;
    struct io_file file = io_rig_file(rig, "small", 1234);
    struct stat status;

    file.metadata.mode = 0400;
    io_rig_must(rig, io_rig_make_now(rig, &file));
    status = io_rig_stat(rig, "small");
    assert_int_equal(status.st_size, 1234);
    assert_int_equal(status.st_mode & 07777, 0400);
    assert_int_equal(status.st_mtim.tv_nsec, 987654321);
    io_rig_holds(rig, "small", 0, 0, 1234);
}

static void runs_may_start_anywhere_and_come_in_any_order(void **state)
{
    struct io_rig *rig = *state;
    struct io_file file = io_rig_file(rig, "runs", 3000);
    const struct io_engine *engine = rig->engine;

    io_rig_must(rig, engine->begin(rig->handle, &file, &rig->why));
    for (unsigned i = 3; i-- > 0;)
        io_rig_must(rig, engine->write(rig->handle, rig->chunk, rig->chunk->data + 5 + i * 1000,
                                       1000, i * 1000, &rig->why));
    io_rig_must(rig, engine->end(rig->handle, &rig->why));
    io_rig_must(rig, engine->drain(rig->handle, &rig->why));
    io_rig_holds(rig, "runs", 0, 5, 3000);
}

static void many_files_in_several_folders_are_all_there(void **state)
{
    struct io_rig *rig = *state;
    int folders[3];
    char name[32];

    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof(name), "folder-%d", i);
        assert_int_equal(mkdirat(rig->folder, name, 0755), 0);
        folders[i] = openat(rig->folder, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    for (int i = 0; i < 600; i++) {
        struct io_file file = io_rig_file(rig, name, (uint64_t)i * 17);

        snprintf(name, sizeof(name), "file-%d", i); /* the engine keeps no pointer to it */
        file.directory = folders[i % 3];
        file.metadata.times[1].tv_nsec = i;
        io_rig_must(rig, io_rig_make(rig, &file));
    }
    io_rig_must(rig, rig->engine->drain(rig->handle, &rig->why));
    for (int i = 0; i < 600; i++) {
        snprintf(name, sizeof(name), "folder-%d/file-%d", i % 3, i);
        assert_int_equal(io_rig_stat(rig, name).st_size, i * 17);
        assert_int_equal(io_rig_stat(rig, name).st_mtim.tv_nsec, i);
        io_rig_holds(rig, name, 0, 0, (size_t)i * 17);
    }
    for (int i = 0; i < 3; i++)
        close(folders[i]);
}

static void gaps_are_holes_that_read_as_zeros(void **state)
{
    static const uint8_t zeros[4096];
    struct io_rig *rig = *state;
    const struct io_engine *engine = rig->engine;
    struct io_file file = io_rig_file(rig, "gaps", 3 << 20);
    struct stat status;
    uint8_t found[4096];

    io_rig_must(rig, engine->begin(rig->handle, &file, &rig->why));
    io_rig_must(rig,
                engine->write(rig->handle, rig->chunk, rig->chunk->data, 4096, 1 << 20, &rig->why));
    io_rig_must(rig, engine->end(rig->handle, &rig->why));
    file = io_rig_file(rig, "all-gap", 1 << 20);
    io_rig_must(rig, engine->begin(rig->handle, &file, &rig->why));
    io_rig_must(rig, engine->end(rig->handle, &rig->why));
    io_rig_must(rig, engine->drain(rig->handle, &rig->why));

    status = io_rig_stat(rig, "gaps");
    assert_int_equal(status.st_size, 3 << 20);
    assert_int_equal(status.st_blocks, 8);
    assert_int_equal(status.st_mtim.tv_nsec, 987654321);
    io_rig_holds(rig, "gaps", 1 << 20, 0, 4096);
    scoped_fd int fd = openat(rig->folder, "gaps", O_RDONLY | O_CLOEXEC);
    assert_int_equal(pread(fd, found, sizeof(found), (3 << 20) - 4096), 4096);
    assert_memory_equal(found, zeros, sizeof(zeros));
    status = io_rig_stat(rig, "all-gap");
    assert_int_equal(status.st_size, 1 << 20);
    assert_int_equal(status.st_blocks, 0);
}

/* Each chunk is taken, written and let go, as a layer's are: the engine has to give them back. */
static void a_file_of_more_chunks_than_there_are_is_written_whole(void **state)
{
    struct io_rig *rig = *state;
    const struct io_engine *engine = rig->engine;
    struct io_file file = io_rig_file(rig, "long", 40u * CHUNK_SIZE);

    io_rig_must(rig, engine->begin(rig->handle, &file, &rig->why));
    for (unsigned i = 0; i < 40; i++) {
        struct chunk *chunk = chunk_take(rig->pool);

        memset(chunk->data, (int)i + 1, CHUNK_SIZE);
        io_rig_must(rig, engine->write(rig->handle, chunk, chunk->data, CHUNK_SIZE,
                                       (uint64_t)i * CHUNK_SIZE, &rig->why));
        chunk_unref(chunk);
        if (i % 8 == 7) /* a writer whose queue is empty */
            io_rig_must(rig, engine->drain(rig->handle, &rig->why));
    }
    io_rig_must(rig, engine->end(rig->handle, &rig->why));
    io_rig_must(rig, engine->drain(rig->handle, &rig->why));
    scoped_fd int fd = openat(rig->folder, "long", O_RDONLY | O_CLOEXEC);
    for (unsigned i = 0; i < 40; i++) {
        uint8_t byte[2];

        assert_int_equal(pread(fd, &byte[0], 1, (off_t)i * CHUNK_SIZE), 1);
        assert_int_equal(pread(fd, &byte[1], 1, (off_t)(i + 1) * CHUNK_SIZE - 1), 1);
        assert_int_equal(byte[0], i + 1);
        assert_int_equal(byte[1], i + 1);
    }
    assert_int_equal(io_rig_stat(rig, "long").st_size, 40u * CHUNK_SIZE);
}

static void a_drain_gives_back_chunks_also_in_the_middle_of_a_file(void **state)
{
    struct io_rig *rig = *state;
    const struct io_engine *engine = rig->engine;
    struct io_file file = io_rig_file(rig, "half", 20000);

    io_rig_must(rig, engine->begin(rig->handle, &file, &rig->why));
    io_rig_must(rig, engine->drain(rig->handle, &rig->why)); /* nothing to do yet */
    io_rig_must(rig, engine->write(rig->handle, rig->chunk, rig->chunk->data, 10000, 0, &rig->why));
    io_rig_must(rig, engine->drain(rig->handle, &rig->why));
    assert_int_equal(rig->chunk->references, 1);
    io_rig_holds(rig, "half", 0, 0, 10000);
    io_rig_must(rig, engine->write(rig->handle, rig->chunk, rig->chunk->data + 10000, 10000, 10000,
                                   &rig->why));
    io_rig_must(rig, engine->end(rig->handle, &rig->why));
    io_rig_must(rig, engine->drain(rig->handle, &rig->why));
    assert_int_equal(rig->chunk->references, 1);
    io_rig_holds(rig, "half", 0, 0, 20000);
    assert_int_equal(io_rig_stat(rig, "half").st_mtim.tv_nsec, 987654321);
}

static void owner_and_set_id_bits_are_kept(void **state)
{
    static const struct {
        uint32_t mode, uid, gid;
    } cases[] = {
        {04755, 0, 0}, {06711, 1000, 50}, {02755, 0, 42}, {0, 65534, 65534}, {01644, 3, 0}};
    struct io_rig *rig = *state;
    char name[16];

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct io_file file = io_rig_file(rig, name, 100);
        struct stat status;

        snprintf(name, sizeof(name), "owned-%u", i);
        file.metadata.plain_owner = false;
        file.metadata.plain_mode = !(cases[i].mode & 06000);
        file.metadata.mode = cases[i].mode;
        file.metadata.uid = cases[i].uid;
        file.metadata.gid = cases[i].gid;
        io_rig_must(rig, io_rig_make_now(rig, &file));
        status = io_rig_stat(rig, name);
        assert_int_equal(status.st_mode & 07777, cases[i].mode);
        assert_int_equal(status.st_uid, cases[i].uid);
        assert_int_equal(status.st_gid, cases[i].gid);
        assert_int_equal(status.st_mtim.tv_nsec, 987654321);
        io_rig_holds(rig, name, 0, 0, 100);
    }
}

/* Version 2; user::rw-, user:1000:rwx, group::r--, mask::rwx, other::--- */
static const uint8_t acl[] = {2,    0,    0,    0,    1,    0,    6,    0,    0xff, 0xff, 0xff,
                              0xff, 2,    0,    7,    0,    0xe8, 3,    0,    0,    4,    0,
                              4,    0,    0xff, 0xff, 0xff, 0xff, 0x10, 0,    7,    0,    0xff,
                              0xff, 0xff, 0xff, 0x20, 0,    0,    0,    0xff, 0xff, 0xff, 0xff};
/* cap_net_raw+ep */
static const uint8_t capability[] = {1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};

static void attributes_outlive_the_owner_and_decide_over_the_mode(void **state)
{
    struct io_rig *rig = *state;
    const struct io_engine *engine = rig->engine;
    struct io_file file = io_rig_file(rig, "attributed", 10);
    char names[2][32] = {"security.capability", "system.posix_acl_access"};
    struct entry_xattr xattrs[] = {{names[0], capability, sizeof(capability)},
                                   {names[1], acl, sizeof(acl)}};
    uint8_t found[64];
    char path[96];

    file.metadata.plain_owner = file.metadata.plain_mode = false;
    file.metadata.mode = 0670;
    file.metadata.uid = 1000;
    file.metadata.xattrs = xattrs;
    file.metadata.xattr_count = 2;
    io_rig_must(rig, engine->begin(rig->handle, &file, &rig->why));
    io_rig_must(rig, engine->write(rig->handle, rig->chunk, rig->chunk->data, 10, 0, &rig->why));
    io_rig_must(rig, engine->end(rig->handle, &rig->why));
    memset(xattrs, 0, sizeof(xattrs)); /* the engine has no more use for them */
    memset(names, 0, sizeof(names));
    io_rig_must(rig, engine->drain(rig->handle, &rig->why));

    snprintf(path, sizeof(path), "%s/attributed", rig->path);
    assert_int_equal(getxattr(path, "security.capability", found, sizeof(found)),
                     sizeof(capability));
    assert_memory_equal(found, capability, sizeof(capability));
    assert_int_equal(getxattr(path, "system.posix_acl_access", found, sizeof(found)), sizeof(acl));
    assert_memory_equal(found, acl, sizeof(acl));
    assert_int_equal(io_rig_stat(rig, "attributed").st_mode & 07777, 0670);
    assert_int_equal(io_rig_stat(rig, "attributed").st_uid, 1000);
    assert_int_equal(io_rig_stat(rig, "attributed").st_mtim.tv_nsec, 987654321);
}

static void a_file_that_is_there_already_is_a_failure_that_names_it(void **state)
{
    struct io_rig *rig = *state;
    struct io_file file = io_rig_file(rig, "twice", 10);
    int result;

    io_rig_must(rig, io_rig_make_now(rig, &file));
    file.size = 5;
    result = io_rig_make_now(rig, &file);
    assert_int_equal(result, -EEXIST);
    assert_non_null(strstr(rig->why.text, "cannot make the file \"twice\""));
    assert_int_equal(io_rig_stat(rig, "twice").st_size, 10);
}

static void a_symlink_in_the_place_of_a_file_is_not_followed(void **state)
{
    struct io_rig *rig = *state;
    struct io_file file = io_rig_file(rig, "link", 10);

    assert_int_equal(symlinkat("elsewhere", rig->folder, "link"), 0);
    assert_int_equal(io_rig_make_now(rig, &file), -EEXIST);
    assert_int_equal(faccessat(rig->folder, "elsewhere", F_OK, 0), -1);
}

static void a_folder_that_vanished_is_told(void **state)
{
    struct io_rig *rig = *state;
    struct io_file file = io_rig_file(rig, "orphan", 10);
    int result;

    assert_int_equal(mkdirat(rig->folder, "gone", 0755), 0);
    scoped_fd int gone = openat(rig->folder, "gone", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(unlinkat(rig->folder, "gone", AT_REMOVEDIR), 0);
    file.directory = gone;
    result = io_rig_make_now(rig, &file);
    assert_int_equal(result, -ENOENT);
    assert_non_null(strstr(rig->why.text, "\"orphan\""));
    assert_non_null(strstr(rig->why.text, "its folder vanished"));
}

static void a_full_disk_is_a_condition_that_names_the_file(void **state)
{
    struct io_rig *rig = *state;
    struct io_file file = io_rig_file(rig, "too-long", IO_RIG_SPACE + CHUNK_SIZE);

    assert_int_equal(io_rig_make_now(rig, &file), CONDITION_EXHAUSTED);
    assert_non_null(strstr(rig->why.text, "cannot write the file \"too-long\""));
    assert_non_null(strstr(rig->why.text, "no space"));
}

/* Later calls may be made, and say the same; the tear-down sees that no chunk is kept. */
static void the_first_error_of_many_files_comes_out_and_chunks_come_back(void **state)
{
    struct io_rig *rig = *state;
    char name[16];
    int result = 0;

    assert_int_equal(mkdirat(rig->folder, "file-20", 0755), 0);
    for (int i = 0; !result && i < 200; i++) {
        struct io_file file = io_rig_file(rig, name, 3000);

        snprintf(name, sizeof(name), "file-%d", i);
        result = io_rig_make(rig, &file);
    }
    if (!result)
        result = rig->engine->drain(rig->handle, &rig->why);
    assert_int_equal(result, -EEXIST);
    assert_non_null(strstr(rig->why.text, "\"file-20\""));
}

/* The tear-down unmounts: no file may be open. */
static void closing_in_the_middle_leaves_nothing_open(void **state)
{
    struct io_rig *rig = *state;
    const struct io_engine *engine = rig->engine;
    struct io_file file = io_rig_file(rig, "never-ended", 4 * CHUNK_SIZE);
    char name[16];

    for (int i = 0; i < 50; i++) {
        struct io_file small = io_rig_file(rig, name, 3000);

        snprintf(name, sizeof(name), "file-%d", i);
        io_rig_must(rig, io_rig_make(rig, &small));
    }
    io_rig_must(rig, engine->begin(rig->handle, &file, &rig->why));
    for (unsigned i = 0; i < 3; i++)
        io_rig_must(rig, engine->write(rig->handle, rig->chunk, rig->chunk->data, CHUNK_SIZE,
                                       (uint64_t)i * CHUNK_SIZE, &rig->why));
    engine->close(rig->handle);
    rig->handle = NULL;
    assert_int_equal(rig->chunk->references, 1);
}

/* ---- the choice ---- */

static void a_name_that_is_none_is_refused(void **state)
{
    const struct io_engine *engine = NULL;
    struct reason why = {0};

    (void)state;
    assert_int_equal(io_engine_choose("aio", &engine, &why), CONDITION_INVALID);
    assert_non_null(strstr(why.text, "\"aio\""));
    assert_int_equal(io_engine_choose("plain", &engine, &why), 0);
    assert_ptr_equal(engine, &io_engine_plain);
}

/* From here on io_uring_setup(2) is ERROR for this process. */
static bool forbid_io_uring(unsigned error)
{
    struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0), /* the number of the call */
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof(steps) / sizeof(steps[0]), steps};

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

/* 0 when what is chosen in a process without io_uring is as it should be; else the step. */
static int choose_without_io_uring(unsigned error, const char *says)
{
    const struct io_engine *engine = NULL;
    struct reason why = {0};

    if (!forbid_io_uring(error))
        return 1;
    if (io_engine_choose("io_uring", &engine, &why) != CONDITION_UNAVAILABLE)
        return 2;
    if (!strstr(why.text, says) || !strstr(why.text, "use \"auto\" or \"plain\""))
        return 3;
    if (io_engine_choose("auto", &engine, &why) != 0 || engine != &io_engine_plain)
        return 4;
    return 0;
}

static void without_io_uring_auto_is_plain_and_its_own_name_is_refused(void **state)
{
    static const struct {
        unsigned error;
        const char *says;
    } cases[] = {{EPERM, "forbidden"}, {ENOSYS, "no io_uring"}, {EINVAL, "too old"}};

    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        pid_t child = fork();
        int status;

        assert_true(child >= 0);
        if (child == 0)
            _exit(choose_without_io_uring(cases[i].error, cases[i].says));
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
}

#define ENGINE_TEST(test) cmocka_unit_test_setup_teardown(test, io_rig_open, io_rig_close)

static int run_for(const struct io_engine *engine)
{
    struct CMUnitTest tests[] = {
        ENGINE_TEST(an_empty_file_has_its_mode_owner_and_times),
        ENGINE_TEST(a_small_file_has_its_bytes_and_its_times),
        ENGINE_TEST(runs_may_start_anywhere_and_come_in_any_order),
        ENGINE_TEST(many_files_in_several_folders_are_all_there),
        ENGINE_TEST(gaps_are_holes_that_read_as_zeros),
        ENGINE_TEST(a_file_of_more_chunks_than_there_are_is_written_whole),
        ENGINE_TEST(a_drain_gives_back_chunks_also_in_the_middle_of_a_file),
        ENGINE_TEST(owner_and_set_id_bits_are_kept),
        ENGINE_TEST(attributes_outlive_the_owner_and_decide_over_the_mode),
        ENGINE_TEST(a_file_that_is_there_already_is_a_failure_that_names_it),
        ENGINE_TEST(a_symlink_in_the_place_of_a_file_is_not_followed),
        ENGINE_TEST(a_folder_that_vanished_is_told),
        ENGINE_TEST(a_full_disk_is_a_condition_that_names_the_file),
        ENGINE_TEST(the_first_error_of_many_files_comes_out_and_chunks_come_back),
        ENGINE_TEST(closing_in_the_middle_leaves_nothing_open),
    };

    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
        tests[i].initial_state = (void *)engine;
    return cmocka_run_group_tests_name(engine->name, tests, NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest choice[] = {
        cmocka_unit_test(a_name_that_is_none_is_refused),
        cmocka_unit_test(without_io_uring_auto_is_plain_and_its_own_name_is_refused),
    };
    struct reason missing = {0};
    int failed;

    if (!io_rig_can_run())
        return 77;
    failed = cmocka_run_group_tests_name("choice", choice, NULL, NULL) + run_for(&io_engine_plain);
    if (io_engine_uring.probe(&missing) != 0) {
        printf("SKIPPED: the engine io_uring is not tested: %s\n", missing.text);
        return failed ? 1 : 77;
    }
    return failed + run_for(&io_engine_uring);
}
