/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A layer against somebody who writes into its target at the same time, as a container may that has
 * the same snapshot: names on the layer's way are folders at one moment and symlinks to the outside
 * at the next. What becomes of the layer does not count; that the outside stays as it is does.
 *
 * Once with openat2(2), once without, as under a filter that forbids it (see the linker's --wrap in
 * CMakeLists.txt).
 */

#include "base/scoped.h"
#include "layer/layer.h"
#include "layer/path.h"
#include "layer/remove.h"
#include "unit/cmocka_setup.h"
#include "unit/layer/tar_builder.h"
#include "unit/layer/tree_rig.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define LAYERS 60u        /* at least */
#define SWAPS 4000u       /* at least, while a layer was under way */
#define LAYERS_MOST 5000u /* where one processor does it all, few swaps meet a layer */

struct rig {
    struct tree_rig tree; /* target/ and outside/ */
    struct tar_builder tar;
    int target, outside, blob;
    atomic_bool end, under_way, idle;
    atomic_uint swaps;
};

static bool components;

void __real_path_root_init(struct path_root *root, int fd);
void __wrap_path_root_init(struct path_root *root, int fd);

void __wrap_path_root_init(struct path_root *root, int fd)
{
    __real_path_root_init(root, fd);
    root->components = root->components || components;
}

/* NAME below "d", which is what is swapped; each entry is one more way to reach the outside. */
static void add(struct rig *rig, char type, const char *name, const char *link)
{
    char whole[64];

    snprintf(whole, sizeof(whole), "d/%s", name);
    tar_builder_pax(&rig->tar, "SCHILY.xattr.user.x", "y", NULL);
    tar_builder_header(&rig->tar, &(struct tar_member){.name = whole,
                                                       .type = type,
                                                       .link = link,
                                                       .mode = 0777,
                                                       .uid = 5,
                                                       .mtime = 1000,
                                                       .device_major = 1,
                                                       .device_minor = 3,
                                                       .format = TAR_FORMAT_USTAR});
}

static int setup(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));

    assert_non_null(rig);
    tree_rig_begin(&rig->tree);
    tree_rig_folder(&rig->tree, "target");
    tree_rig_folder(&rig->tree, "outside");
    tree_rig_folder(&rig->tree, "outside/sub");
    tree_rig_file(&rig->tree, "outside/sub/inner", "inner");
    tree_rig_file(&rig->tree, "outside/canary", "canary");
    tree_rig_file(&rig->tree, "outside/f", "f");
    rig->target = openat(rig->tree.fd, "target", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    rig->outside = openat(rig->tree.fd, "outside", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    rig->blob = memfd_create("layer", MFD_CLOEXEC);
    assert_true(rig->target >= 0 && rig->outside >= 0 && rig->blob >= 0);

    add(rig, '0', "new", NULL);
    add(rig, '0', "f", NULL);
    add(rig, '1', "hard", "d/new");
    add(rig, '1', "sub/hard", "d/f");
    add(rig, '2', "link", "anywhere");
    add(rig, '3', "device", NULL);
    add(rig, '6', "sub/fifo", NULL);
    add(rig, '5', "sub", NULL);
    add(rig, '0', "sub/inner", NULL);
    add(rig, '0', ".wh.canary", NULL);
    add(rig, '0', "sub/.wh.inner", NULL);
    add(rig, '5', "", NULL);
    add(rig, '0', ".wh..wh..opq", NULL);
    add(rig, '0', "late", NULL);
    tar_builder_end(&rig->tar);
    assert_int_equal(write(rig->blob, rig->tar.data, rig->tar.length), rig->tar.length);
    *state = rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;

    close(rig->target);
    close(rig->outside);
    close(rig->blob);
    tar_builder_deinit(&rig->tar);
    return tree_rig_teardown(state);
}

static void *swap(void *context)
{
    struct rig *rig = context;

    while (!rig->end) {
        rig->idle = false;
        if (!rig->under_way) {
            rig->idle = true;
            sched_yield();
            continue;
        }
        if (renameat2(rig->target, "d", rig->target, "other", RENAME_EXCHANGE) == 0)
            rig->swaps++;
        (void)renameat2(rig->target, "d/sub", rig->target, "d/up", RENAME_EXCHANGE);
    }
    return NULL;
}

static int ignore(void *context, int folder, const char *folder_name, const char *name,
                  bool directory, struct reason *why)
{
    (void)context, (void)folder, (void)folder_name, (void)name, (void)directory, (void)why;
    return 0;
}

/* A folder and a symlink out of the target, one of which is "d"; and the same one level below. */
static void plant(struct rig *rig, unsigned round)
{
    char away[128];
    struct reason why = {0};

    if (remove_all(rig->target, "", "d", ignore, NULL, &why) ||
        remove_all(rig->target, "", "other", ignore, NULL, &why))
        fail_msg("%s", why.text);
    assert_int_equal(mkdirat(rig->target, "d", 0755), 0);
    assert_int_equal(mkdirat(rig->target, "d/sub", 0755), 0);
    assert_int_equal(symlinkat("../../outside/sub", rig->target, "d/up"), 0);
    snprintf(away, sizeof(away), "%s/outside", rig->tree.path);
    assert_int_equal(symlinkat(round % 2 ? away : "../outside", rig->target, "other"), 0);
}

/* Changes with whatever is done to the inode: content, names, owner, mode, attributes, links. */
static void look(struct rig *rig, struct timespec times[5])
{
    static const char *const names[] = {".", "sub", "sub/inner", "canary", "f"};

    for (size_t i = 0; i < 5; i++) {
        struct stat status;

        assert_int_equal(fstatat(rig->outside, names[i], &status, AT_SYMLINK_NOFOLLOW), 0);
        times[i] = status.st_ctim;
    }
}

static void nothing_is_written_outside(struct rig *rig)
{
    const struct layer_request request = {
        .blob = rig->blob, .target = rig->target, .engine = &io_engine_plain, .writers = 2};
    struct timespec before[5], after[5];
    unsigned layers, whole = 0;
    pthread_t swapper;

    plant(rig, 0);
    look(rig, before);
    assert_int_equal(pthread_create(&swapper, NULL, swap, rig), 0);
    for (layers = 0; layers < LAYERS_MOST && (layers < LAYERS || rig->swaps < SWAPS); layers++) {
        struct layer_result result;
        struct reason why = {0};

        rig->under_way = true;
        whole += layer_apply(&request, &result, &why) == 0;
        rig->under_way = false;
        while (!rig->idle)
            sched_yield();
        look(rig, after);
        if (memcmp(before, after, sizeof(before)) != 0)
            break;
        plant(rig, layers);
    }
    rig->end = true;
    pthread_join(swapper, NULL);
    assert_memory_equal(before, after, sizeof(before));
    assert_string_equal(tree_rig_list(&rig->tree, "outside"),
                        "canary=canary f=f sub/ sub/inner=inner");
    print_message("%u layers, %u of them whole, %u swaps while they were unpacked\n", layers, whole,
                  rig->swaps);
    assert_true(rig->swaps >= SWAPS);
}

static void by_openat2(void **state)
{
    components = false;
    nothing_is_written_outside(*state);
}

static void by_components(void **state)
{
    components = true;
    nothing_is_written_outside(*state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(by_openat2, setup, teardown),
        cmocka_unit_test_setup_teardown(by_components, setup, teardown),
    };

    if (!tree_rig_is_root())
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
