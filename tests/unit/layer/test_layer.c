/* SPDX-License-Identifier: Apache-2.0 */

/* Whole layers, through layer.c, apply.c, tree.c and whiteout.c, into a scratch folder. */

#include "layer/layer.h"

#include "base/scoped.h"
#include "layer/room.h"
#include "unit/cmocka_setup.h"
#include "unit/layer/tar_builder.h"
#include "unit/layer/tree_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/xattr.h>

struct rig {
    struct tree_rig tree; /* first: the tree_rig functions take it */
    struct tar_builder tar;
    struct layer_request request;
    struct layer_result result;
};

static int setup(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));

    assert_non_null(rig);
    tree_rig_begin(&rig->tree);
    rig->request =
        (struct layer_request){.target = rig->tree.fd, .engine = &io_engine_plain, .writers = 2};
    *state = rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;

    tar_builder_deinit(&rig->tar);
    return tree_rig_teardown(state); /* frees the rig, whose first member it takes it for */
}

/* An entry of any type but a file with data. */
static void add(struct rig *rig, char type, const char *name, const char *link)
{
    tar_builder_header(&rig->tar, &(struct tar_member){.name = name,
                                                       .type = type,
                                                       .link = link,
                                                       .mode = type == '5' ? 0755 : 0644,
                                                       .mtime = 1000,
                                                       .format = TAR_FORMAT_USTAR});
}

static void add_file(struct rig *rig, const char *name, const char *text)
{
    tar_builder_file(&rig->tar, name, text);
}

/* Applies what was added, which is then forgotten. */
static int apply(struct rig *rig)
{
    scoped_fd int blob = memfd_create("layer", MFD_CLOEXEC);
    int result;

    tar_builder_end(&rig->tar);
    assert_true(blob >= 0);
    assert_int_equal(write(blob, rig->tar.data, rig->tar.length), rig->tar.length);
    tar_builder_deinit(&rig->tar);
    rig->request.blob = blob;
    rig->tree.why = (struct reason){0};
    result = layer_apply(&rig->request, &rig->result, &rig->tree.why);
    assert_int_equal(result != 0, rig->tree.why.text[0] != '\0');
    return result;
}

static void applies(struct rig *rig, const char *wanted)
{
    int result = apply(rig);

    if (result)
        print_error("%s\n", rig->tree.why.text);
    assert_int_equal(result, 0);
    assert_string_equal(tree_rig_list(&rig->tree, "."), wanted);
}

static void refuses(struct rig *rig, const char *words)
{
    assert_int_equal(apply(rig), CONDITION_INVALID);
    if (!strstr(rig->tree.why.text, words))
        print_error("%s\n", rig->tree.why.text);
    assert_non_null(strstr(rig->tree.why.text, words));
}

/* ---- what a layer makes ---- */

static void each_type_is_made(void **state)
{
    struct rig *rig = *state;

    add(rig, '5', "d/", NULL);
    add_file(rig, "d/f", "text");
    add(rig, '1', "d/h", "d/f");
    add(rig, '2', "d/l", "/else/where");
    add(rig, '6', "d/p", NULL);
    tar_builder_header(&rig->tar, &(struct tar_member){.name = "d/c",
                                                       .type = '3',
                                                       .device_major = 1,
                                                       .device_minor = 3,
                                                       .format = TAR_FORMAT_USTAR});
    applies(rig, "d/ d/c{1,3} d/f=text d/h=text d/l@/else/where d/p|");
    assert_int_equal(rig->result.entries, 6);
    assert_int_equal(rig->result.inodes, 5);
    assert_int_equal(rig->result.file_bytes, 4);
    assert_false(rig->result.removed);
    assert_int_equal(tree_rig_stat(&rig->tree, "d/f").st_nlink, 2);
}

/* What passed each stage, and that what took time was timed. */
static void stages_are_counted(void **state)
{
    struct rig *rig = *state;
    const struct stage_time *of = rig->result.stages.of;
    uint64_t running = 0;

    add_file(rig, "f", "text");
    add_file(rig, "g", "longer");
    rig->request.sync = true;
    assert_int_equal(apply(rig), 0);
    assert_int_equal(of[STAGE_INFLATE].bytes, rig->result.sum.size); /* not compressed */
    assert_int_equal(of[STAGE_HASH].bytes, rig->result.sum.size);
    assert_int_equal(of[STAGE_PARSE].bytes, rig->result.sum.size);
    assert_int_equal(of[STAGE_WRITE].bytes, 10);
    assert_true(of[STAGE_SYNC].waited > 0);
    for (unsigned i = 0; i < STAGES; i++)
        running += of[i].processor;
    assert_true(running > 0);
    for (unsigned i = 0; i < STAGES; i++) {
        bool runs = i != STAGE_HAND && i != STAGE_SYNC;

        assert_true((of[i].processor > 0) == runs);
        assert_true(i == STAGE_WRITE || of[i].waited <= rig->result.stages.elapsed);
    }
}

static void owners_modes_and_times_are_the_entrys(void **state)
{
    struct rig *rig = *state;
    struct stat status;

    tar_builder_pax(&rig->tar, "mtime", "1500.123456789", "atime", "1600.5", NULL);
    tar_builder_header(&rig->tar, &(struct tar_member){.name = "f",
                                                       .type = '0',
                                                       .mode = 06751,
                                                       .uid = 1234,
                                                       .gid = 5678,
                                                       .format = TAR_FORMAT_USTAR});
    tar_builder_header(&rig->tar, &(struct tar_member){.name = "d",
                                                       .type = '5',
                                                       .mode = 01700,
                                                       .uid = 42,
                                                       .mtime = 77,
                                                       .format = TAR_FORMAT_USTAR});
    add_file(rig, "d/later", "x");
    tar_builder_header(&rig->tar, &(struct tar_member){.name = "l",
                                                       .type = '2',
                                                       .link = "f",
                                                       .uid = 9,
                                                       .mtime = 88,
                                                       .format = TAR_FORMAT_USTAR});
    assert_int_equal(apply(rig), 0);
    status = tree_rig_stat(&rig->tree, "f");
    assert_int_equal(status.st_mode & 07777, 06751);
    assert_int_equal(status.st_uid, 1234);
    assert_int_equal(status.st_gid, 5678);
    assert_int_equal(status.st_mtim.tv_sec, 1500);
    assert_int_equal(status.st_mtim.tv_nsec, 123456789);
    assert_int_equal(status.st_atim.tv_sec, 1600);
    status = tree_rig_stat(&rig->tree, "d");
    assert_int_equal(status.st_mode & 07777, 01700);
    assert_int_equal(status.st_uid, 42);
    assert_int_equal(status.st_mtim.tv_sec, 77); /* although a file was made in it later */
    status = tree_rig_stat(&rig->tree, "l");
    assert_int_equal(status.st_uid, 9);
    assert_int_equal(status.st_mtim.tv_sec, 88);
}

static void the_access_time_is_the_later_of_the_two(void **state)
{
    struct rig *rig = *state;

    tar_builder_pax(&rig->tar, "mtime", "1500", "atime", "1400", NULL);
    add_file(rig, "f", "");
    assert_int_equal(apply(rig), 0);
    assert_int_equal(tree_rig_stat(&rig->tree, "f").st_atim.tv_sec, 1500);
}

/* By then a symlink may be where the folder was: the times are of where it leads. */
static void times_of_folders_follow_what_is_there_in_the_end(void **state)
{
    struct rig *rig = *state;

    add(rig, '5', "e", NULL);
    tar_builder_header(
        &rig->tar,
        &(struct tar_member){
            .name = "d", .type = '5', .mode = 0755, .mtime = 77, .format = TAR_FORMAT_USTAR});
    add(rig, '2', "d", "e");
    applies(rig, "d@e e/");
    assert_int_equal(tree_rig_stat(&rig->tree, "e").st_mtim.tv_sec, 77);
    assert_int_equal(tree_rig_stat(&rig->tree, "d").st_mtim.tv_sec, 1000);
}

static void missing_parents_are_made(void **state)
{
    struct rig *rig = *state;
    struct stat status;

    add_file(rig, "a/b/c", "x");
    applies(rig, "a/ a/b/ a/b/c=x");
    status = tree_rig_stat(&rig->tree, "a/b");
    assert_int_equal(status.st_mode & 07777, 0755);
    assert_int_equal(rig->result.entries, 1);
    assert_int_equal(rig->result.inodes, 3);
}

static void many_files_over_many_folders_arrive_whole(void **state)
{
    struct rig *rig = *state;
    char name[32], text[32];

    for (int i = 0; i < 1500; i++) {
        snprintf(name, sizeof(name), "d%d/f%d", i % 300, i);
        snprintf(text, sizeof(text), "text %d", i);
        add_file(rig, name, text);
    }
    assert_int_equal(apply(rig), 0);
    assert_int_equal(rig->result.inodes, 1800);
    for (int i = 0; i < 1500; i++) {
        char found[32] = "";
        scoped_fd int fd = -1;

        snprintf(name, sizeof(name), "d%d/f%d", i % 300, i);
        snprintf(text, sizeof(text), "text %d", i);
        fd = openat(rig->tree.fd, name, O_RDONLY | O_CLOEXEC);
        assert_true(read(fd, found, sizeof(found) - 1) >= 0);
        assert_string_equal(found, text);
    }
}

static void attributes_are_set_but_those_of_the_overlay(void **state)
{
    struct rig *rig = *state;
    char path[PATH_MAX], value[16] = "";

    tar_builder_pax(&rig->tar, "SCHILY.xattr.user.color", "blue", "SCHILY.xattr.trusted.x", "y",
                    NULL);
    add_file(rig, "f", "x");
    tar_builder_pax(&rig->tar, "SCHILY.xattr.user.color", "red", NULL);
    add(rig, '5', "d", NULL);
    tar_builder_pax(&rig->tar, "SCHILY.xattr.user.color", "none", NULL);
    add(rig, '2', "l", "f");
    applies(rig, "d/ f=x l@f");
    snprintf(path, sizeof(path), "%s/f", rig->tree.path);
    assert_int_equal(getxattr(path, "user.color", value, sizeof(value)), 4);
    assert_string_equal(value, "blue");
    assert_int_equal(getxattr(path, "trusted.x", value, sizeof(value)), -1);
    snprintf(path, sizeof(path), "%s/d", rig->tree.path);
    assert_int_equal(getxattr(path, "user.color", value, sizeof(value)), 3);
}

/* ---- one thing over another ---- */

static void a_later_entry_replaces_an_earlier_one(void **state)
{
    struct rig *rig = *state;

    add_file(rig, "x", "file");
    add(rig, '5', "x", NULL);
    add_file(rig, "x/in", "1");
    add_file(rig, "y/deep/in", "2");
    add_file(rig, "y", "file");
    add_file(rig, "z", "one");
    add_file(rig, "z", "two");
    add(rig, '2', "s", "nowhere");
    add_file(rig, "s", "a file");
    applies(rig, "s=a file x/ x/in=1 y=file z=two");
    assert_int_equal(rig->result.inodes, 5);
    assert_false(rig->result.removed); /* all of it was the layer's own */
}

static void a_folder_over_a_folder_keeps_its_children(void **state)
{
    struct rig *rig = *state;

    tree_rig_folder(&rig->tree, "d");
    tree_rig_file(&rig->tree, "d/lower", "1");
    tar_builder_header(
        &rig->tar,
        &(struct tar_member){
            .name = "d", .type = '5', .mode = 0711, .mtime = 5, .format = TAR_FORMAT_USTAR});
    add_file(rig, "d/upper", "2");
    applies(rig, "d/ d/lower=1 d/upper=2");
    assert_int_equal(tree_rig_stat(&rig->tree, "d").st_mode & 07777, 0711);
    assert_int_equal(tree_rig_stat(&rig->tree, "d").st_mtim.tv_sec, 5);
    assert_false(rig->result.removed);
    assert_int_equal(rig->result.inodes, 1);
}

static void what_lies_below_is_replaced_and_told(void **state)
{
    struct rig *rig = *state;

    tree_rig_folder(&rig->tree, "d");
    tree_rig_file(&rig->tree, "d/f", "1");
    tree_rig_file(&rig->tree, "f", "old");
    tree_rig_symlink(&rig->tree, "l", "d");
    add_file(rig, "d", "file");
    add(rig, '5', "f", NULL);
    add(rig, '5', "l", NULL);
    applies(rig, "d=file f/ l/");
    assert_true(rig->result.removed);
}

static void hard_links_reach_into_lower_layers(void **state)
{
    struct rig *rig = *state;

    tree_rig_folder(&rig->tree, "d");
    tree_rig_file(&rig->tree, "d/f", "lower");
    tree_rig_symlink(&rig->tree, "way", "d");
    add(rig, '1', "h", "d/f");
    add(rig, '1', "i", "/way/f");
    add(rig, '1', "j", "way/../d/./f");
    applies(rig, "d/ d/f=lower h=lower i=lower j=lower way@d");
    assert_int_equal(tree_rig_stat(&rig->tree, "h").st_nlink, 4);
    assert_int_equal(rig->result.inodes, 0);
}

static void hard_links_to_nothing_are_refused(void **state)
{
    struct rig *rig = *state;

    add(rig, '1', "h", "none");
    refuses(rig, "entry \"h\": a hard link to \"none\"");
    add(rig, '1', "h", "none/at/all");
    refuses(rig, "a hard link to \"none/at/all\"");
    add(rig, '1', "h", "h");
    refuses(rig, "a hard link to \"h\"");
    add(rig, '5', "d", NULL);
    add(rig, '1', "h", "d");
    refuses(rig, "is a folder");
    add(rig, '1', "h", "/");
    refuses(rig, "own root");
}

/* ---- whiteouts ---- */

static void whiteouts_remove_what_lies_below(void **state)
{
    struct rig *rig = *state;

    tree_rig_folder(&rig->tree, "d");
    tree_rig_folder(&rig->tree, "d/sub");
    tree_rig_file(&rig->tree, "d/sub/f", "1");
    tree_rig_file(&rig->tree, "d/gone", "2");
    tree_rig_file(&rig->tree, "d/kept", "3");
    tree_rig_symlink(&rig->tree, "l", "d");
    add_file(rig, "d/.wh.sub", "");
    add_file(rig, "l/.wh.gone", "");
    add_file(rig, "d/.wh.none", "");
    applies(rig, "d/ d/kept=3 l@d");
    assert_true(rig->result.removed);
    assert_int_equal(rig->result.inodes, 0);
}

static void an_opaque_folder_keeps_what_the_layer_put_there(void **state)
{
    struct rig *rig = *state;

    tree_rig_folder(&rig->tree, "d");
    tree_rig_folder(&rig->tree, "d/sub");
    tree_rig_file(&rig->tree, "d/sub/low", "1");
    tree_rig_folder(&rig->tree, "d/other");
    tree_rig_file(&rig->tree, "d/other/low", "2");
    add_file(rig, "d/before", "b");
    add(rig, '5', "d/sub", NULL);
    add_file(rig, "d/sub/up", "u");
    add_file(rig, "d/.wh..wh..opq", "");
    add_file(rig, "d/after", "a");
    applies(rig, "d/ d/after=a d/before=b d/sub/ d/sub/up=u");
}

static void a_whiteout_that_names_no_child_is_refused(void **state)
{
    static const char *const names[] = {"d/.wh.", "d/.wh..", "d/.wh..."};
    struct rig *rig = *state;

    for (size_t i = 0; i < 3; i++) {
        add_file(rig, names[i], "");
        refuses(rig, "names nothing in its folder");
    }
    assert_string_equal(tree_rig_list(&rig->tree, "."), "d/");
}

static void an_overlay_gets_its_own_marks(void **state)
{
    struct rig *rig = *state;
    char path[PATH_MAX], value;

    rig->request.whiteouts = WHITEOUT_OVERLAY;
    add(rig, '5', "d", NULL);
    add_file(rig, "d/.wh.gone", "");
    add_file(rig, "o/.wh..wh..opq", "");
    applies(rig, "d/ d/gone{0,0} o/");
    snprintf(path, sizeof(path), "%s/o", rig->tree.path);
    assert_int_equal(getxattr(path, "trusted.overlay.opaque", &value, 1), 1);
    assert_int_equal(value, 'y');
    add_file(rig, "e/f", "x");
    add_file(rig, "e/.wh.f", "");
    refuses(rig, "deletes \"f\" after it has put it there");
}

static void an_implied_parent_takes_after_the_nearest_lower(void **state)
{
    struct rig *rig = *state;
    char near[80], far[80];
    const char *const lowers[] = {near, far, NULL};
    struct stat status;
    scoped_fd int upper = -1;
    const struct timespec times[2] = {{.tv_sec = 11}, {.tv_sec = 22}};

    snprintf(near, sizeof(near), "%s/near", rig->tree.path);
    snprintf(far, sizeof(far), "%s/far", rig->tree.path);
    tree_rig_folder(&rig->tree, "near");
    tree_rig_folder(&rig->tree, "near/a");
    tree_rig_file(&rig->tree, "near/c", "hides");
    tree_rig_folder(&rig->tree, "far");
    tree_rig_folder(&rig->tree, "far/a");
    tree_rig_folder(&rig->tree, "far/b");
    tree_rig_folder(&rig->tree, "far/c");
    tree_rig_folder(&rig->tree, "upper");
    assert_int_equal(fchmodat(rig->tree.fd, "near/a", 01777, 0), 0);
    assert_int_equal(fchmodat(rig->tree.fd, "far/b", 0700, 0), 0);
    assert_int_equal(fchmodat(rig->tree.fd, "far/c", 0700, 0), 0);
    assert_int_equal(fchownat(rig->tree.fd, "far/b", 12, 34, 0), 0);
    assert_int_equal(utimensat(rig->tree.fd, "far/b", times, 0), 0);
    upper = openat(rig->tree.fd, "upper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    rig->request.target = upper;
    rig->request.whiteouts = WHITEOUT_OVERLAY;
    rig->request.lowers = lowers;
    add_file(rig, "a/f", "1");
    add(rig, '5', "b/d", NULL);
    add_file(rig, "c/f", "3");
    assert_int_equal(apply(rig), 0);
    assert_string_equal(tree_rig_list(&rig->tree, "upper"), "a/ a/f=1 b/ b/d/ c/ c/f=3");
    assert_int_equal(tree_rig_stat(&rig->tree, "upper/a").st_mode & 07777, 01777);
    status = tree_rig_stat(&rig->tree, "upper/b");
    assert_int_equal(status.st_mode & 07777, 0700);
    assert_int_equal(status.st_uid, 12);
    assert_int_equal(status.st_gid, 34);
    /* what is nearest hides the rest, if it is no folder, too */
    assert_int_equal(tree_rig_stat(&rig->tree, "upper/c").st_mode & 07777, 0755);
}

/* ---- nothing leaves the target ---- */

static void symlinks_lead_nowhere_outside(void **state)
{
    struct rig *rig = *state;
    scoped_fd int inner = -1;

    tree_rig_folder(&rig->tree, "inner");
    tree_rig_folder(&rig->tree, "outer");
    inner = openat(rig->tree.fd, "inner", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    rig->request.target = inner;
    add(rig, '2', "up", "../outer");
    add(rig, '2', "root", "/");
    add(rig, '2', "far", rig->tree.path);
    add_file(rig, "up/f", "1");
    add_file(rig, "root/g", "2");
    add_file(rig, "../h", "3");
    add_file(rig, "/../../i", "4");
    add_file(rig, "up/.wh..wh..opq", "");
    assert_int_equal(apply(rig), 0);
    assert_string_equal(tree_rig_list(&rig->tree, "outer"), "");
    assert_int_equal(tree_rig_stat(&rig->tree, "inner/outer/f").st_size, 1);
    assert_int_equal(tree_rig_stat(&rig->tree, "inner/g").st_size, 1);
    assert_int_equal(tree_rig_stat(&rig->tree, "inner/h").st_size, 1);
    assert_int_equal(tree_rig_stat(&rig->tree, "inner/i").st_size, 1);
    add_file(rig, "far/leak", "5");
    assert_int_equal(apply(rig), 0);
    assert_int_equal(faccessat(rig->tree.fd, "leak", F_OK, 0), -1);
}

static void something_in_a_file_is_refused(void **state)
{
    struct rig *rig = *state;

    add_file(rig, "f", "x");
    add_file(rig, "f/g", "y");
    refuses(rig, "is no folder");
}

static void a_name_of_256_bytes_is_refused(void **state)
{
    struct rig *rig = *state;
    char name[NAME_MAX + 3];

    memset(name, 'n', sizeof(name));
    name[NAME_MAX + 1] = '\0';
    tar_builder_pax(&rig->tar, "path", name, NULL);
    add_file(rig, "short", "x");
    refuses(rig, "255 bytes");
    strcpy(name + NAME_MAX + 1, "/");
    tar_builder_pax(&rig->tar, "path", name, NULL);
    add(rig, '5', "short", NULL);
    refuses(rig, "255 bytes");
    name[NAME_MAX] = '\0';
    tar_builder_pax(&rig->tar, "path", name, NULL);
    add_file(rig, "short", "x");
    assert_int_equal(apply(rig), 0);
}

/* ---- ends ---- */

static void an_archive_that_is_cut_off_ends_cleanly(void **state)
{
    struct rig *rig = *state;
    /* in a header, in a file's text, in the next header, in that file's text */
    static const size_t cuts[] = {700, 1030, 2000, 2050};

    for (size_t i = 0; i < 4; i++) {
        scoped_fd int blob = memfd_create("layer", MFD_CLOEXEC);

        add(rig, '5', "d", NULL);
        add_file(rig, "d/f", "some text");
        add_file(rig, "d/g", "more");
        assert_int_equal(write(blob, rig->tar.data, cuts[i]), cuts[i]);
        rig->request.blob = blob;
        tar_builder_deinit(&rig->tar);
        assert_int_equal(layer_apply(&rig->request, &rig->result, &rig->tree.why),
                         CONDITION_INVALID);
    }
}

static void a_cancel_ends_it(void **state)
{
    struct rig *rig = *state;
    atomic_bool cancel = true;

    rig->request.cancel = &cancel;
    add_file(rig, "f", "x");
    assert_int_equal(apply(rig), CONDITION_CANCELLED);
}

static void a_folder_that_the_layer_takes_away_again_is_refused(void **state)
{
    struct rig *rig = *state;

    add(rig, '5', "d", NULL);
    add_file(rig, ".wh.d", "");
    refuses(rig, "takes it away again");
}

/* Says that all went well until the last moment. */
static int full_write(struct io_engine_handle *handle, struct chunk *chunk, const uint8_t *data,
                      size_t length, uint64_t offset, struct reason *why)
{
    (void)handle;
    (void)chunk;
    (void)data;
    (void)length;
    (void)offset;
    return refuse(why, CONDITION_EXHAUSTED, "the disk is full");
}

static void a_full_disk_ends_it_with_its_own_sentence(void **state)
{
    struct rig *rig = *state;
    struct io_engine full = io_engine_plain;
    char name[16];

    full.write = full_write;
    rig->request.engine = &full;
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof(name), "f%d", i);
        add_file(rig, name, i < 50 ? "" : "text");
    }
    assert_int_equal(apply(rig), CONDITION_EXHAUSTED);
    assert_non_null(strstr(rig->tree.why.text, "the disk is full"));
    add_file(rig, "last", "text");
    assert_int_equal(apply(rig), CONDITION_EXHAUSTED);
}

static void the_size_limit_holds(void **state)
{
    struct rig *rig = *state;

    rig->request.size_limit = 1024;
    add_file(rig, "f", "x");
    assert_int_equal(apply(rig), CONDITION_EXHAUSTED);
}

static void device_nodes_are_refused_where_they_are_not_allowed(void **state)
{
    struct rig *rig = *state;

    rig->request.refuse_devices = true;
    for (char type = '3'; type <= '4'; type++) {
        tar_builder_header(&rig->tar, &(struct tar_member){.name = "n",
                                                           .type = type,
                                                           .device_major = 8,
                                                           .device_minor = 3,
                                                           .format = TAR_FORMAT_USTAR});
        refuses(rig, type == '3' ? "entry \"n\": a character device (8:3), and "
                                   "apply.allow_device_nodes is false"
                                 : "a block device (8:3)");
    }
    add(rig, '6', "p", NULL);
    applies(rig, "p|");
}

/* A file larger than any file system takes has no data for it: it is a map with one hole. */
static void a_file_larger_than_the_file_system_takes_is_refused(void **state)
{
    struct rig *rig = *state;

    tar_builder_pax(&rig->tar, "GNU.sparse.major", "1", "GNU.sparse.minor", "0", "GNU.sparse.name",
                    "huge", "GNU.sparse.realsize", "9223372036854775807", NULL);
    tar_builder_header(
        &rig->tar,
        &(struct tar_member){.name = "x", .type = '0', .size = 512, .format = TAR_FORMAT_USTAR});
    tar_builder_data(&rig->tar, "1\n9223372036854775807\n0\n", 24);
    if (apply(rig) == 0) { /* btrfs takes it */
        assert_int_equal(tree_rig_stat(&rig->tree, "huge").st_size, INT64_MAX);
        return;
    }
    assert_non_null(strstr(rig->tree.why.text, "larger than the file system takes"));
}

static void data_that_a_map_has_no_place_for_is_refused(void **state)
{
    struct rig *rig = *state;

    tar_builder_pax(&rig->tar, "GNU.sparse.major", "1", "GNU.sparse.minor", "0", "GNU.sparse.name",
                    "empty", "GNU.sparse.realsize", "0", NULL);
    tar_builder_header(
        &rig->tar,
        &(struct tar_member){.name = "x", .type = '0', .size = 1024, .format = TAR_FORMAT_USTAR});
    tar_builder_data(&rig->tar, "0\n", 2);
    tar_builder_data(&rig->tar, "surplus", 7);
    assert_int_equal(apply(rig), CONDITION_INVALID);
}

/* What was asked of a layer_room, and what it answers. */
struct watch {
    unsigned looks, settled;
    uint64_t most; /* pending */
    uint64_t room; /* bytes; what is pending beyond it is refused */
    bool full;     /* all is refused */
};

static int watch_look(void *context, uint64_t pending, bool settled, struct reason *why)
{
    struct watch *watch = context;

    watch->looks++;
    watch->settled += settled;
    if (pending > watch->most)
        watch->most = pending;
    return watch->full || pending > watch->room ? refuse(why, CONDITION_EXHAUSTED, "it is full")
                                                : 0;
}

static void add_large_file(struct rig *rig, size_t size)
{
    char *data = calloc(1, size);

    assert_non_null(data);
    tar_builder_header(&rig->tar, &(struct tar_member){.name = "large",
                                                       .type = '0',
                                                       .size = (int64_t)size,
                                                       .format = TAR_FORMAT_USTAR});
    tar_builder_data(&rig->tar, data, size);
    free(data);
}

static void room_is_asked_for_at_the_start_and_on_the_way(void **state)
{
    struct rig *rig = *state;
    struct watch watch = {.room = UINT64_MAX};
    const struct layer_room room = {watch_look, &watch, 4096};

    rig->request.room = &room;
    add_large_file(rig, 4 * ROOM_STEP);
    assert_int_equal(apply(rig), 0);
    assert_in_range(watch.looks, 4, 5);
    assert_int_equal(watch.settled, 0);
    assert_in_range(watch.most, 4 * ROOM_STEP, 6 * ROOM_STEP);
}

static void what_may_not_count_yet_is_settled_before_it_is_refused(void **state)
{
    struct rig *rig = *state;
    struct watch watch = {.room = 2 * ROOM_STEP};
    const struct layer_room room = {watch_look, &watch, 4096};

    rig->request.room = &room;
    add_large_file(rig, 4 * ROOM_STEP);
    assert_int_equal(apply(rig), 0);
    assert_in_range(watch.settled, 1, 4);
    assert_int_equal(rig->result.file_bytes, 4 * ROOM_STEP);
}

/* A name of 4 KiB makes 2,000 folders, which are weighed as entries are. */
static void missing_parents_take_room_as_well(void **state)
{
    struct rig *rig = *state;
    struct watch watch = {.room = UINT64_MAX};
    const struct layer_room room = {watch_look, &watch, 4096};
    char deep[2 * 2000 + 2];

    rig->request.room = &room;
    for (size_t i = 0; i < 2000; i++)
        memcpy(deep + 2 * i, "a/", 2);
    strcpy(deep + 2 * 2000, "f");
    for (char top = 'a'; top <= 'c'; top++) {
        deep[0] = top;
        tar_builder_pax(&rig->tar, "path", deep, NULL);
        add_file(rig, "f", "text");
    }
    assert_int_equal(apply(rig), 0);
    assert_int_equal(watch.looks, 2);
    assert_true(watch.most >= 2 * 2000 * ROOM_ENTRY);
}

/* A sparse file of COUNT bytes with a hole before each. */
static void add_holes(struct rig *rig, unsigned count)
{
    size_t room = 16 * (size_t)count + 64, used;
    char *map = malloc(room + 2 * TAR_BLOCK + count);
    char size[32];

    assert_non_null(map);
    used = (size_t)sprintf(map, "%u\n", count);
    for (unsigned i = 0; i < count; i++)
        used += (size_t)sprintf(map + used, "%u\n1\n", 8192 * i + 4096);
    assert_true(used < room);
    while (used % TAR_BLOCK)
        map[used++] = '\0';
    memset(map + used, 'x', count);
    used += count;
    snprintf(size, sizeof(size), "%u", 8192 * count);
    tar_builder_pax(&rig->tar, "GNU.sparse.major", "1", "GNU.sparse.minor", "0", "GNU.sparse.name",
                    "sparse", "GNU.sparse.realsize", size, NULL);
    tar_builder_header(&rig->tar, &(struct tar_member){.name = "x",
                                                       .type = '0',
                                                       .size = (int64_t)used,
                                                       .format = TAR_FORMAT_USTAR});
    tar_builder_data(&rig->tar, map, used);
    free(map);
}

static void bytes_between_holes_take_room_as_blocks(void **state)
{
    struct rig *rig = *state;
    struct watch watch = {.room = UINT64_MAX};
    const struct layer_room room = {watch_look, &watch, 4096};

    rig->request.room = &room;
    add_holes(rig, 5000);
    assert_int_equal(apply(rig), 0);
    assert_int_equal(watch.looks, 3); /* 20 MB, though they are 5 KB */
    assert_true(watch.most >= 2 * ROOM_STEP);
    assert_in_range(rig->result.file_bytes, 5000 * 4096, 5000 * (4096 + 1));
    assert_true(tree_rig_stat(&rig->tree, "sparse").st_blocks >= 5000 * 8);
}

/* Those of a thin pool are of 64 KiB, or as large as its owner made them. Eight of the bytes share
 * one. */
static void blocks_are_as_large_as_the_place_has_them(void **state)
{
    struct rig *rig = *state;
    struct watch watch = {.room = 20 << 20};
    const struct layer_room room = {watch_look, &watch, 65536};

    rig->request.room = &room;
    add_holes(rig, 5000);
    assert_int_equal(apply(rig), 0); /* all is on the disk in the end, which is what counts */
    assert_in_range(watch.settled, 1, 5);
    assert_in_range(rig->result.file_bytes, 625 * 65536, 626 * 65536 + 5000);
}

static void what_an_entry_takes_away_is_no_room_taken(void **state)
{
    struct rig *rig = *state;
    struct watch watch = {.room = UINT64_MAX};
    const struct layer_room room = {watch_look, &watch, 4096};
    char name[16];

    rig->request.room = &room;
    for (int i = 0; i < 3000; i++) {
        snprintf(name, sizeof(name), "d/f%d", i);
        add_file(rig, name, "x");
    }
    add_file(rig, "d", "x");
    for (int i = 0; i < 3000; i++)
        add_file(rig, "f", "x");
    assert_int_equal(apply(rig), 0);
    assert_true(watch.most < 2 * 6100 * ROOM_ENTRY);
}

static void attributes_take_room_as_well(void **state)
{
    struct rig *rig = *state;
    struct watch watch = {.room = UINT64_MAX};
    const struct layer_room room = {watch_look, &watch, 4096};
    char value[3000], name[16];

    rig->request.room = &room;
    memset(value, 'v', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    for (int i = 0; i < 1500; i++) { /* 6 MiB as entries alone */
        snprintf(name, sizeof(name), "f%d", i);
        tar_builder_pax(&rig->tar, "SCHILY.xattr.user.color", value, NULL);
        add_file(rig, name, "x");
    }
    assert_int_equal(apply(rig), 0);
    assert_int_equal(watch.looks, 2);
}

static void a_layer_ends_where_no_room_is_left(void **state)
{
    struct rig *rig = *state;
    struct watch watch = {.full = true};
    const struct layer_room room = {watch_look, &watch, 4096};

    rig->request.room = &room;
    add_file(rig, "f", "text");
    assert_int_equal(apply(rig), CONDITION_EXHAUSTED);
    assert_non_null(strstr(rig->tree.why.text, "it is full"));
    assert_string_equal(tree_rig_list(&rig->tree, "."), "");
    assert_int_equal(watch.looks, 2);
    /* headers alone take room as well */
    watch = (struct watch){.room = ROOM_STEP + 4096 * 3};
    for (int i = 0; i < 3000; i++) {
        char name[16];

        snprintf(name, sizeof(name), "f%d", i);
        add(rig, '0', name, NULL);
    }
    assert_int_equal(apply(rig), 0);
    assert_int_equal(watch.settled, 1);
}

#define with_rig(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_rig(each_type_is_made),
        with_rig(stages_are_counted),
        with_rig(owners_modes_and_times_are_the_entrys),
        with_rig(the_access_time_is_the_later_of_the_two),
        with_rig(times_of_folders_follow_what_is_there_in_the_end),
        with_rig(missing_parents_are_made),
        with_rig(many_files_over_many_folders_arrive_whole),
        with_rig(attributes_are_set_but_those_of_the_overlay),
        with_rig(a_later_entry_replaces_an_earlier_one),
        with_rig(a_folder_over_a_folder_keeps_its_children),
        with_rig(what_lies_below_is_replaced_and_told),
        with_rig(hard_links_reach_into_lower_layers),
        with_rig(hard_links_to_nothing_are_refused),
        with_rig(whiteouts_remove_what_lies_below),
        with_rig(an_opaque_folder_keeps_what_the_layer_put_there),
        with_rig(a_whiteout_that_names_no_child_is_refused),
        with_rig(an_overlay_gets_its_own_marks),
        with_rig(an_implied_parent_takes_after_the_nearest_lower),
        with_rig(symlinks_lead_nowhere_outside),
        with_rig(something_in_a_file_is_refused),
        with_rig(a_name_of_256_bytes_is_refused),
        with_rig(an_archive_that_is_cut_off_ends_cleanly),
        with_rig(a_cancel_ends_it),
        with_rig(a_folder_that_the_layer_takes_away_again_is_refused),
        with_rig(a_full_disk_ends_it_with_its_own_sentence),
        with_rig(the_size_limit_holds),
        with_rig(device_nodes_are_refused_where_they_are_not_allowed),
        with_rig(a_file_larger_than_the_file_system_takes_is_refused),
        with_rig(room_is_asked_for_at_the_start_and_on_the_way),
        with_rig(what_may_not_count_yet_is_settled_before_it_is_refused),
        with_rig(missing_parents_take_room_as_well),
        with_rig(bytes_between_holes_take_room_as_blocks),
        with_rig(blocks_are_as_large_as_the_place_has_them),
        with_rig(what_an_entry_takes_away_is_no_room_taken),
        with_rig(data_that_a_map_has_no_place_for_is_refused),
        with_rig(attributes_take_room_as_well),
        with_rig(a_layer_ends_where_no_room_is_left),
    };

    if (!tree_rig_is_root())
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
