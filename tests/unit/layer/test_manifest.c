/* SPDX-License-Identifier: Apache-2.0 */

/* Layers applied with a manifest, and trees that were changed behind its back. */

#include "layer/manifest.h"

#include "base/scoped.h"
#include "layer/layer.h"
#include "layer/manifest_check.h"
#include "unit/cmocka_setup.h"
#include "unit/layer/tar_builder.h"
#include "unit/layer/tree_rig.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

struct rig {
    struct tree_rig tree; /* first: the tree_rig functions take it */
    struct tar_builder tar;
    int manifest; /* of the last layer */
    bool complete;
    char found[4096];
    unsigned stop_at; /* differences, after which the visit ends it; 0: never */
};

static int setup(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));

    assert_non_null(rig);
    tree_rig_begin(&rig->tree);
    rig->manifest = -1;
    *state = rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;

    if (rig->manifest >= 0)
        close(rig->manifest);
    tar_builder_deinit(&rig->tar);
    return tree_rig_teardown(state);
}

static void add(struct rig *rig, char type, const char *name, const char *link)
{
    tar_builder_header(&rig->tar, &(struct tar_member){.name = name,
                                                       .type = type,
                                                       .link = link,
                                                       .mode = type == '5' ? 0755 : 0644,
                                                       .uid = 5,
                                                       .gid = 6,
                                                       .device_major = 1,
                                                       .device_minor = 3,
                                                       .format = TAR_FORMAT_USTAR});
}

/* Applies what was added, and notes it. */
static int apply(struct rig *rig)
{
    scoped_fd int blob = memfd_create("layer", MFD_CLOEXEC);
    struct layer_request request = {
        .blob = blob, .target = rig->tree.fd, .engine = &io_engine_plain, .writers = 2};
    struct layer_result result;
    int done;

    tar_builder_end(&rig->tar);
    assert_int_equal(write(blob, rig->tar.data, rig->tar.length), rig->tar.length);
    tar_builder_deinit(&rig->tar);
    if (rig->manifest >= 0)
        close(rig->manifest);
    rig->manifest = memfd_create("manifest", MFD_CLOEXEC);
    assert_int_equal(manifest_begin(&request.manifest, dup(rig->manifest), NULL), 0);
    done = layer_apply(&request, &result, &rig->tree.why);
    assert_int_equal(manifest_end(request.manifest, done == 0, NULL), 0);
    return done;
}

static int visit(void *context, struct bytes name, const char *what, struct reason *why)
{
    struct rig *rig = context;
    size_t used = strlen(rig->found);

    (void)why;
    snprintf(rig->found + used, sizeof(rig->found) - used, "%s%.*s: %s", used ? "; " : "",
             (int)name.length, (const char *)name.data, what);
    return rig->stop_at && --rig->stop_at == 0 ? CONDITION_CANCELLED : 0;
}

static int check(struct rig *rig, const atomic_bool *cancel)
{
    rig->found[0] = '\0';
    return manifest_check(rig->manifest, rig->tree.fd, cancel, NULL, &rig->complete, visit, rig,
                          &rig->tree.why);
}

static void finds(struct rig *rig, const char *wanted)
{
    assert_int_equal(check(rig, NULL), 0);
    assert_true(rig->complete);
    assert_string_equal(rig->found, wanted);
}

/* One of everything. */
static void apply_all_types(struct rig *rig)
{
    add(rig, '5', "d", NULL);
    tar_builder_file(&rig->tar, "d/f", "some bytes");
    tar_builder_file(&rig->tar, "d/empty", "");
    add(rig, '1', "d/hard", "d/f");
    add(rig, '2', "d/link", "/else/where");
    add(rig, '3', "d/null", NULL);
    add(rig, '6', "d/pipe", NULL);
    tar_builder_file(&rig->tar, "implied/f", "f");
    assert_int_equal(apply(rig), 0);
}

static void a_tree_as_its_layer_made_it_differs_in_nothing(void **state)
{
    struct rig *rig = *state;

    apply_all_types(rig);
    finds(rig, "");
}

static void each_change_is_named(void **state)
{
    struct rig *rig = *state;
    scoped_fd int file = -1;

    apply_all_types(rig);
    /* a byte, by whoever passes by the daemon; size and times stay */
    file = openat(rig->tree.fd, "implied/f", O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(file, "g", 1, 0), 1);
    finds(rig, "implied/f: its bytes are others");
    assert_int_equal(pwrite(file, "f", 1, 0), 1);
    finds(rig, "");
    assert_int_equal(ftruncate(file, 2), 0);
    finds(rig, "implied/f: its size is 2, not 1");
    assert_int_equal(ftruncate(file, 1), 0);
    assert_int_equal(fchmod(file, 04711), 0);
    assert_int_equal(fchown(file, 7, 8), 0);
    assert_int_equal(fchmod(file, 04711), 0);
    finds(rig, "implied/f: its mode is 4711, not 0644; implied/f: its owner is 7:8, not 0:0");
    assert_int_equal(unlinkat(rig->tree.fd, "implied/f", 0), 0);
    finds(rig, "implied/f: it is missing");
    assert_int_equal(mkdirat(rig->tree.fd, "implied/f", 0755), 0);
    finds(rig, "implied/f: it is a folder");
    assert_int_equal(unlinkat(rig->tree.fd, "implied/f", AT_REMOVEDIR), 0);
    tree_rig_file(&rig->tree, "implied/f", "f");
    tree_rig_file(&rig->tree, "implied/more", "f");
    tree_rig_file(&rig->tree, "d/a", "f");
    finds(rig, "d/a: it is not of the layer; implied/more: it is not of the layer");
    assert_int_equal(unlinkat(rig->tree.fd, "implied/more", 0), 0);
    assert_int_equal(unlinkat(rig->tree.fd, "d/a", 0), 0);
    assert_int_equal(unlinkat(rig->tree.fd, "d/link", 0), 0);
    tree_rig_symlink(&rig->tree, "d/link", "/else/were");
    assert_int_equal(fchownat(rig->tree.fd, "d/link", 5, 6, AT_SYMLINK_NOFOLLOW), 0);
    finds(rig, "d/link: it leads elsewhere");
    assert_int_equal(unlinkat(rig->tree.fd, "d/null", 0), 0);
    assert_int_equal(mknodat(rig->tree.fd, "d/null", S_IFCHR | 0644, makedev(1, 5)), 0);
    assert_int_equal(fchownat(rig->tree.fd, "d/null", 5, 6, AT_SYMLINK_NOFOLLOW), 0);
    assert_int_equal(fchmodat(rig->tree.fd, "d/null", 0644, 0), 0);
    finds(rig, "d/link: it leads elsewhere; d/null: it is device 1:5, not 1:3");
    /* what is outside the tree is not looked at for what is in it */
    assert_int_equal(renameat(rig->tree.fd, "implied", rig->tree.fd, "aside"), 0);
    tree_rig_symlink(&rig->tree, "implied", "aside");
    finds(rig, "d/link: it leads elsewhere; d/null: it is device 1:5, not 1:3; "
               "implied: it is a symlink; implied/f: it is missing");
}

static void what_the_layer_took_away_must_not_be_there(void **state)
{
    struct rig *rig = *state;

    tree_rig_folder(&rig->tree, "old");
    tree_rig_file(&rig->tree, "old/a", "a");
    tree_rig_file(&rig->tree, "old/b", "b");
    tree_rig_folder(&rig->tree, "gone");
    tree_rig_file(&rig->tree, "gone/x", "x");
    tree_rig_file(&rig->tree, "f", "old");
    tar_builder_file(&rig->tar, "f", "new");
    add(rig, '0', "old/.wh..wh..opq", NULL);
    tar_builder_file(&rig->tar, "old/b", "new");
    add(rig, '0', ".wh.gone", NULL);
    assert_int_equal(apply(rig), 0);
    finds(rig, "");
    tree_rig_file(&rig->tree, "old/a", "a");
    tree_rig_folder(&rig->tree, "gone");
    tree_rig_file(&rig->tree, "gone/x", "x");
    finds(rig, "gone: it is there, and the layer removed it; gone/x: it is there, and the layer "
               "removed it; old/a: it is there, and the layer removed it");
    /* what lower layers have in a folder that was there before is theirs */
    assert_int_equal(unlinkat(rig->tree.fd, "old/a", 0), 0);
    tree_rig_file(&rig->tree, "old/c", "c");
    assert_int_equal(unlinkat(rig->tree.fd, "gone/x", 0), 0);
    assert_int_equal(unlinkat(rig->tree.fd, "gone", AT_REMOVEDIR), 0);
    finds(rig, "");
}

static void the_last_entry_of_a_name_counts(void **state)
{
    struct rig *rig = *state;

    tar_builder_file(&rig->tar, "f", "one");
    add(rig, '5', "f", NULL);
    tar_builder_file(&rig->tar, "f/x", "x");
    tar_builder_file(&rig->tar, "f", "three");
    tar_builder_file(&rig->tar, "g", "g");
    add(rig, '0', ".wh.g", NULL);
    assert_int_equal(apply(rig), 0);
    finds(rig, "");
}

/* By the name that the layer uses and by another; through a symlink, too. */
static void hard_links_may_change_what_they_link_to(void **state)
{
    struct rig *rig = *state;

    tree_rig_file(&rig->tree, "below", "below");
    add(rig, '5', "d", NULL);
    add(rig, '2', "by", "d");
    tar_builder_file(&rig->tar, "by/f", "f");
    add(rig, '1', "hard", "by/f");
    add(rig, '1', "other", "below");
    assert_int_equal(apply(rig), 0);
    finds(rig, "");
    assert_int_equal(unlinkat(rig->tree.fd, "hard", 0), 0);
    finds(rig, "d/f: its owner is 5:6, not 0:0; hard: it is missing");
}

/* Only those of the same file, that is. */
static void a_hard_link_excuses_no_other_file(void **state)
{
    struct rig *rig = *state;

    tar_builder_file(&rig->tar, "f", "f");
    tar_builder_file(&rig->tar, "g", "g");
    tar_builder_file(&rig->tar, "h", "h");
    add(rig, '1', "f2", "f");
    add(rig, '1', "h2", "h");
    assert_int_equal(apply(rig), 0);
    finds(rig, "");
    assert_int_equal(fchownat(rig->tree.fd, "g", 5, 6, 0), 0); /* as the links are */
    finds(rig, "g: its owner is 5:6, not 0:0");
    assert_int_equal(fchmodat(rig->tree.fd, "f", 0600, 0), 0);
    finds(rig, "f: its mode is 0600, not 0644; f: its owner is 5:6, not 0:0; f2: its mode is 0600, "
               "not 0644; g: its owner is 5:6, not 0:0");
}

/* Notes files in a deep folder, which their entries call NAME (NULL: as it is called), until BYTES
 * are noted; the bytes that are kept of them. */
static off_t note_deep(struct rig *rig, const char *name, uint64_t bytes, struct reason *why)
{
    struct entry entry = {.type = ENTRY_FILE, .mode = 0644, .name = name, .link = ""};
    struct manifest *manifest;
    char folder[4000];
    struct stat before, after;

    if (rig->manifest >= 0)
        close(rig->manifest);
    rig->manifest = memfd_create("manifest", MFD_CLOEXEC);
    assert_int_equal(manifest_begin(&manifest, dup(rig->manifest), NULL), 0);
    memset(folder, 'd', sizeof(folder) - 1);
    folder[sizeof(folder) - 1] = '\0';
    if (!name)
        entry.name = folder;
    for (uint64_t noted = 0; noted < bytes;
         noted += sizeof(struct manifest_record) + sizeof(folder))
        manifest_put(manifest, folder, "f", &entry, false, "", 0);
    assert_int_equal(fstat(rig->manifest, &before), 0);
    (void)manifest_end(manifest, true, why);
    assert_int_equal(fstat(rig->manifest, &after), 0);
    if (before.st_size == 0)
        assert_int_equal(after.st_size, 0);
    return before.st_size; /* as it was before the layer ended */
}

static void a_manifest_that_gets_too_large_is_given_up(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};

    assert_true(note_deep(rig, NULL, MANIFEST_MOST - (1 << 20), &why) > 0);
    assert_string_equal(why.text, "");
    assert_int_equal(note_deep(rig, NULL, MANIFEST_MOST + (1 << 20), &why), 0);
    assert_non_null(strstr(why.text, "its names take more than 256 MiB"));
    /* short names of what lies deep, by a symlink, would make it many times as large as the layer
     */
    why = (struct reason){0};
    assert_true(note_deep(rig, "l/f", MANIFEST_EXCESS, &why) > 0);
    assert_string_equal(why.text, "");
    assert_int_equal(note_deep(rig, "l/f", MANIFEST_EXCESS * 2, &why), 0);
    assert_non_null(strstr(why.text, "4 MiB more than the layer spends on them"));
}

/* What the kernel makes of an entry is not always what the entry says. */
static void what_the_kernel_cannot_keep_is_no_difference(void **state)
{
    struct rig *rig = *state;

    tar_builder_header(&rig->tar, &(struct tar_member){.name = "nobody",
                                                       .type = '0',
                                                       .mode = 0644,
                                                       .uid = UINT32_MAX,
                                                       .gid = UINT32_MAX,
                                                       .format = TAR_FORMAT_GNU});
    tar_builder_header(&rig->tar, &(struct tar_member){.name = "device",
                                                       .type = '3',
                                                       .mode = 0644,
                                                       .device_major = 5000,
                                                       .device_minor = 1,
                                                       .format = TAR_FORMAT_USTAR});
    assert_int_equal(apply(rig), 0);
    finds(rig, "");
    assert_int_equal(unlinkat(rig->tree.fd, "device", 0), 0);
    assert_int_equal(mknodat(rig->tree.fd, "device", S_IFCHR | 0644, makedev(905, 1)), 0);
    finds(rig, "device: it is device 905:1, not 5000:1");
}

/* They are reached by a symlink that stands for most of the path. */
static void names_longer_than_a_path_are_left_out(void **state)
{
    struct rig *rig = *state;
    char deep[2 * 2000], name[256];

    for (size_t i = 0; i < sizeof(deep); i += 2)
        memcpy(deep + i, "d/", 2);
    deep[sizeof(deep) - 1] = '\0';
    tar_builder_pax(&rig->tar, "path", deep, NULL);
    add(rig, '5', "x", NULL);
    tar_builder_pax(&rig->tar, "linkpath", deep, NULL);
    add(rig, '2', "by", "x");
    snprintf(name, sizeof(name), "by/%0200d", 0);
    tar_builder_pax(&rig->tar, "path", name, NULL);
    tar_builder_file(&rig->tar, "x", "x");
    tar_builder_file(&rig->tar, "by/short", "y");
    assert_int_equal(apply(rig), 0);
    finds(rig, "");
}

static void holes_count_as_zeros(void **state)
{
    struct rig *rig = *state;
    scoped_fd int file = -1;

    tar_builder_pax(&rig->tar, "GNU.sparse.major", "1", "GNU.sparse.minor", "0", "GNU.sparse.name",
                    "huge", "GNU.sparse.realsize", "1099511627776", NULL);
    tar_builder_header(
        &rig->tar,
        &(struct tar_member){.name = "x", .type = '0', .size = 1024, .format = TAR_FORMAT_USTAR});
    tar_builder_data(&rig->tar, "1\n1048576\n512\n", 14);
    tar_builder_data(&rig->tar, "data", 4);
    assert_int_equal(apply(rig), 0);
    finds(rig, "");
    file = openat(rig->tree.fd, "huge", O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(file, "\0", 1, 1ll << 39), 1); /* no longer a hole, and the same */
    finds(rig, "");
    assert_int_equal(pwrite(file, "x", 1, 1ll << 38), 1);
    finds(rig, "huge: its bytes are others");
}

static void a_manifest_that_is_not_whole_tells_nothing(void **state)
{
    struct rig *rig = *state;
    char byte;
    off_t size;

    apply_all_types(rig);
    assert_int_equal(unlinkat(rig->tree.fd, "implied/f", 0), 0);
    size = lseek(rig->manifest, 0, SEEK_END);
    for (off_t at = 0; at < size; at++) { /* a damaged byte, wherever it is */
        assert_int_equal(pread(rig->manifest, &byte, 1, at), 1);
        byte ^= 0x20;
        assert_int_equal(pwrite(rig->manifest, &byte, 1, at), 1);
        assert_int_equal(check(rig, NULL), 0);
        assert_string_equal(rig->found, "");
        assert_false(rig->complete);
        byte ^= 0x20;
        assert_int_equal(pwrite(rig->manifest, &byte, 1, at), 1);
    }
    finds(rig, "implied/f: it is missing");
    while (size-- > 0) { /* an end that is missing, wherever it begins */
        assert_int_equal(ftruncate(rig->manifest, size), 0);
        assert_int_equal(check(rig, NULL), 0);
        assert_string_equal(rig->found, "");
        assert_false(rig->complete);
    }
}

static void a_layer_that_fails_leaves_none(void **state)
{
    struct rig *rig = *state;

    tar_builder_file(&rig->tar, "f", "f");
    add(rig, '1', "h", "nothing");
    assert_int_equal(apply(rig), CONDITION_INVALID);
    assert_int_equal(lseek(rig->manifest, 0, SEEK_END), 0);
}

static void many_names_are_all_compared(void **state)
{
    struct rig *rig = *state;
    char name[64];

    for (int i = 0; i < 3000; i++) {
        snprintf(name, sizeof(name), "folder%d/file%d", i % 10, i);
        tar_builder_file(&rig->tar, name, name);
    }
    assert_int_equal(apply(rig), 0);
    finds(rig, "");
    assert_int_equal(unlinkat(rig->tree.fd, "folder0/file0", 0), 0);
    assert_int_equal(unlinkat(rig->tree.fd, "folder9/file2999", 0), 0);
    finds(rig, "folder0/file0: it is missing; folder9/file2999: it is missing");
}

static void the_visitor_and_a_cancel_end_it(void **state)
{
    struct rig *rig = *state;
    const atomic_bool cancel = true;

    apply_all_types(rig);
    assert_int_equal(check(rig, &cancel), CONDITION_CANCELLED);
    assert_int_equal(manifest_check(rig->manifest, rig->tree.fd, NULL, &cancel, &rig->complete,
                                    visit, rig, &rig->tree.why),
                     CONDITION_NOT_FOUND); /* it is removed */
    assert_int_equal(unlinkat(rig->tree.fd, "d/f", 0), 0);
    assert_int_equal(unlinkat(rig->tree.fd, "d/pipe", 0), 0);
    rig->stop_at = 1;
    assert_int_equal(check(rig, NULL), CONDITION_CANCELLED);
    assert_string_equal(rig->found, "d/f: it is missing");
}

#define with_rig(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_rig(a_tree_as_its_layer_made_it_differs_in_nothing),
        with_rig(each_change_is_named),
        with_rig(what_the_layer_took_away_must_not_be_there),
        with_rig(the_last_entry_of_a_name_counts),
        with_rig(hard_links_may_change_what_they_link_to),
        with_rig(a_hard_link_excuses_no_other_file),
        with_rig(a_manifest_that_gets_too_large_is_given_up),
        with_rig(what_the_kernel_cannot_keep_is_no_difference),
        with_rig(names_longer_than_a_path_are_left_out),
        with_rig(holes_count_as_zeros),
        with_rig(a_manifest_that_is_not_whole_tells_nothing),
        with_rig(a_layer_that_fails_leaves_none),
        with_rig(many_names_are_all_compared),
        with_rig(the_visitor_and_a_cancel_end_it),
    };

    if (!tree_rig_is_root())
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
