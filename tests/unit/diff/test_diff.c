/* SPDX-License-Identifier: Apache-2.0 */

/* Layers of a content store in a scratch folder, applied to a snapshot whose volume is a folder
 * beside it, and to mounts of others. syncfs(2) is counted, and target_close() fails when a test
 * says so: see the linker's --wrap in CMakeLists.txt. */

#include "diff/diff.h"

#include "base/scoped.h"
#include "diff/target.h"
#include "snapshot/check_content.h"
#include "unit/cmocka_setup.h"
#include "unit/layer/tar_builder.h"
#include "unit/layer/tree_rig.h"
#include "unit/snapshot/rig.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PLAIN_LAYER "application/vnd.oci.image.layer.v1.tar"

struct diff_rig {
    struct rig *service;
    struct tree_rig *tree; /* content/blobs/sha256/…, volume/, foreign/ */
    struct diff *diff;
    struct diff_options options;
    struct tar_builder tar;
    char digest[72];
    atomic_bool cancel;
    struct diff_apply_request request;
    struct diff_apply_result result;
    struct reason why;
};

/* The rig of the test that runs, for what is called back. */
static struct diff_rig *current;
static unsigned syncs, opened;
static int close_result;

int __wrap_syncfs(int fd);
int __real_target_close(struct target *target, struct snapshots *snapshots,
                        const struct volume_usage *written, bool synced, struct reason *why);
int __wrap_target_close(struct target *target, struct snapshots *snapshots,
                        const struct volume_usage *written, bool synced, struct reason *why);

int __wrap_syncfs(int fd)
{
    (void)fd;
    syncs++;
    return 0;
}

int __wrap_target_close(struct target *target, struct snapshots *snapshots,
                        const struct volume_usage *written, bool synced, struct reason *why)
{
    int result = __real_target_close(target, snapshots, written, synced, why);

    return close_result ? failure(why, -close_result, "note what was written") : result;
}

/* The memory backend, whose volumes have no files, but for this. */
static int open_volume(struct backend *backend, uint64_t id, int *directory, struct reason *why)
{
    (void)backend;
    (void)id;
    opened++;
    *directory = openat(current->tree->fd, "volume", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *directory < 0 ? failure(why, errno, "open the volume") : 0;
}

static void reopen(struct diff_rig *rig)
{
    char content[128];

    snprintf(content, sizeof(content), "%s/content", rig->tree->path);
    rig->options.content_root = content;
    rig->options.snapshots = rig->service->snapshots;
    rig->diff = diff_close(rig->diff);
    assert_int_equal(diff_open(&rig->diff, &rig->options, &rig->why), 0);
    memset(content, 'x', sizeof(content)); /* it was copied */
    rig->options.content_root = NULL;
}

static int setup(void **state)
{
    static struct backend_ops ops;
    struct diff_rig *rig = calloc(1, sizeof(*rig));
    void *part;

    syncs = opened = 0;
    close_result = 0;
    current = rig;
    tree_rig_setup(&part);
    rig->tree = part;
    tree_rig_folder(rig->tree, "content");
    tree_rig_folder(rig->tree, "content/blobs");
    tree_rig_folder(rig->tree, "content/blobs/sha256");
    tree_rig_folder(rig->tree, "volume");
    tree_rig_folder(rig->tree, "foreign");
    rig_setup(&part);
    rig->service = part;
    rig_stop(rig->service);
    ops = backend_memory;
    ops.open_root = open_volume;
    rig->service->ops = &ops;
    rig_start(rig->service);
    assert_int_equal(rig_prepare(rig->service, "a", NULL), 0);
    rig->options.engine = &io_engine_plain;
    rig->options.writers = 1;
    rig->options.verify_blobs = true;
    reopen(rig);
    rig->request.media_type = bytes_of(PLAIN_LAYER);
    *state = rig;
    return 0;
}

static int teardown(void **state)
{
    struct diff_rig *rig = *state;
    void *tree = rig->tree, *service = rig->service;

    diff_close(rig->diff);
    tar_builder_deinit(&rig->tar);
    free(rig);
    return rig_teardown(&service) | tree_rig_teardown(&tree);
}

/* "sha256:…" of bytes. */
static void write_digest(char text[72], const void *data, size_t length)
{
    uint8_t sum[32];
    unsigned size = sizeof(sum);

    assert_int_equal(EVP_Digest(data, length, sum, &size, EVP_sha256(), NULL), 1);
    strcpy(text, "sha256:");
    for (size_t i = 0; i < sizeof(sum); i++)
        snprintf(text + 7 + 2 * i, 3, "%02x", sum[i]);
}

/* Puts the archive that was built so far into the content store, as what is to be applied. */
static void store_layer(struct diff_rig *rig)
{
    char name[128];
    int file;

    tar_builder_end(&rig->tar);
    write_digest(rig->digest, rig->tar.data, rig->tar.length);
    snprintf(name, sizeof(name), "content/blobs/sha256/%s", rig->digest + 7);
    file = openat(rig->tree->fd, name, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    assert_int_equal(write(file, rig->tar.data, rig->tar.length), rig->tar.length);
    close(file);
    rig->request.digest = bytes_of(rig->digest);
    rig->request.size = (int64_t)rig->tar.length;
}

static void store_one_file(struct diff_rig *rig)
{
    tar_builder_file(&rig->tar, "f", "text");
    store_layer(rig);
}

/* More than a layer under way may hold in memory: it cannot have been read to its end before
 * anything of it is written. */
#define LARGE (40 << 20)

static void store_large_file(struct diff_rig *rig)
{
    char *data = calloc(1, LARGE);

    assert_non_null(data);
    tar_builder_header(
        &rig->tar,
        &(struct tar_member){.name = "f", .type = '0', .size = LARGE, .format = TAR_FORMAT_USTAR});
    tar_builder_data(&rig->tar, data, LARGE);
    free(data);
    store_layer(rig);
}

/* Applies to a single mount, its options up to a NULL. */
static int apply_to(struct diff_rig *rig, const char *type, const char *source,
                    const char *const *options)
{
    struct mounts mounts;
    int result;

    assert_true(mounts_make(&mounts, 1));
    assert_true(mount_set(&mounts.items[0], type, source, ""));
    for (; *options; options++)
        assert_true(mount_add_option(&mounts.items[0], *options));
    rig->request.mounts = &mounts;
    rig->request.cancel = &rig->cancel;
    rig->result = (struct diff_apply_result){0};
    rig->why = (struct reason){0};
    result = diff_apply(rig->diff, &rig->request, &rig->result, &rig->why);
    mounts_clear(&mounts);
    return result;
}

static const char *const writable[] = {"rbind", "rw", NULL};

static int apply(struct diff_rig *rig)
{
    return apply_to(rig, "bind", "/memory/1", writable);
}

static int apply_to_foreign(struct diff_rig *rig)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/foreign", rig->tree->path);
    return apply_to(rig, "bind", path, writable);
}

static void says(const struct diff_rig *rig, const char *sentence)
{
    char wanted[512];

    snprintf(wanted, sizeof(wanted), "apply layer \"%.*s\": %s", (int)rig->request.digest.length,
             (const char *)rig->request.digest.data, sentence);
    assert_string_equal(rig->why.text, wanted);
}

static int take_info(void *context, const struct snapshot_info *info, struct reason *why)
{
    (void)why;
    *(struct snapshot_info *)context = *info;
    return 0;
}

static struct snapshot_info info_of(struct diff_rig *rig, const char *key)
{
    struct snapshot_info info = {0};

    assert_int_equal(snapshots_stat(rig->service->snapshots, bytes_of(key), take_info, &info, NULL),
                     0);
    return info;
}

/* Nothing is noted of a layer, and nobody is kept from the snapshot. */
static void nothing_is_left_of_it(struct diff_rig *rig)
{
    struct snapshots_figures figures;

    assert_int_equal(snapshots_figures(rig->service->snapshots, &figures, NULL), 0);
    assert_int_equal(figures.holds, 0);
    assert_false(info_of(rig, "a").usage_known);
    assert_null(rig->result.media_type);
    assert_string_equal(rig->result.digest, "");
}

/* ---- a layer into a snapshot of ours ---- */

static void a_layer_is_unpacked_and_its_diff_id_told(void **state)
{
    struct diff_rig *rig = *state;

    tar_builder_file(&rig->tar, "d/f", "text");
    tar_builder_file(&rig->tar, "g", "");
    store_layer(rig);
    assert_int_equal(apply(rig), 0);
    assert_string_equal(tree_rig_list(rig->tree, "volume"), "d/ d/f=text g=");
    assert_string_equal(rig->result.media_type, PLAIN_LAYER);
    assert_string_equal(rig->result.digest, rig->digest); /* it was not compressed */
    assert_int_equal(rig->result.size, rig->tar.length);
}

static void what_it_holds_is_noted_as_durable_usage(void **state)
{
    struct diff_rig *rig = *state;
    struct snapshot_info info;

    store_one_file(rig);
    assert_int_equal(apply(rig), 0);
    info = info_of(rig, "a");
    assert_true(info.usage_known);
    assert_int_equal(info.usage_bytes, 4);
    assert_int_equal(info.usage_inodes, 1);
    assert_int_equal(syncs, 1); /* whether the caller asks for it or not */
    assert_int_equal(rig_commit(rig->service, "n", "a"), 0);
    assert_int_equal(memory_backend_syncs(rig->service->backend), 0);
}

/* ---- what is refused before anything is touched ---- */

static void the_kinds_of_layers_that_are_served(void **state)
{
    static const char *const bases[] = {
        PLAIN_LAYER,
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/vnd.docker.image.rootfs.diff.tar",
        "application/vnd.docker.image.rootfs.foreign.diff.tar",
    };
    static const char *const kinds[][3] = {{"", "+gzip", "+zstd"}, {"", ".gzip", ".zstd"}};
    struct diff_rig *rig = *state;

    store_one_file(rig);
    for (int i = 0; i < 12; i++) {
        char type[128];

        snprintf(type, sizeof(type), "%s%s", bases[i / 3], kinds[i >= 6][i % 3]);
        rig->request.media_type = bytes_of(type);
        /* what it really is, its first bytes say: it is not compressed */
        assert_int_equal(apply_to_foreign(rig), 0);
        assert_string_equal(rig->result.media_type, PLAIN_LAYER);
    }
}

static void the_kinds_that_are_not(void **state)
{
    static const char *const others[] = {
        "",
        "application/vnd.oci.image.layer.v1.tar+bzip2",
        "application/vnd.oci.image.layer.v1.tar+gzip+encrypted",
        "application/vnd.oci.image.layer.v1.ta",
        "APPLICATION/vnd.oci.image.layer.v1.tar",
        "application/vnd.oci.image.config.v1+json",
        "application/vnd.docker.image.rootfs.diff.tar+gzip",
    };
    struct diff_rig *rig = *state;
    char words[256];

    store_one_file(rig);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        rig->request.media_type = bytes_of(others[i]);
        assert_int_equal(apply(rig), CONDITION_UNIMPLEMENTED);
    }
    snprintf(words, sizeof(words), "layers of media type \"%s\" are not served", others[6]);
    assert_non_null(strstr(rig->why.text, words));
    rig->request.media_type = bytes_from(PLAIN_LAYER, sizeof(PLAIN_LAYER)); /* with its NUL */
    assert_int_equal(apply(rig), CONDITION_UNIMPLEMENTED);
    assert_int_equal(opened, 0);
    nothing_is_left_of_it(rig);
}

static void an_encrypted_layer_is_left_to_the_next_differ(void **state)
{
    struct diff_rig *rig = *state;
    char words[256];

    store_one_file(rig);
    rig->request.encrypted = true;
    assert_int_equal(apply(rig), CONDITION_UNIMPLEMENTED);
    snprintf(words, sizeof(words), "layer \"%s\" needs payloads (decryption), which are not served",
             rig->digest);
    says(rig, words);
    assert_int_equal(opened, 0);
}

static void a_descriptor_that_cannot_be_is_invalid(void **state)
{
    struct diff_rig *rig = *state;
    char words[256];

    store_one_file(rig);
    rig->request.size = -1;
    assert_int_equal(apply(rig), CONDITION_INVALID);
    snprintf(words, sizeof(words), "layer \"%s\" has a negative size", rig->digest);
    says(rig, words);
    rig->request.size = (int64_t)rig->tar.length + 1;
    assert_int_equal(apply(rig), CONDITION_INVALID);
    rig->request.size = 0; /* not told */
    rig->request.digest.length--;
    assert_int_equal(apply(rig), CONDITION_INVALID);
    rig->request.digest = bytes_of("sha512:00");
    assert_int_equal(apply(rig), CONDITION_UNIMPLEMENTED);
    assert_int_equal(opened, 0);
    nothing_is_left_of_it(rig);
    rig->request.digest = bytes_of(rig->digest);
    assert_int_equal(apply(rig), 0);
}

static void a_blob_that_is_not_there_is_not_found(void **state)
{
    struct diff_rig *rig = *state;

    write_digest(rig->digest, "", 0);
    rig->request.digest = bytes_of(rig->digest);
    assert_int_equal(apply(rig), CONDITION_NOT_FOUND);
    assert_non_null(strstr(rig->why.text, rig->tree->path)); /* where it was looked for */
    assert_int_equal(opened, 0);
}

static void a_snapshot_that_is_being_written_is_not_written_by_two(void **state)
{
    struct diff_rig *rig = *state;
    struct snapshot_hold hold;
    struct mounts mounts = {0};
    atomic_bool cancel = false;

    store_one_file(rig);
    assert_int_equal(snapshots_mounts(rig->service->snapshots, bytes_of("a"), &mounts, &rig->why),
                     0);
    assert_int_equal(snapshots_hold(rig->service->snapshots, &mounts, &cancel, &hold, &rig->why),
                     0);
    assert_int_equal(apply(rig), CONDITION_PRECONDITION);
    says(rig, "the snapshot is being written, committed or removed by another call");
    assert_string_equal(tree_rig_list(rig->tree, "volume"), "");
    snapshots_release(rig->service->snapshots, &hold, NULL, false, NULL);
    mounts_clear(&mounts);
}

/* ---- what goes wrong in the middle ---- */

static void a_blob_that_is_not_what_its_digest_says_is_refused(void **state)
{
    struct diff_rig *rig = *state;
    char name[128];
    int file;

    store_one_file(rig);
    snprintf(name, sizeof(name), "content/blobs/sha256/%s", rig->digest + 7);
    file = openat(rig->tree->fd, name, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(file, "TEXT", 4, TAR_BLOCK), 4);
    close(file);
    assert_int_equal(apply(rig), CONDITION_INVALID);
    assert_non_null(strstr(rig->why.text, "the layer's blob is not what its digest says"));
    nothing_is_left_of_it(rig);
    /* its check can be left out; the diff id is that of the bytes, whatever their name is */
    rig->options.verify_blobs = false;
    reopen(rig);
    assert_int_equal(apply(rig), 0);
    assert_string_not_equal(rig->result.digest, rig->digest);
}

static void a_layer_past_the_limit_is_refused(void **state)
{
    struct diff_rig *rig = *state;

    store_one_file(rig);
    rig->options.size_limit = rig->tar.length - 1;
    reopen(rig);
    assert_int_equal(apply(rig), CONDITION_EXHAUSTED);
    nothing_is_left_of_it(rig);
    rig->options.size_limit = rig->tar.length;
    reopen(rig);
    assert_int_equal(apply(rig), 0);
}

static void a_layer_with_a_device_is_refused_where_that_is_set(void **state)
{
    struct diff_rig *rig = *state;

    tar_builder_header(&rig->tar,
                       &(struct tar_member){.name = "n", .type = '3', .format = TAR_FORMAT_USTAR});
    store_layer(rig);
    rig->options.refuse_devices = true;
    reopen(rig);
    assert_int_equal(apply(rig), CONDITION_INVALID);
    assert_non_null(strstr(rig->why.text, "apply.allow_device_nodes"));
    nothing_is_left_of_it(rig);
    rig->options.refuse_devices = false;
    reopen(rig);
    assert_int_equal(apply(rig), 0);
}

static void a_layer_does_not_eat_the_pools_reserve(void **state)
{
    struct diff_rig *rig = *state;

    store_large_file(rig);
    memory_backend_set_room(rig->service->backend, LARGE, LARGE);
    assert_int_equal(apply(rig), CONDITION_EXHAUSTED);
    assert_non_null(strstr(rig->why.text, "the pool /memory is too full for it: 40 MiB are "
                                          "available, of which 40 MiB are kept for removals"));
    assert_string_equal(tree_rig_list(rig->tree, "volume"), "");
    nothing_is_left_of_it(rig);
    /* the folder of another snapshotter is not in the pool */
    assert_int_equal(apply_to_foreign(rig), 0);
    /* too little for all of it, had not all been used that is counted */
    memory_backend_set_room(rig->service->backend, LARGE, LARGE / 2);
    syncs = 0;
    assert_int_equal(apply(rig), 0);
    assert_in_range(syncs, 2, 6);
}

/* ---- what is recorded of it ---- */

/* Starts anew with a folder for records; to be closed by the test. */
static int record_content(struct diff_rig *rig)
{
    tree_rig_folder(rig->tree, "manifests");
    rig_stop(rig->service);
    rig->service->manifests =
        openat(rig->tree->fd, "manifests", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(rig->service->manifests > 0);
    rig_start(rig->service);
    rig->options.record_content = true;
    reopen(rig);
    return rig->service->manifests;
}

static int take_finding(void *context, const struct check_finding *finding, struct reason *why)
{
    char *text = context;
    size_t used = strlen(text);

    (void)why;
    assert_int_equal(finding->kind, CHECK_CONTENT);
    assert_int_equal(finding->outcome, CHECK_BY_HAND);
    snprintf(text + used, 256 - used, "%.*s: %s\n", (int)finding->key.length,
             (const char *)finding->key.data, finding->problem);
    return 0;
}

/* What a check of KEY (NULL: of all) finds. */
static void check_finds(struct diff_rig *rig, const char *key, unsigned compared,
                        unsigned unrecorded, const char *wanted)
{
    struct bytes keys = bytes_of(key ? key : "");
    struct check_tally tally;
    char text[256] = "";

    assert_int_equal(snapshots_check_content(rig->service->snapshots, &keys, key != NULL, NULL,
                                             take_finding, text, &tally, &rig->why),
                     0);
    assert_string_equal(text, wanted);
    assert_int_equal(tally.compared, compared);
    assert_int_equal(tally.unrecorded, unrecorded);
}

static void a_byte_that_changes_later_is_found(void **state)
{
    struct diff_rig *rig = *state;
    scoped_fd int manifests = record_content(rig), file = -1;
    const struct bytes unknown = bytes_of("b");
    struct check_tally tally;

    store_one_file(rig);
    assert_int_equal(apply(rig), 0);
    check_finds(rig, NULL, 0, 0, ""); /* it is not committed yet */
    assert_int_equal(rig_commit(rig->service, "n", "a"), 0);
    check_finds(rig, NULL, 1, 0, "");
    check_finds(rig, "n", 1, 0, "");
    file = openat(rig->tree->fd, "volume/f", O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(file, "u", 1, 0), 1);
    check_finds(rig, NULL, 1, 0, "n: \"f\": its bytes are others\n");
    check_finds(rig, "n", 1, 0, "n: \"f\": its bytes are others\n");
    assert_int_equal(snapshots_check_content(rig->service->snapshots, &unknown, 1, NULL,
                                             take_finding, NULL, &tally, &rig->why),
                     CONDITION_NOT_FOUND);
    assert_string_equal(rig->why.text, "there is no committed snapshot \"b\"");
    /* the record goes with its snapshot */
    assert_string_equal(tree_rig_list(rig->tree, "manifests"), "1=#113");
    assert_int_equal(rig_remove(rig->service, "n"), 0);
    assert_int_equal(rig_cleanup(rig->service), 0);
    assert_string_equal(tree_rig_list(rig->tree, "manifests"), "");
}

static void what_was_not_written_by_one_layer_alone_is_not_compared(void **state)
{
    struct diff_rig *rig = *state;
    scoped_fd int manifests = record_content(rig);
    struct mounts mounts = {0};

    store_one_file(rig);
    /* a second layer */
    assert_int_equal(apply(rig), 0);
    assert_int_equal(apply(rig), 0);
    assert_int_equal(rig_commit(rig->service, "two", "a"), 0);
    check_finds(rig, NULL, 0, 1, "");
    /* mounts were asked for afterwards, and may have been written to */
    assert_int_equal(rig_prepare(rig->service, "b", NULL), 0);
    assert_int_equal(apply_to(rig, "bind", "/memory/2", writable), 0);
    assert_int_equal(snapshots_mounts(rig->service->snapshots, bytes_of("b"), &mounts, NULL), 0);
    mounts_clear(&mounts);
    assert_int_equal(rig_commit(rig->service, "written", "b"), 0);
    check_finds(rig, "written", 0, 1, "");
    /* a layer that failed before */
    assert_int_equal(rig_prepare(rig->service, "c", NULL), 0);
    rig->cancel = true;
    assert_int_equal(apply_to(rig, "bind", "/memory/3", writable), CONDITION_CANCELLED);
    rig->cancel = false;
    assert_int_equal(apply_to(rig, "bind", "/memory/3", writable), 0);
    assert_int_equal(rig_commit(rig->service, "again", "c"), 0);
    check_finds(rig, "again", 0, 1, "");
    /* it is not recorded at all any more */
    rig->options.record_content = false;
    reopen(rig);
    assert_int_equal(rig_prepare(rig->service, "d", NULL), 0);
    assert_int_equal(apply_to(rig, "bind", "/memory/4", writable), 0);
    assert_int_equal(rig_commit(rig->service, "off", "d"), 0);
    check_finds(rig, NULL, 0, 4, "");
}

static void a_caller_that_is_gone_stops_it(void **state)
{
    struct diff_rig *rig = *state;

    store_one_file(rig);
    rig->cancel = true;
    assert_int_equal(apply(rig), CONDITION_CANCELLED);
    nothing_is_left_of_it(rig);
    rig->cancel = false;
    assert_int_equal(apply(rig), 0);
}

/* ---- a snapshot that is removed meanwhile ---- */

/* What came of it, and whether the layer was told. */
static struct {
    int result;
    bool told;
} removal;

static void remove_it(void)
{
    removal.result = snapshots_remove(current->service->snapshots, bytes_of("a"), NULL);
    removal.told = current->cancel;
}

static int begin_and_remove(struct io_engine_handle *handle, const struct io_file *file,
                            struct reason *why)
{
    remove_it();
    return io_engine_plain.begin(handle, file, why);
}

static void close_and_remove(struct io_engine_handle *handle)
{
    io_engine_plain.close(handle);
    remove_it();
}

static void a_removal_in_the_middle_is_told_as_what_it_is(void **state)
{
    struct diff_rig *rig = *state;
    struct io_engine engine = io_engine_plain;

    engine.begin = begin_and_remove;
    rig->options.engine = &engine;
    reopen(rig);
    store_large_file(rig);
    tar_builder_deinit(&rig->tar);
    assert_int_equal(apply(rig), CONDITION_NOT_FOUND);
    says(rig, "the snapshot was removed while a layer was written into it");
    assert_int_equal(removal.result, 0);
    assert_true(removal.told);
    assert_true(tree_rig_stat(rig->tree, "volume/f").st_size < LARGE); /* it was stopped */
    memory_backend_wait_for_end(rig->service->backend, 1);
}

static void a_removal_at_the_last_moment_too(void **state)
{
    struct diff_rig *rig = *state;
    struct io_engine engine = io_engine_plain;

    engine.close = close_and_remove;
    rig->options.engine = &engine;
    reopen(rig);
    store_one_file(rig);
    assert_int_equal(apply(rig), CONDITION_NOT_FOUND);
    says(rig, "the snapshot was removed while a layer was written into it");
    assert_int_equal(removal.result, 0);
    assert_string_equal(tree_rig_list(rig->tree, "volume"), "f=text"); /* it was complete */
    memory_backend_wait_for_end(rig->service->backend, 1);
}

static void what_cannot_be_noted_is_not_answered(void **state)
{
    struct diff_rig *rig = *state;

    store_one_file(rig);
    close_result = -EIO;
    assert_int_equal(apply(rig), -EIO);
    says(rig, "note what was written: Input/output error");
    assert_null(rig->result.media_type);
}

static void trouble_at_the_end_does_not_hide_what_was_first(void **state)
{
    struct diff_rig *rig = *state;

    store_one_file(rig);
    close_result = -EIO;
    rig->cancel = true;
    assert_int_equal(apply(rig), CONDITION_CANCELLED);
    assert_null(strstr(rig->why.text, "note what was written"));
}

/* ---- mounts of others ---- */

static void into_another_snapshotters_folder_it_is_synced_on_demand(void **state)
{
    struct diff_rig *rig = *state;

    store_one_file(rig);
    assert_int_equal(apply_to_foreign(rig), 0);
    assert_string_equal(tree_rig_list(rig->tree, "foreign"), "f=text");
    assert_int_equal(syncs, 0);
    rig->request.sync = true;
    assert_int_equal(apply_to_foreign(rig), 0);
    assert_int_equal(syncs, 1);
    assert_string_equal(tree_rig_list(rig->tree, "volume"), "");
    assert_false(info_of(rig, "a").usage_known);
}

static void into_an_overlay_it_brings_whiteouts_and_the_lowers_folders(void **state)
{
    struct diff_rig *rig = *state;
    char upper[128], lower[128];
    const char *const options[] = {"workdir=/w", upper, lower, NULL};
    struct stat status;

    tree_rig_folder(rig->tree, "lower");
    tree_rig_folder(rig->tree, "lower/d");
    assert_int_equal(fchmodat(rig->tree->fd, "lower/d", 0711, 0), 0);
    snprintf(upper, sizeof(upper), "upperdir=%s/foreign", rig->tree->path);
    snprintf(lower, sizeof(lower), "lowerdir=%s/lower", rig->tree->path);
    tar_builder_file(&rig->tar, "d/f", "text");
    tar_builder_file(&rig->tar, ".wh.gone", "");
    store_layer(rig);
    assert_int_equal(apply_to(rig, "overlay", "overlay", options), 0);
    assert_string_equal(tree_rig_list(rig->tree, "foreign"), "d/ d/f=text gone{0,0}");
    status = tree_rig_stat(rig->tree, "foreign/d");
    assert_int_equal(status.st_mode & 07777, 0711);
}

static void a_mount_that_is_not_served_goes_to_the_next_differ(void **state)
{
    struct diff_rig *rig = *state;

    store_one_file(rig);
    assert_int_equal(apply_to(rig, "ext4", "/dev/vda", writable), CONDITION_UNIMPLEMENTED);
    says(rig, "mounts of type \"ext4\" are not served, only cowsnap's own, bind and overlay");
}

static void nothing_can_be_closed(void **state)
{
    (void)state;
    assert_null(diff_close(NULL));
}

#define with_rig(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_rig(a_layer_is_unpacked_and_its_diff_id_told),
        with_rig(what_it_holds_is_noted_as_durable_usage),
        with_rig(the_kinds_of_layers_that_are_served),
        with_rig(the_kinds_that_are_not),
        with_rig(an_encrypted_layer_is_left_to_the_next_differ),
        with_rig(a_descriptor_that_cannot_be_is_invalid),
        with_rig(a_blob_that_is_not_there_is_not_found),
        with_rig(a_snapshot_that_is_being_written_is_not_written_by_two),
        with_rig(a_blob_that_is_not_what_its_digest_says_is_refused),
        with_rig(a_layer_past_the_limit_is_refused),
        with_rig(a_layer_with_a_device_is_refused_where_that_is_set),
        with_rig(a_layer_does_not_eat_the_pools_reserve),
        with_rig(a_byte_that_changes_later_is_found),
        with_rig(what_was_not_written_by_one_layer_alone_is_not_compared),
        with_rig(a_caller_that_is_gone_stops_it),
        with_rig(a_removal_in_the_middle_is_told_as_what_it_is),
        with_rig(a_removal_at_the_last_moment_too),
        with_rig(what_cannot_be_noted_is_not_answered),
        with_rig(trouble_at_the_end_does_not_hide_what_was_first),
        with_rig(into_another_snapshotters_folder_it_is_synced_on_demand),
        with_rig(into_an_overlay_it_brings_whiteouts_and_the_lowers_folders),
        with_rig(a_mount_that_is_not_served_goes_to_the_next_differ),
        cmocka_unit_test(nothing_can_be_closed),
    };

    if (!tree_rig_is_root())
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
