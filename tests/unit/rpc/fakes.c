/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/rpc/fakes.h"

#include "diff/diff.h"
#include "snapshot/check_content.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool gate_open;
    unsigned at_gate, calls, cancellable, cancelled;
    unsigned entries, listed;
    size_t label_bytes;
    int failure;
    char last[4096];
} fake = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

void fakes_reset(void)
{
    pthread_mutex_lock(&fake.lock);
    fake.gate_open = false;
    fake.at_gate = fake.calls = fake.cancellable = fake.cancelled = 0;
    fake.entries = fake.listed = 0;
    fake.label_bytes = 0;
    fake.failure = 0;
    fake.last[0] = '\0';
    pthread_mutex_unlock(&fake.lock);
}

static void await(const unsigned *counter, unsigned count)
{
    pthread_mutex_lock(&fake.lock);
    while (*counter < count)
        pthread_cond_wait(&fake.changed, &fake.lock);
    pthread_mutex_unlock(&fake.lock);
}

static void count(unsigned *counter)
{
    pthread_mutex_lock(&fake.lock);
    (*counter)++;
    pthread_cond_broadcast(&fake.changed);
    pthread_mutex_unlock(&fake.lock);
}

void fakes_await_gate(unsigned wanted)
{
    await(&fake.at_gate, wanted);
}

void fakes_await_cancellable(unsigned wanted)
{
    await(&fake.cancellable, wanted);
}

unsigned fakes_cancellable(void)
{
    pthread_mutex_lock(&fake.lock);
    unsigned cancellable = fake.cancellable;
    pthread_mutex_unlock(&fake.lock);
    return cancellable;
}

void fakes_await_cancelled(unsigned wanted)
{
    await(&fake.cancelled, wanted);
}

void fakes_open_gate(void)
{
    pthread_mutex_lock(&fake.lock);
    fake.gate_open = true;
    pthread_cond_broadcast(&fake.changed);
    pthread_mutex_unlock(&fake.lock);
}

unsigned fakes_calls(void)
{
    unsigned calls;

    pthread_mutex_lock(&fake.lock);
    calls = fake.calls;
    pthread_mutex_unlock(&fake.lock);
    return calls;
}

unsigned fakes_listed(void)
{
    unsigned listed;

    pthread_mutex_lock(&fake.lock);
    listed = fake.listed;
    pthread_mutex_unlock(&fake.lock);
    return listed;
}

void fakes_set_list(unsigned entries, size_t label_bytes)
{
    pthread_mutex_lock(&fake.lock);
    fake.entries = entries;
    fake.label_bytes = label_bytes;
    pthread_mutex_unlock(&fake.lock);
}

void fakes_break_disk(int error)
{
    pthread_mutex_lock(&fake.lock);
    fake.failure = error;
    pthread_mutex_unlock(&fake.lock);
}

static int disk_failure(struct reason *why)
{
    int error;

    pthread_mutex_lock(&fake.lock);
    error = fake.failure;
    pthread_mutex_unlock(&fake.lock);
    return error ? failure(why, error, "read the store") : 0;
}

const char *fakes_last(void)
{
    static char copy[sizeof(fake.last)];

    pthread_mutex_lock(&fake.lock);
    memcpy(copy, fake.last, sizeof(copy));
    pthread_mutex_unlock(&fake.lock);
    return copy;
}

static void pass_gate(void)
{
    pthread_mutex_lock(&fake.lock);
    fake.at_gate++;
    pthread_cond_broadcast(&fake.changed);
    while (!fake.gate_open)
        pthread_cond_wait(&fake.changed, &fake.lock);
    pthread_mutex_unlock(&fake.lock);
}

__attribute__((format(printf, 1, 2))) static void note(const char *format, ...)
{
    va_list arguments;

    pthread_mutex_lock(&fake.lock);
    fake.calls++;
    va_start(arguments, format);
    (void)vsnprintf(fake.last, sizeof(fake.last), format, arguments);
    va_end(arguments);
    pthread_mutex_unlock(&fake.lock);
}

__attribute__((format(printf, 1, 2))) static void note_more(const char *format, ...)
{
    va_list arguments;
    size_t used;

    pthread_mutex_lock(&fake.lock);
    used = strlen(fake.last);
    va_start(arguments, format);
    (void)vsnprintf(fake.last + used, sizeof(fake.last) - used, format, arguments);
    va_end(arguments);
    pthread_mutex_unlock(&fake.lock);
}

static void append_labels(const struct label *labels, size_t label_count)
{
    for (size_t i = 0; i < label_count; i++)
        note_more(" %s=%s", quoted(labels[i].key), quoted(labels[i].value));
}

static int judge(struct bytes key, struct reason *why)
{
    if (bytes_equal(key, bytes_of("missing")))
        return refuse(why, CONDITION_NOT_FOUND, "snapshot %s", quoted(key));
    if (bytes_equal(key, bytes_of("taken")))
        return refuse(why, CONDITION_EXISTS, "snapshot %s: already exists", quoted(key));
    if (bytes_equal(key, bytes_of("children")))
        return refuse(why, CONDITION_PRECONDITION, "cannot remove snapshot %s: it has children",
                      quoted(key));
    if (bytes_equal(key, bytes_of("full")))
        return refuse(why, CONDITION_EXHAUSTED, "pool \xc3\xbc is full");
    if (bytes_equal(key, bytes_of("fails")))
        return failure(why, EIO, "read snapshot %s", quoted(key));
    if (bytes_equal(key, bytes_of("gate")))
        pass_gate();
    return 0;
}

static int visit_one(struct bytes key, snapshot_visit *visit, void *context, struct reason *why)
{
    const struct label labels[] = {
        {bytes_of("a"), bytes_from("x\0y", 3)},
        {bytes_of("b"), bytes_of("")},
    };
    struct snapshot_info info = {
        .key = key,
        .parent = bytes_of("parent"),
        .kind = SNAPSHOT_ACTIVE,
        .created = -1500000000,
        .updated = 1700000000123456789,
        .labels = labels,
        .label_count = 2,
        .id = 7,
        .parent_id = 3,
        .usage_known = true,
        .usage_bytes = 4096,
        .usage_inodes = 2,
    };

    return visit(context, &info, why);
}

int snapshots_stat(struct snapshots *snapshots, struct bytes key, snapshot_visit *visit,
                   void *context, struct reason *why)
{
    int result;

    (void)snapshots;
    note("stat %s", quoted(key));
    result = judge(key, why);
    return result ? result : visit_one(key, visit, context, why);
}

int snapshots_update(struct snapshots *snapshots, struct bytes key, const struct label *labels,
                     size_t label_count, const struct bytes *paths, size_t path_count,
                     snapshot_visit *visit, void *context, struct reason *why)
{
    int result;

    (void)snapshots;
    note("update %s %zu %s", quoted(key), path_count, path_count ? quoted(paths[0]) : "none");
    append_labels(labels, label_count);
    result = judge(key, why);
    return result ? result : visit_one(key, visit, context, why);
}

int snapshots_list(struct snapshots *snapshots, const struct bytes *filters, size_t filter_count,
                   snapshot_visit *visit, void *context, struct reason *why)
{
    unsigned entries;
    size_t label_bytes;
    char *value;
    int result = 0;

    (void)snapshots;
    note("list %zu %s", filter_count, filter_count ? quoted(filters[0]) : "none");
    pthread_mutex_lock(&fake.lock);
    entries = fake.entries;
    label_bytes = fake.label_bytes;
    pthread_mutex_unlock(&fake.lock);
    value = calloc(1, label_bytes + 1);
    if (!value)
        return failure(why, ENOMEM, "make a label");
    memset(value, 'v', label_bytes);
    for (unsigned i = 0; i < entries && result == 0; i++) {
        char key[32];
        struct label label = {bytes_of("label"), bytes_from(value, label_bytes)};
        struct snapshot_info info = {
            .parent = bytes_from("p\0q", 3),
            .kind = i % 2 ? SNAPSHOT_ACTIVE : SNAPSHOT_COMMITTED,
            .created = 1000000000 + i,
            .labels = &label,
            .label_count = 1,
            .id = i + 1,
            .parent_id = i + 2,
            .usage_known = i % 2 == 0,
            .usage_bytes = i + 3,
            .usage_inodes = i + 4,
            .sealed = i % 3 == 0,
        };

        snprintf(key, sizeof(key), "key-%u", i);
        info.key = bytes_of(key);
        result = visit(context, &info, why);
        count(&fake.listed);
    }
    free(value);
    return result ? result : disk_failure(why);
}

int snapshots_usage(struct snapshots *snapshots, struct bytes key, struct volume_usage *usage,
                    struct reason *why)
{
    (void)snapshots;
    note("usage %s", quoted(key));
    *usage = (struct volume_usage){.bytes = 123456789012, .inodes = 42, .exact = true};
    return judge(key, why);
}

static int make_mounts(struct mounts *mounts)
{
    if (!mounts_make(mounts, 2) || !mount_set(&mounts->items[0], "bind", "/pool/7", "") ||
        !mount_add_option(&mounts->items[0], "rw") ||
        !mount_add_option(&mounts->items[0], "rbind") ||
        !mount_set(&mounts->items[1], "tmpfs", "none", "below"))
        return -ENOMEM;
    return 0;
}

int snapshots_prepare(struct snapshots *snapshots, struct bytes key, struct bytes parent,
                      const struct label *labels, size_t label_count, struct mounts *mounts,
                      struct reason *why)
{
    int result;

    (void)snapshots;
    note("prepare %s %s", quoted(key), quoted(parent));
    append_labels(labels, label_count);
    result = judge(key, why);
    return result ? result : make_mounts(mounts);
}

int snapshots_view(struct snapshots *snapshots, struct bytes key, struct bytes parent,
                   const struct label *labels, size_t label_count, struct mounts *mounts,
                   struct reason *why)
{
    int result;

    (void)snapshots;
    note("view %s %s", quoted(key), quoted(parent));
    append_labels(labels, label_count);
    result = judge(key, why);
    return result ? result : make_mounts(mounts);
}

int snapshots_mounts(struct snapshots *snapshots, struct bytes key, struct mounts *mounts,
                     struct reason *why)
{
    int result;

    (void)snapshots;
    note("mounts %s", quoted(key));
    result = judge(key, why);
    return result ? result : make_mounts(mounts);
}

int snapshots_commit(struct snapshots *snapshots, struct bytes name, struct bytes key,
                     struct bytes parent, const struct label *labels, size_t label_count,
                     struct reason *why)
{
    (void)snapshots;
    note("commit %s %s %s", quoted(name), quoted(key), quoted(parent));
    append_labels(labels, label_count);
    return judge(key, why);
}

int snapshots_remove(struct snapshots *snapshots, struct bytes key, struct reason *why)
{
    (void)snapshots;
    note("remove %s", quoted(key));
    return judge(key, why);
}

int snapshots_cleanup(struct snapshots *snapshots, const atomic_bool *cancel, struct reason *why)
{
    (void)snapshots;
    note("cleanup");
    return atomic_load(cancel) ? refuse(why, CONDITION_CANCELLED, "clean up") : 0;
}

int snapshots_check(struct snapshots *snapshots, bool repair, check_visit *visit, void *context,
                    struct reason *why)
{
    static const struct check_finding findings[] = {
        {CHECK_VOLUME_MISSING, CHECK_HAS_CHILDREN, 7, 7, {(const uint8_t *)"p\0q", 3}, "no volume"},
        {CHECK_INDEX_STALE, CHECK_REPAIRED, 1ull << 40, 0, {NULL, 0}, "an index"},
    };
    int result = disk_failure(why);

    (void)snapshots;
    note("check %s", repair ? "repair" : "look");
    for (size_t i = 0; !result && i < sizeof(findings) / sizeof(findings[0]); i++)
        result = visit(context, &findings[i], why);
    return result;
}

int snapshots_check_content(struct snapshots *snapshots, const struct bytes *keys, size_t key_count,
                            const atomic_bool *cancel, check_visit *visit, void *context,
                            struct check_tally *tally, struct reason *why)
{
    const struct check_finding finding = {CHECK_CONTENT, CHECK_BY_HAND, 9, 0, {NULL, 0}, "a byte"};
    int result = disk_failure(why);

    (void)snapshots;
    (void)cancel;
    note("check content of %zu: %s %s", key_count,
         quoted(key_count > 0 ? keys[0] : (struct bytes){0}),
         quoted(key_count > 1 ? keys[1] : (struct bytes){0}));
    if (!result)
        result = visit(context, &finding, why);
    *tally = (struct check_tally){3, 1ull << 33};
    return result;
}

int snapshots_figures(struct snapshots *snapshots, struct snapshots_figures *figures,
                      struct reason *why)
{
    (void)snapshots;
    note("figures");
    *figures = (struct snapshots_figures){
        .store = {.snapshots = 10,
                  .committed = 5,
                  .active = 3,
                  .views = 2,
                  .schema = 1,
                  .commits = 77,
                  .requests = 88,
                  .map_size = 1ull << 40,
                  .map_used = 4096},
        .pool = {.description = "a pool",
                 .path = "/pool",
                 .size = 1000,
                 .used = 600,
                 .available = 300,
                 .metadata_size = 50,
                 .metadata_used = 20,
                 .embedded = true,
                 .writable = true,
                 .times_low = 8},
        .awaiting_removal = 4,
        .awaiting_seal = 6,
        .ready_clones = 7,
        .holds = 1,
        .damaged = 9,
    };
    return disk_failure(why);
}

int snapshots_pool(struct snapshots *snapshots, struct pool_status *pool, struct reason *why)
{
    (void)snapshots;
    (void)why;
    *pool = (struct pool_status){.path = "/pool",
                                 .kind = "embedded",
                                 .size = 1000,
                                 .state = POOL_STATE_LOW,
                                 .advice = {"make it larger"}};
    return 0;
}

/* 7 is a size that no pool takes. */
int snapshots_grow_pool(struct snapshots *snapshots, const struct pool_growth *growth,
                        struct reason *why)
{
    (void)snapshots;
    note("grow pool %llu%s%s", (unsigned long long)growth->size, growth->more ? " more" : "",
         growth->metadata ? " metadata" : "");
    return growth->size == 7 ? refuse(why, CONDITION_PRECONDITION, "it is yours") : 0;
}

/* Cancellation is a flag, not an event: whoever looks at it looks again and again, as the extractor
 * does at each chunk. */
static int await_flag(const atomic_bool *cancel, struct reason *why)
{
    const struct timespec millisecond = {0, 1000000};

    count(&fake.cancellable);
    while (!atomic_load(cancel))
        nanosleep(&millisecond, NULL);
    count(&fake.cancelled);
    return refuse(why, CONDITION_CANCELLED, "apply: cancelled");
}

void diff_figures(struct diff *diff, struct diff_figures *figures)
{
    (void)diff;
    *figures = (struct diff_figures){.layers = 3, .stages.elapsed = 5000};
    for (unsigned i = 0; i < STAGES; i++)
        figures->stages.of[i] = (struct stage_time){100 + i, 200 + i, 300 + i};
}

int snapshots_check_pool(struct snapshots *snapshots, const atomic_bool *cancel,
                         struct pool_verdict *verdict, struct reason *why)
{
    (void)snapshots;
    (void)cancel;
    (void)why;
    note("check pool");
    *verdict = (struct pool_verdict){.sound = true, .finding = {"all is well"}};
    return 0;
}

int diff_apply(struct diff *diff, const struct diff_apply_request *request,
               struct diff_apply_result *result, struct reason *why)
{
    (void)diff;
    note("apply %s %s %lld mounts=%zu sync=%d encrypted=%d", quoted(request->media_type),
         quoted(request->digest), (long long)request->size, request->mounts->count, request->sync,
         request->encrypted);
    for (size_t i = 0; i < request->mounts->count; i++) {
        const struct mount *mount = &request->mounts->items[i];

        note_more(" [%s %s %s", mount->type, mount->source, mount->target);
        for (size_t k = 0; k < mount->option_count; k++)
            note_more("%s%s", k ? "," : " ", mount->options[k]);
        note_more("]");
    }
    if (bytes_equal(request->digest, bytes_of("sha256:cancel")))
        return await_flag(request->cancel, why);
    if (bytes_equal(request->digest, bytes_of("sha256:other")))
        return refuse(why, CONDITION_UNIMPLEMENTED, "media type %s", quoted(request->media_type));
    if (bytes_equal(request->digest, bytes_of("sha256:fails")))
        return failure(why, EIO, "read layer %s", quoted(request->digest));
    if (bytes_equal(request->digest, bytes_of("sha256:gate")))
        pass_gate();
    result->media_type = "application/vnd.oci.image.layer.v1.tar";
    snprintf(result->digest, sizeof(result->digest), "sha256:%064d", 5);
    result->size = 1u << 30;
    return 0;
}
