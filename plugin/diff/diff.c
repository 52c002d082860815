/* SPDX-License-Identifier: Apache-2.0 */
#include "diff/diff.h"

#include "base/log.h"
#include "base/scoped.h"
#include "base/step.h"
#include "diff/content.h"
#include "diff/target.h"
#include "layer/layer.h"
#include "layer/manifest.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct diff {
    struct diff_options options;
    char *content_root;
    pthread_mutex_t lock; /* of the figures */
    struct diff_figures figures;
    atomic_uint_fast64_t
        pending; /* bytes that layers have written and the pool may not count yet */
};

/* The room that one layer asks for. */
struct diff_room {
    struct diff *diff;
    uint64_t pending; /* its share of the sum */
};

int diff_open(struct diff **diff, const struct diff_options *options, struct reason *why)
{
    struct diff *made = calloc(1, sizeof(*made));

    if (made)
        made->content_root = strdup(options->content_root);
    if (!made || !made->content_root) {
        free(made);
        return failure(why, ENOMEM, "open the diff service");
    }
    pthread_mutex_init(&made->lock, NULL);
    made->options = *options;
    made->options.content_root = made->content_root;
    *diff = made;
    return 0;
}

struct diff *diff_close(struct diff *diff)
{
    if (!diff)
        return NULL;
    pthread_mutex_destroy(&diff->lock);
    free(diff->content_root);
    free(diff);
    return NULL;
}

/* The layers of OCI images and of Docker's schema 2, each plain, as gzip or as zstd. Which of these
 * a blob really is, its first bytes tell: registries hold blobs whose type says otherwise. */
static bool is_layer_type(struct bytes type)
{
    static const char *const types[] = {
        "application/vnd.oci.image.layer.v1.tar",
        "application/vnd.oci.image.layer.v1.tar+gzip",
        "application/vnd.oci.image.layer.v1.tar+zstd",
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
        "application/vnd.docker.image.rootfs.diff.tar",
        "application/vnd.docker.image.rootfs.diff.tar.gzip",
        "application/vnd.docker.image.rootfs.diff.tar.zstd",
        "application/vnd.docker.image.rootfs.foreign.diff.tar",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.zstd",
    };

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (bytes_equal(type, bytes_of(types[i])))
            return true;
    return false;
}

static int check_request(const struct diff_apply_request *request, struct reason *why)
{
    if (request->encrypted)
        return refuse(why, CONDITION_UNIMPLEMENTED,
                      "layer %s needs payloads (decryption), which are not served",
                      quoted(request->digest));
    if (!is_layer_type(request->media_type))
        return refuse(why, CONDITION_UNIMPLEMENTED, "layers of media type %s are not served",
                      quoted(request->media_type));
    if (request->size < 0)
        return refuse(why, CONDITION_INVALID, "layer %s has a negative size",
                      quoted(request->digest));
    return 0;
}

/* A layer_room over the pool: what all layers have under way counts. */
static int look_for_room(void *context, uint64_t pending, bool settled, struct reason *why)
{
    struct diff_room *room = context;
    uint64_t others = atomic_fetch_sub(&room->diff->pending, room->pending) - room->pending;

    room->pending = pending;
    atomic_fetch_add(&room->diff->pending, pending);
    /* When its own is on the disk, what others have under way is theirs to settle, at their next
     * look: it may be on the disk as well. */
    return snapshots_room(room->diff->options.snapshots, pending + (settled ? 0 : others), why);
}

/* Where what is written is noted; NULL where it is not. */
static struct manifest *record_content(struct diff *diff, const struct target *target)
{
    struct manifest *manifest = NULL;
    struct reason why = {0};
    int fd = target->ours ? snapshots_manifest(diff->options.snapshots, &target->hold,
                                               diff->options.record_content)
                          : -1;

    if (fd >= 0 && manifest_begin(&manifest, fd, &why))
        log_warn("the content of snapshot #%" PRIu64 " is not recorded: %s", target->hold.id,
                 why.text);
    return manifest;
}

static int extract(struct diff *diff, const struct diff_apply_request *request, int blob,
                   const uint8_t *digest, const struct target *target, struct layer_result *result,
                   struct reason *why)
{
    struct manifest *manifest = record_content(diff, target);
    struct diff_room pool = {.diff = diff};
    const struct layer_room room = {
        .look = look_for_room,
        .context = &pool,
        .block = target->ours ? snapshots_block(diff->options.snapshots) : 0,
    };
    const struct layer_request layer = {
        .blob = blob,
        .verify = diff->options.verify_blobs ? digest : NULL,
        .target = target->directory,
        .whiteouts = target->whiteouts,
        .lowers = (const char *const *)target->lowers,
        .engine = diff->options.engine,
        .writers = diff->options.writers,
        .size_limit = diff->options.size_limit,
        .ratio_limit = diff->options.ratio_limit,
        .refuse_devices = diff->options.refuse_devices,
        .room = target->ours ? &room : NULL,
        .manifest = manifest,
        .sync = target->ours || request->sync,
        .cancel = request->cancel,
    };
    struct reason trouble = {0};
    int outcome;

    outcome = layer_apply(&layer, result, why);
    atomic_fetch_sub(&diff->pending, pool.pending);
    if (manifest_end(manifest, outcome == 0, &trouble))
        log_warn("the content of snapshot #%" PRIu64 " is not recorded: %s", target->hold.id,
                 trouble.text);
    return outcome;
}

/* Whether CLOSED, what the end of the hold answers, is what an Apply that came to RESULT is to
 * answer: a removal under way looks like a cancellation, or like folders that vanish, and a pool
 * that fails like many things. */
static bool is_cause(int closed, int result)
{
    return result == 0 || closed == CONDITION_NOT_FOUND ||
           (closed == CONDITION_UNAVAILABLE && (result < 0 || result == CONDITION_UNAVAILABLE));
}

static int apply_to_target(struct diff *diff, const struct diff_apply_request *request, int blob,
                           const uint8_t *digest, struct layer_result *layer, struct reason *why)
{
    struct target target;
    struct volume_usage written = {.exact = true};
    struct reason trouble = {0};
    int closed;
    int result =
        target_open(&target, diff->options.snapshots, request->mounts, request->cancel, why);

    if (result)
        return result;
    STEP("apply.target-held");
    result = extract(diff, request, blob, digest, &target, layer, why);
    STEP("apply.unpacked");
    written.bytes = layer->file_bytes;
    written.inodes = layer->inodes;
    closed =
        target_close(&target, diff->options.snapshots, result ? NULL : &written, true, &trouble);
    STEP("apply.recorded");
    if (closed && is_cause(closed, result)) {
        *why = trouble;
        result = closed;
    }
    return result;
}

static void count(struct diff *diff, const struct layer_result *layer)
{
    pthread_mutex_lock(&diff->lock);
    diff->figures.layers++;
    stages_add(&diff->figures.stages, &layer->stages);
    pthread_mutex_unlock(&diff->lock);
}

void diff_figures(struct diff *diff, struct diff_figures *figures)
{
    pthread_mutex_lock(&diff->lock);
    *figures = diff->figures;
    pthread_mutex_unlock(&diff->lock);
}

int diff_apply(struct diff *diff, const struct diff_apply_request *request,
               struct diff_apply_result *result, struct reason *why)
{
    uint8_t digest[CONTENT_DIGEST_SIZE];
    struct layer_result layer = {0};
    scoped_fd int blob = -1;
    int outcome = check_request(request, why);

    if (!outcome)
        outcome = content_parse_digest(request->digest, digest, why);
    if (!outcome)
        outcome = content_open(diff->content_root, digest, request->size, &blob, why);
    if (!outcome)
        outcome = apply_to_target(diff, request, blob, digest, &layer, why);
    if (outcome)
        return amend(why, outcome, "apply layer %s", quoted(request->digest));
    count(diff, &layer);
    result->media_type = "application/vnd.oci.image.layer.v1.tar";
    content_format_digest(layer.sum.digest, result->digest);
    result->size = layer.sum.size;
    log_debug("applied layer %s: %" PRIu64 " entries, %" PRIu64 " bytes in files",
              quoted(request->digest), layer.entries, layer.file_bytes);
    return 0;
}
