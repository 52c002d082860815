/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/layer.h"

#include "base/step.h"
#include "layer/apply.h"
#include "layer/tar_reader.h"
#include "layer/tree.h"

#include <unistd.h>

/*
 * The calling thread reads entries and does what is rare (folders, links, devices, removals) in the
 * archive's order; the stream's threads run ahead of it, the writers behind it.
 *
 *      stream (inflate, hash) ─chunks→ tar reader → apply ─runs of chunks→ writers → files
 *
 * Chunks are what all of them share, and what bounds them. A chunk comes back when its hash is
 * taken, the tar reader has passed it and every writer with a run in it has written that. None of
 * these waits for a chunk; only the inflater does (the essays in stream.c and writer.c).
 */

#define LAYER_CHUNKS 96u /* 24 MiB */

struct layer {
    struct stream *stream;
    struct tar_reader *reader;
    struct tree tree;
    struct apply apply;
};

static int layer_next_chunk(void *context, struct chunk **chunk, struct reason *why)
{
    return stream_next(context, chunk, why);
}

/* One writer for each processor, but two at least (one may wait for the disk while the other
 * works), and no more than eight: file systems do not scale further in one tree. */
static unsigned layer_writers(const struct layer_request *request)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);

    if (request->writers > 0)
        return request->writers;
    return processors < 2 ? 2 : processors > 8 ? 8 : (unsigned)processors;
}

static int layer_entries(struct layer *layer, struct reason *why)
{
    for (;;) {
        const struct entry *entry;
        int result = tar_reader_next(layer->reader, &entry, why);

        if (!result && entry)
            result = apply_entry(&layer->apply, entry, layer->reader, why);
        STEP("apply.entry-made");
        if (result || !entry)
            return result;
    }
}

static int layer_sync(struct layer *layer, struct stage_time *sync, struct reason *why)
{
    uint64_t begun = stage_now();
    int done = tree_sync(&layer->tree, why);

    sync->waited = stage_now() - begun;
    return done;
}

static int layer_run(struct layer *layer, const struct layer_request *request,
                     struct layer_result *result, struct reason *why)
{
    uint64_t begun = stage_now(), ran = stage_processor();
    struct stages *stages = &result->stages;
    int done = layer_entries(layer, why);

    if (!done)
        done = stream_finish(layer->stream, &result->sum, why);
    if (!done)
        done = apply_finish(&layer->apply, why);
    STEP("apply.tree-made");
    if (!done && request->sync)
        done = layer_sync(layer, &stages->of[STAGE_SYNC], why);
    if (!done) {
        stream_stages(layer->stream, stages);
        writer_pool_stages(layer->tree.writers, stages);
        stages->of[STAGE_WRITE].bytes = result->file_bytes;
        stages->of[STAGE_PARSE].processor = stage_processor() - ran;
        stages->elapsed = stage_now() - begun;
    }
    result->inodes = layer->tree.inodes;
    result->removed = layer->tree.removed;
    return done;
}

/* Between the tree's start and its end. */
static int layer_with_tree(struct layer *layer, const struct layer_request *request,
                           struct layer_result *result, struct reason *why)
{
    const struct stream_options options = {
        .chunks = LAYER_CHUNKS,
        .verify = request->verify,
        .size_limit = request->size_limit,
        .ratio_limit = request->ratio_limit,
        .cancel = request->cancel,
    };
    int done = apply_init(&layer->apply, &layer->tree, request, result, why);

    if (done)
        return done;
    done = stream_open(&layer->stream, request->blob, &options, why);
    if (!done)
        done = tar_reader_new(&layer->reader, layer_next_chunk, layer->stream, why);
    if (!done)
        done = layer_run(layer, request, result, why);
    apply_deinit(&layer->apply);
    return done;
}

int layer_apply(const struct layer_request *request, struct layer_result *result,
                struct reason *why)
{
    struct layer layer = {0};
    int done = tree_init(&layer.tree, request, layer_writers(request), why);

    *result = (struct layer_result){0};
    if (done)
        return done;
    done = layer_with_tree(&layer, request, result, why);
    tree_deinit(&layer.tree); /* gives back the writers' chunks, before their pool goes */
    layer.reader = tar_reader_free(layer.reader);
    layer.stream = stream_close(layer.stream);
    return done;
}
