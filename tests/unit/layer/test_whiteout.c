/* SPDX-License-Identifier: Apache-2.0 */
/* Marks of deletion, on a tree that an earlier layer has filled with a, b and d/ and that this one
 * adds to. */
#include "layer/whiteout.h"

#include "unit/cmocka_setup.h"
#include "unit/layer/tree_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

struct rig {
    struct tree_rig *files;
    struct tree tree;
    struct directory *top;
    struct reason why;
};

static int setup(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    struct layer_request request = {.engine = &io_engine_plain};
    void *files;

    tree_rig_setup(&files);
    rig->files = files;
    tree_rig_folder(rig->files, "t");
    tree_rig_file(rig->files, "t/a", "1");
    tree_rig_file(rig->files, "t/b", "2");
    tree_rig_folder(rig->files, "t/d");
    tree_rig_file(rig->files, "t/d/e", "3");
    request.target = openat(rig->files->fd, "t", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(tree_init(&rig->tree, &request, 1, &rig->why), 0);
    close(request.target);
    assert_int_equal(tree_folder(&rig->tree, "", false, &rig->top, &rig->why), 0);
    assert_non_null(rig->top);
    *state = rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;
    void *files = rig->files;

    directory_unref(rig->top);
    tree_deinit(&rig->tree);
    free(rig);
    return tree_rig_teardown(&files);
}

/* As an entry of this layer: a file NAME at the top. */
static void add(struct rig *rig, const char *name)
{
    int fd = openat(rig->top->fd, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(tree_note(&rig->tree, rig->top, name, NAME_UNPACKED, &rig->why), 0);
    rig->tree.inodes++;
}

static int put_in(struct rig *rig, struct directory *parent, enum whiteout_style style,
                  const char *base)
{
    const struct entry entry = {.uid = 12, .gid = 34};
    enum whiteout_kind kind;

    rig->why = (struct reason){0};
    assert_int_equal(whiteout_of(base, &kind, &rig->why), 0);
    return whiteout_put(&rig->tree, style, parent, base, kind, &entry, &rig->why);
}

static int put(struct rig *rig, enum whiteout_style style, const char *base)
{
    return put_in(rig, rig->top, style, base);
}

static void holds(struct rig *rig, const char *wanted)
{
    assert_string_equal(tree_rig_list(rig->files, "t"), wanted);
}

/* ---- what a name says ---- */

static void names_that_are_marks_and_names_that_are_not(void **state)
{
    static const struct {
        const char *base;
        enum whiteout_kind wanted;
    } names[] = {
        {"a", WHITEOUT_NONE},
        {".wh", WHITEOUT_NONE},
        {"wh.a", WHITEOUT_NONE},
        {"a.wh.b", WHITEOUT_NONE},
        {".WH.a", WHITEOUT_NONE},
        {"", WHITEOUT_NONE},
        {".wh.a", WHITEOUT_NAME},
        {".wh..a", WHITEOUT_NAME},
        {".wh....", WHITEOUT_NAME},
        {".wh..wh.a", WHITEOUT_NAME},
        {".wh..wh..opq", WHITEOUT_OPAQUE},
        {".wh..wh..opqx", WHITEOUT_NAME},
    };
    struct reason why;
    enum whiteout_kind kind;

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_int_equal(whiteout_of(names[i].base, &kind, &why), 0);
        assert_int_equal(kind, names[i].wanted);
    }
}

static void marks_that_would_reach_out_of_their_folder_are_refused(void **state)
{
    static const char *const names[] = {".wh.", ".wh..", ".wh..."};
    struct reason why = {0};
    enum whiteout_kind kind;

    (void)state;
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(whiteout_of(names[i], &kind, &why), CONDITION_INVALID);
    assert_string_equal(why.text, "the whiteout \".wh...\" names nothing in its folder; the layer "
                                  "must be built anew");
}

/* ---- in a tree that holds the lower layers' files ---- */

static void what_is_hidden_is_removed_whoever_put_it_there(void **state)
{
    struct rig *rig = *state;

    add(rig, "new");
    assert_int_equal(put(rig, WHITEOUT_DELETE, ".wh.new"), 0);
    assert_false(rig->tree.removed);
    assert_int_equal(rig->tree.inodes, 0);
    holds(rig, "a=1 b=2 d/ d/e=3");
    assert_int_equal(put(rig, WHITEOUT_DELETE, ".wh.a"), 0);
    assert_true(rig->tree.removed);
    assert_int_equal(put(rig, WHITEOUT_DELETE, ".wh.d"), 0);
    holds(rig, "b=2");
}

static void what_is_not_there_needs_no_hiding(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(put(rig, WHITEOUT_DELETE, ".wh.gone"), 0);
    assert_false(rig->tree.removed);
    holds(rig, "a=1 b=2 d/ d/e=3");
}

static void an_opaque_mark_leaves_what_this_layer_put_there(void **state)
{
    struct rig *rig = *state;

    add(rig, "new");
    assert_int_equal(put(rig, WHITEOUT_DELETE, ".wh..wh..opq"), 0);
    holds(rig, "new=");
    assert_true(rig->tree.removed);
}

/* Marks one below the other each pass over all that lies below and stays. */
static void opaque_marks_pass_over_so_much_and_no_more(void **state)
{
    struct rig *rig = *state;

    add(rig, "new");
    add(rig, "newer");
    rig->tree.kept = 2;
    assert_int_equal(put(rig, WHITEOUT_DELETE, ".wh..wh..opq"), 0);
    assert_int_equal(rig->tree.kept, 0);
    holds(rig, "new= newer=");
    assert_int_equal(tree_begin_entry(&rig->tree, &rig->why), 0);
    assert_int_equal(rig->tree.kept, TREE_KEPT_ENTRY);
    rig->tree.kept = 1;
    assert_int_equal(tree_remove_others(&rig->tree, rig->top, &rig->why), CONDITION_INVALID);
    assert_non_null(strstr(rig->why.text, "pass over too much of the layer"));
    assert_int_equal(rig->tree.kept, 0);
}

/* A second walk has nothing to remove but folders that no entry told of. */
static void a_second_mark_of_a_folder_is_passed_over(void **state)
{
    struct rig *rig = *state;
    scoped_directory struct directory *implied = NULL;

    assert_int_equal(put(rig, WHITEOUT_DELETE, ".wh..wh..opq"), 0);
    assert_int_equal(tree_folder(&rig->tree, "implied", true, &implied, &rig->why), 0);
    assert_int_equal(put(rig, WHITEOUT_DELETE, ".wh..wh..opq"), 0);
    holds(rig, "implied/");
    assert_int_equal(put_in(rig, implied, WHITEOUT_DELETE, ".wh..wh..opq"), 0); /* another */
}

/* ---- in an overlay's upper folder ---- */

static void an_overlay_gets_a_device_in_its_place(void **state)
{
    struct rig *rig = *state;
    struct stat status;

    assert_int_equal(put(rig, WHITEOUT_OVERLAY, ".wh.gone"), 0);
    holds(rig, "a=1 b=2 d/ d/e=3 gone{0,0}");
    status = tree_rig_stat(rig->files, "t/gone");
    assert_int_equal(status.st_uid, 12);
    assert_int_equal(status.st_gid, 34);
    assert_int_equal(rig->tree.inodes, 1);
}

static void in_an_overlay_nothing_that_is_there_can_be_hidden(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(put(rig, WHITEOUT_OVERLAY, ".wh.a"), CONDITION_INVALID);
    assert_string_equal(rig->why.text, "the layer deletes \"a\" after it has put it there; the "
                                       "layer must be built anew");
    assert_int_equal(put(rig, WHITEOUT_OVERLAY, ".wh.gone"), 0);
    assert_int_equal(put(rig, WHITEOUT_OVERLAY, ".wh.gone"), CONDITION_INVALID);
    holds(rig, "a=1 b=2 d/ d/e=3 gone{0,0}");
}

/* In a folder of the layer's own only what it has noted is there. */
static void a_mark_is_noted_as_something_that_is_there(void **state)
{
    struct rig *rig = *state;
    scoped_directory struct directory *made = NULL;

    assert_int_equal(tree_folder(&rig->tree, "made", true, &made, &rig->why), 0);
    assert_int_equal(put_in(rig, made, WHITEOUT_OVERLAY, ".wh.gone"), 0);
    assert_int_equal(put_in(rig, made, WHITEOUT_OVERLAY, ".wh.gone"), CONDITION_INVALID);
    holds(rig, "a=1 b=2 d/ d/e=3 made/ made/gone{0,0}");
}

static void an_overlay_is_told_that_a_folder_is_opaque(void **state)
{
    struct rig *rig = *state;
    char value[8];

    if (put(rig, WHITEOUT_OVERLAY, ".wh..wh..opq") == -EOPNOTSUPP) {
        print_message("the file system keeps no attributes\n");
        skip();
    }
    assert_string_equal(rig->why.text, "");
    assert_int_equal(fgetxattr(rig->top->fd, "trusted.overlay.opaque", value, sizeof(value)), 1);
    assert_int_equal(value[0], 'y');
    holds(rig, "a=1 b=2 d/ d/e=3");
}

int main(void)
{
#define in_tree(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_that_are_marks_and_names_that_are_not),
        cmocka_unit_test(marks_that_would_reach_out_of_their_folder_are_refused),
        in_tree(what_is_hidden_is_removed_whoever_put_it_there),
        in_tree(what_is_not_there_needs_no_hiding),
        in_tree(an_opaque_mark_leaves_what_this_layer_put_there),
        in_tree(opaque_marks_pass_over_so_much_and_no_more),
        in_tree(a_second_mark_of_a_folder_is_passed_over),
        in_tree(an_overlay_gets_a_device_in_its_place),
        in_tree(in_an_overlay_nothing_that_is_there_can_be_hidden),
        in_tree(a_mark_is_noted_as_something_that_is_there),
        in_tree(an_overlay_is_told_that_a_folder_is_opaque),
    };

    if (!tree_rig_is_root())
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
