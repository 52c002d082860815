/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/directory.h"

#include "unit/cmocka_setup.h"
#include "unit/layer/tree_rig.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

/* The descriptors that are open in this process. */
static unsigned descriptors(void)
{
    DIR *listing = opendir("/proc/self/fd");
    unsigned count = 0;

    assert_non_null(listing);
    while (readdir(listing))
        count++;
    closedir(listing);
    return count;
}

/* What a writer would hold, and lets go of when it is asked to. */
static struct {
    struct directory *held[8];
    unsigned count, asked;
    int result;
} writer;

static int relieve(void *context, struct reason *why)
{
    assert_ptr_equal(context, &writer);
    writer.asked++;
    while (writer.count > 0)
        directory_unref(writer.held[--writer.count]);
    return writer.result ? refuse(why, (enum condition)writer.result, "a writer failed") : 0;
}

static struct path_root root;

static struct directory_cache *cache_of(struct tree_rig *rig, unsigned limit)
{
    struct directory_cache *cache;

    path_root_init(&root, rig->fd);
    memset(&writer, 0, sizeof(writer));
    assert_int_equal(directory_cache_new(&cache, &root, limit, true, relieve, &writer, &rig->why),
                     0);
    return cache;
}

/* Numbered folders "0", "1", … */
static void make_folders(struct tree_rig *rig, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        char name[16];

        snprintf(name, sizeof(name), "%u", i);
        tree_rig_folder(rig, name);
    }
}

static struct directory *open_folder(struct directory_cache *cache, const char *name)
{
    struct directory *directory;
    int error;

    assert_int_equal(directory_open(cache, name, false, &directory, &error, NULL), 0);
    assert_int_equal(error, 0);
    assert_non_null(directory);
    assert_string_equal(directory->name, name);
    return directory;
}

static struct directory *open_number(struct directory_cache *cache, unsigned number)
{
    char name[16];

    snprintf(name, sizeof(name), "%u", number);
    return open_folder(cache, name);
}

static bool is_cached(struct directory_cache *cache, const char *name)
{
    struct directory *directory = directory_cached(cache, name);

    directory_unref(directory);
    return directory != NULL;
}

static void a_folder_is_opened_once(void **state)
{
    struct tree_rig *rig = *state;
    struct directory_cache *cache = cache_of(rig, 8);
    struct directory *first, *second;

    make_folders(rig, 1);
    first = open_number(cache, 0);
    second = open_number(cache, 0);
    assert_ptr_equal(first, second);
    directory_unref(first);
    directory_unref(second);
    first = open_folder(cache, "");
    assert_ptr_not_equal(first, second);
    directory_unref(first);
    assert_null(directory_cache_free(cache));
    assert_null(directory_cache_free(NULL));
}

static void the_cache_keeps_what_was_used_last(void **state)
{
    struct tree_rig *rig = *state;
    struct directory_cache *cache = cache_of(rig, 4);
    unsigned before = descriptors();

    make_folders(rig, 600); /* more than there are buckets */
    for (unsigned i = 0; i < 600; i++) {
        directory_unref(open_number(cache, i));
        assert_true(descriptors() <= before + 4);
        if (i > 1)
            directory_unref(open_number(cache, 1));
    }
    assert_true(is_cached(cache, "599"));
    assert_true(is_cached(cache, "598"));
    assert_true(is_cached(cache, "597"));
    assert_true(is_cached(cache, "1"));
    assert_false(is_cached(cache, "596"));
    assert_int_equal(writer.asked, 0);
    directory_cache_free(cache);
    assert_int_equal(descriptors(), before);
}

static void folders_that_writers_hold_count_and_are_asked_for(void **state)
{
    struct tree_rig *rig = *state;
    struct directory_cache *cache = cache_of(rig, 4);
    unsigned before = descriptors();

    make_folders(rig, 6);
    while (writer.count < 4) {
        writer.held[writer.count] = open_number(cache, writer.count);
        writer.count++;
    }
    assert_int_equal(writer.asked, 0);
    directory_unref(open_number(cache, 4));
    assert_int_equal(writer.asked, 1);
    assert_int_equal(descriptors(), before + 1);
    directory_unref(open_number(cache, 5));
    assert_int_equal(writer.asked, 1);
    directory_cache_free(cache);
}

static void an_error_of_the_writers_is_the_answer(void **state)
{
    struct tree_rig *rig = *state;
    struct directory_cache *cache = cache_of(rig, 1);
    struct directory *parent, *other;
    int error;

    make_folders(rig, 2);
    parent = open_folder(cache, "");
    writer.result = CONDITION_EXHAUSTED;
    assert_int_equal(directory_open(cache, "1", false, &other, &error, &rig->why),
                     CONDITION_EXHAUSTED);
    assert_null(other);
    assert_int_equal(directory_open_made(cache, parent, "1", "1", &other, &rig->why),
                     CONDITION_EXHAUSTED);
    assert_null(other);
    assert_string_equal(rig->why.text, "a writer failed");
    directory_unref(parent);
    directory_cache_free(cache);
}

static void what_cannot_be_opened_is_told_by_its_errno(void **state)
{
    struct tree_rig *rig = *state;
    struct directory_cache *cache = cache_of(rig, 4);
    struct directory *directory, *top;
    int error;

    tree_rig_file(rig, "file", "");
    tree_rig_symlink(rig, "link", ".");
    top = open_folder(cache, "");
    assert_int_equal(directory_open(cache, "none", false, &directory, &error, NULL), 0);
    assert_null(directory);
    assert_int_equal(error, ENOENT);
    assert_int_equal(directory_open(cache, "file", false, &directory, &error, NULL), 0);
    assert_int_equal(error, ENOTDIR);
    assert_int_equal(directory_open(cache, "link", false, &directory, &error, NULL), 0);
    assert_true(error == ELOOP || error == ENOTDIR);
    assert_int_equal(directory_open_in(cache, top, "none", "none", false, &directory, &error, NULL),
                     0);
    assert_null(directory);
    assert_int_equal(error, ENOENT);
    assert_int_equal(directory_open_in(cache, top, "link", "link", false, &directory, &error, NULL),
                     0);
    assert_null(directory);
    assert_int_equal(error, ENOTDIR);
    assert_int_equal(directory_open_made(cache, top, "none", "none", &directory, &rig->why),
                     -ENOENT);
    assert_int_equal(directory_open_made(cache, top, "link", "link", &directory, NULL), -ENOTDIR);
    directory_unref(top);
    directory_cache_free(cache);
}

static void a_folder_is_found_in_another(void **state)
{
    struct tree_rig *rig = *state;
    struct directory_cache *cache = cache_of(rig, 4);
    struct directory *first, *again, *parent;
    int error;

    make_folders(rig, 1);
    tree_rig_folder(rig, "0/x");
    parent = open_folder(cache, "0");
    assert_int_equal(directory_open_in(cache, parent, "x", "0/x", true, &first, &error, NULL), 0);
    assert_int_equal(error, 0);
    assert_string_equal(first->name, "0/x");
    assert_true(first->ours);
    assert_true(first->plain); /* it was looked at */
    assert_int_equal(directory_open_in(cache, parent, "x", "0/x", true, &again, &error, NULL), 0);
    assert_ptr_equal(again, first);
    directory_unref(again);
    directory_unref(first);
    directory_unref(parent);
    directory_cache_free(cache);
}

static void a_folder_just_made_is_ours_and_not_plain_yet(void **state)
{
    struct tree_rig *rig = *state;
    struct directory_cache *cache = cache_of(rig, 4);
    struct directory *top = open_folder(cache, ""), *made;

    make_folders(rig, 1);
    assert_int_equal(directory_open_made(cache, top, "0", "0", &made, NULL), 0);
    assert_true(made->ours);
    assert_false(made->plain);
    assert_true(is_cached(cache, "0"));
    directory_look(cache, made);
    assert_true(made->plain);
    assert_false(top->ours);
    directory_unref(made);
    directory_unref(top);
    directory_cache_free(cache);
}

/* In a folder that hands down a group or an ACL, a new file is not as it is asked for. */
static void what_a_folder_hands_down_makes_it_not_plain(void **state)
{
    /* version 2: user::rwx group::r-x other::--- (linux/posix_acl_xattr.h) */
    static const uint8_t acl[] = {2,    0,    0, 0, 1,    0,    7,    0,    0xff, 0xff,
                                  0xff, 0xff, 4, 0, 5,    0,    0xff, 0xff, 0xff, 0xff,
                                  0x20, 0,    0, 0, 0xff, 0xff, 0xff, 0xff};
    struct tree_rig *rig = *state;
    struct directory_cache *cache = cache_of(rig, 4);
    struct directory_cache *masked;
    struct directory *directory;

    make_folders(rig, 2);
    directory = open_number(cache, 0);
    assert_true(directory->plain);
    assert_int_equal(fchmod(directory->fd, 02755), 0);
    directory_look(cache, directory);
    assert_false(directory->plain);
    directory_unref(directory);
    directory = open_number(cache, 1);
    if (fsetxattr(directory->fd, "system.posix_acl_default", acl, sizeof(acl), 0) == 0) {
        directory_look(cache, directory);
        assert_false(directory->plain);
    }
    assert_int_equal(directory_cache_new(&masked, &root, 4, false, relieve, &writer, &rig->why), 0);
    directory_look(masked, directory);
    assert_false(directory->plain);
    directory_unref(directory);
    directory_cache_free(masked);
    directory_cache_free(cache);
}

static void writers_of_forgotten_folders_are_remembered(void **state)
{
    struct tree_rig *rig = *state;
    struct directory_cache *cache = cache_of(rig, 4);
    struct directory *first, *second;

    make_folders(rig, 2);
    first = open_number(cache, 0);
    second = open_number(cache, 1);
    first->busy = 1;
    second->busy = 2;
    assert_int_equal(directory_cache_forgotten(cache), 0);
    directory_cache_flush(cache);
    assert_int_equal(directory_cache_forgotten(cache), 3);
    assert_false(is_cached(cache, "0"));
    directory_cache_settled(cache, 1);
    assert_int_equal(directory_cache_forgotten(cache), 2);
    second->busy = 4;
    directory_cache_handed(cache, second);
    assert_int_equal(directory_cache_forgotten(cache), 6);
    directory_unref(first);
    first = open_number(cache, 0); /* anew, and cached: it remembers by itself */
    first->busy = 8;
    directory_cache_handed(cache, first);
    assert_int_equal(directory_cache_forgotten(cache), 6);
    directory_unref(first);
    directory_unref(second);
    directory_cache_free(cache);
}

static void a_folder_outlives_its_place_in_the_cache(void **state)
{
    struct tree_rig *rig = *state;
    struct directory_cache *cache = cache_of(rig, 2);
    struct directory *held;
    struct stat status;

    make_folders(rig, 4);
    held = open_number(cache, 0);
    for (unsigned i = 1; i < 4; i++)
        directory_unref(open_number(cache, i));
    assert_false(is_cached(cache, "0"));
    assert_int_equal(fstat(held->fd, &status), 0);
    assert_string_equal(held->name, "0");
    directory_unref(held);
    directory_cache_free(cache);
}

#define with_rig(test) cmocka_unit_test_setup_teardown(test, tree_rig_setup, tree_rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_rig(a_folder_is_opened_once),
        with_rig(the_cache_keeps_what_was_used_last),
        with_rig(folders_that_writers_hold_count_and_are_asked_for),
        with_rig(an_error_of_the_writers_is_the_answer),
        with_rig(what_cannot_be_opened_is_told_by_its_errno),
        with_rig(a_folder_is_found_in_another),
        with_rig(a_folder_just_made_is_ours_and_not_plain_yet),
        with_rig(what_a_folder_hands_down_makes_it_not_plain),
        with_rig(writers_of_forgotten_folders_are_remembered),
        with_rig(a_folder_outlives_its_place_in_the_cache),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
