/* SPDX-License-Identifier: Apache-2.0 */
/* What the tool `cowsnap` is told, over fakes of what the daemon knows. */
#include "rpc/control_client.h"

#include "base/scoped.h"
#include "rpc/message.h"
#include "unit/cmocka_setup.h"
#include "unit/rpc/fakes.h"
#include "unit/rpc/rig.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef Cowsnap__Control__V1__StatusResponse StatusResponse;
typedef Cowsnap__Control__V1__SnapshotsResponse SnapshotsResponse;

static struct reason why;

/* ---- Status ---- */

static void status_tells_the_facts_of_the_daemon(void **state)
{
    struct rig *rig = *state;
    scoped_message StatusResponse *status = NULL;
    int64_t now = (int64_t)time(NULL);

    assert_int_equal(control_client_status(rig->client, &status, &why), 0);
    assert_string_equal(status->version, COWSNAP_VERSION);
    assert_string_equal(status->backend, "fake");
    assert_string_equal(status->io_engine, "none");
    assert_string_equal(status->root, rig->folder);
    assert_string_equal(status->address, rig->address);
    assert_string_equal(status->content_root, "/content");
    assert_int_equal(status->pid, getpid());
    assert_in_range(status->started, now - 60, now);
}

static void status_tells_every_figure(void **state)
{
    struct rig *rig = *state;
    scoped_message StatusResponse *status = NULL;

    assert_int_equal(control_client_status(rig->client, &status, &why), 0);
    assert_string_equal(status->pool->description, "a pool");
    assert_string_equal(status->pool->path, "/pool");
    assert_int_equal(status->pool->size, 1000);
    assert_int_equal(status->pool->used, 600);
    assert_int_equal(status->pool->available, 300);
    assert_int_equal(status->pool->metadata_size, 50);
    assert_int_equal(status->pool->metadata_used, 20);
    assert_true(status->pool->embedded);
    assert_true(status->pool->writable);
    assert_int_equal(status->pool->times_low, 8);
    assert_int_equal(status->snapshots->total, 10);
    assert_int_equal(status->snapshots->committed, 5);
    assert_int_equal(status->snapshots->active, 3);
    assert_int_equal(status->snapshots->views, 2);
    assert_int_equal(status->store->schema, 1);
    assert_int_equal(status->store->commits, 77);
    assert_int_equal(status->store->requests, 88);
    assert_int_equal(status->store->map_size, 1ull << 40);
    assert_int_equal(status->store->map_used, 4096);
    assert_int_equal(status->awaiting_removal, 4);
    assert_int_equal(status->awaiting_seal, 6);
    assert_int_equal(status->layers_in_work, 1);
    assert_int_equal(status->damaged, 9);
    assert_int_equal(status->ready_clones, 7);
}

static void a_fact_that_is_not_set_is_an_empty_text(void **state)
{
    struct rig *rig = *state;
    scoped_message StatusResponse *status = NULL;
    struct server_options options = {.address = rig->address};

    rig->client = client_close(rig->client);
    rig->server = server_close(rig->server, 5);
    assert_int_equal(server_open(&rig->server, &options, &why), 0);
    assert_int_equal(client_open(&rig->client, rig->address, &why), 0);
    assert_int_equal(control_client_status(rig->client, &status, &why), 0);
    assert_string_equal(status->backend, "");
    assert_string_equal(status->content_root, "");
}

static void status_fails_when_the_figures_cannot_be_had(void **state)
{
    struct rig *rig = *state;
    StatusResponse *status = NULL;

    fakes_break_disk(EIO);
    assert_int_equal(control_client_status(rig->client, &status, &why), -EIO);
    assert_string_equal(why.text, "read the store: Input/output error");
    assert_null(status);
}

/* ---- Snapshots ---- */

struct seen {
    unsigned entries, messages;
    size_t most; /* entries in one message */
};

static int see_snapshot(void *context, const struct snapshot_info *info, struct reason *reason)
{
    struct seen *seen = context;
    unsigned i = seen->entries++;
    char key[32];

    (void)reason;
    snprintf(key, sizeof(key), "key-%u", i);
    assert_true(bytes_equal(info->key, bytes_of(key)));
    assert_true(bytes_equal(info->parent, bytes_from("p\0q", 3)));
    assert_int_equal(info->kind, i % 2 ? SNAPSHOT_ACTIVE : SNAPSHOT_COMMITTED);
    assert_int_equal(info->created, 1000000000 + i);
    assert_int_equal(info->id, i + 1);
    assert_int_equal(info->parent_id, i + 2);
    assert_int_equal(info->usage_known, i % 2 == 0);
    assert_int_equal(info->usage_bytes, i + 3);
    assert_int_equal(info->usage_inodes, i + 4);
    assert_int_equal(info->sealed, i % 3 == 0);
    return 0;
}

static int see_message(void *context, const ProtobufCMessage *reply, struct reason *reason)
{
    const SnapshotsResponse *response = (const SnapshotsResponse *)reply;
    struct seen *seen = context;

    (void)reason;
    seen->messages++;
    seen->entries += (unsigned)response->n_snapshots;
    if (response->n_snapshots > seen->most)
        seen->most = response->n_snapshots;
    return 0;
}

static int stream_snapshots(struct rig *rig, struct seen *seen)
{
    struct client_request request = {
        .method = "/cowsnap.control.v1.Control/Snapshots",
        .wire = bytes_of(""),
        .reply = &cowsnap__control__v1__snapshots_response__descriptor,
    };

    return client_stream(rig->client, &request, see_message, seen, NULL, &why);
}

static void all_snapshots_are_told_with_ids_and_usage(void **state)
{
    struct rig *rig = *state;
    struct seen seen = {0};

    fakes_set_list(777, 3);
    assert_int_equal(control_client_snapshots(rig->client, see_snapshot, &seen, &why), 0);
    assert_int_equal(seen.entries, 777);
    assert_string_equal(fakes_last(), "list 0 none"); /* no filter: all of them */
}

static void they_come_a_hundred_a_message_and_without_their_labels(void **state)
{
    struct rig *rig = *state;
    struct seen seen = {0};

    fakes_set_list(450, 300000); /* labels would fill a message with two of them */
    assert_int_equal(stream_snapshots(rig, &seen), 0);
    assert_int_equal(seen.entries, 450);
    assert_int_equal(seen.messages, 5);
    assert_int_equal(seen.most, 100);
}

static void when_there_are_none_no_message_comes(void **state)
{
    struct rig *rig = *state;
    struct seen seen = {0};

    assert_int_equal(stream_snapshots(rig, &seen), 0);
    assert_int_equal(seen.messages, 0);
}

static void a_list_that_breaks_off_says_so(void **state)
{
    struct rig *rig = *state;
    struct seen seen = {0};

    fakes_set_list(150, 3);
    fakes_break_disk(EIO);
    assert_int_equal(stream_snapshots(rig, &seen), -EIO);
    assert_string_equal(why.text, "read the store: Input/output error");
    assert_int_equal(seen.entries, 100); /* what had left by then, and no more */
}

static void a_reader_that_leaves_ends_the_list(void **state)
{
    struct rig *rig = *state;
    struct client_request request = {
        .method = "/cowsnap.control.v1.Control/Snapshots",
        .wire = bytes_of(""),
        .reply = &cowsnap__control__v1__snapshots_response__descriptor,
    };
    scoped_message StatusResponse *status = NULL;
    struct client_call *call;
    ProtobufCMessage *reply;

    rig_restart(rig, (struct server_options){.workers = 1, .queue_limit = 4});
    fakes_set_list(1000000, 3);
    assert_int_equal(client_begin(&call, rig->client, &request, &why), 0);
    assert_int_equal(client_next(call, &reply, &why), 0);
    assert_non_null(reply);
    message_free(reply);
    client_cancel(call);
    assert_int_equal(client_end(call, NULL, &why), CONDITION_CANCELLED);
    /* the only worker is free again, long before the end of the list */
    assert_int_equal(control_client_status(rig->client, &status, &why), 0);
    assert_in_range(fakes_listed(), 100, 999999);
}

/* ---- GrowPool, CheckPool ---- */

static void a_pool_grows_by_what_was_asked(void **state)
{
    struct rig *rig = *state;
    struct pool_growth growth = {.size = 5 << 20, .more = true, .metadata = true};
    scoped_message Cowsnap__Control__V1__GrowPoolResponse *response = NULL;

    assert_int_equal(control_client_grow_pool(rig->client, &growth, &response, &why), 0);
    assert_string_equal(fakes_last(), "grow pool 5242880 more metadata");
    assert_int_equal(response->before->size, 1000);
    assert_string_equal(response->pool->kind, "embedded");
    assert_string_equal(response->pool->state, "low");
    assert_string_equal(response->pool->advice, "make it larger");
    assert_string_equal(response->pool->data_on, "");
}

static void a_pool_that_does_not_grow_says_why(void **state)
{
    struct rig *rig = *state;
    struct pool_growth growth = {.size = 7};
    scoped_message Cowsnap__Control__V1__GrowPoolResponse *response = NULL;

    assert_int_equal(control_client_grow_pool(rig->client, &growth, &response, &why),
                     CONDITION_PRECONDITION);
    assert_null(response);
    assert_non_null(strstr(why.text, "it is yours"));
}

static void a_check_tells_what_it_found(void **state)
{
    struct rig *rig = *state;
    struct pool_verdict verdict = {0};

    assert_int_equal(control_client_check_pool(rig->client, &verdict, &why), 0);
    assert_string_equal(fakes_last(), "check pool");
    assert_true(verdict.sound);
    assert_string_equal(verdict.finding.text, "all is well");
}

/* ---- Check ---- */

static int see_finding(void *context, const struct check_finding *finding, struct reason *reason)
{
    unsigned *count = context;

    (void)reason;
    if (++*count == 1) {
        assert_int_equal(finding->kind, CHECK_VOLUME_MISSING);
        assert_int_equal(finding->outcome, CHECK_HAS_CHILDREN);
        assert_int_equal(finding->id, 7);
        assert_true(bytes_equal(finding->key, bytes_from("p\0q", 3)));
        assert_string_equal(finding->problem, "no volume");
    } else {
        assert_int_equal(finding->kind, CHECK_INDEX_STALE);
        assert_int_equal(finding->outcome, CHECK_REPAIRED);
        assert_int_equal(finding->id, 1ull << 40);
        assert_int_equal(finding->key.length, 0);
        assert_string_equal(finding->problem, "an index");
    }
    return 0;
}

static void a_check_tells_each_finding(void **state)
{
    struct rig *rig = *state;
    unsigned count = 0;

    assert_int_equal(control_client_check(rig->client, false, see_finding, &count, &why), 0);
    assert_int_equal(count, 2);
    assert_string_equal(fakes_last(), "check look");
}

static void a_check_repairs_only_when_it_is_asked_to(void **state)
{
    struct rig *rig = *state;
    unsigned count = 0;

    assert_int_equal(control_client_check(rig->client, true, see_finding, &count, &why), 0);
    assert_string_equal(fakes_last(), "check repair");
}

static int see_content(void *context, const struct check_finding *finding, struct reason *reason)
{
    (void)reason;
    ++*(unsigned *)context;
    assert_int_equal(finding->kind, CHECK_CONTENT);
    assert_int_equal(finding->id, 9);
    assert_string_equal(finding->problem, "a byte");
    return 0;
}

static void a_check_of_files_tells_findings_and_counts(void **state)
{
    const struct bytes keys[] = {{(const uint8_t *)"a\0b", 3}, bytes_of("c")};
    struct rig *rig = *state;
    struct reason reason = {0};
    struct check_tally tally;
    unsigned count = 0;

    assert_int_equal(
        control_client_check_content(rig->client, NULL, 0, see_content, &count, &tally, &reason),
        0);
    assert_int_equal(count, 1);
    assert_int_equal(tally.compared, 3);
    assert_int_equal(tally.unrecorded, 1ull << 33);
    assert_string_equal(fakes_last(), "check content of 0: \"\" \"\"");
    assert_int_equal(
        control_client_check_content(rig->client, keys, 2, see_content, &count, &tally, &reason),
        0);
    assert_string_equal(fakes_last(), "check content of 2: \"a\\x00b\" \"c\"");
}

static void a_check_that_fails_says_so(void **state)
{
    struct rig *rig = *state;
    unsigned count = 0;

    fakes_break_disk(EIO);
    assert_int_equal(control_client_check(rig->client, false, see_finding, &count, &why), -EIO);
    assert_string_equal(why.text, "read the store: Input/output error");
    assert_int_equal(count, 0);
}

int main(void)
{
#define in_rig(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)
    const struct CMUnitTest tests[] = {
        in_rig(status_tells_the_facts_of_the_daemon),
        in_rig(status_tells_every_figure),
        in_rig(a_fact_that_is_not_set_is_an_empty_text),
        in_rig(status_fails_when_the_figures_cannot_be_had),
        in_rig(all_snapshots_are_told_with_ids_and_usage),
        in_rig(they_come_a_hundred_a_message_and_without_their_labels),
        in_rig(when_there_are_none_no_message_comes),
        in_rig(a_list_that_breaks_off_says_so),
        in_rig(a_reader_that_leaves_ends_the_list),
        in_rig(a_pool_grows_by_what_was_asked),
        in_rig(a_pool_that_does_not_grow_says_why),
        in_rig(a_check_tells_what_it_found),

        in_rig(a_check_tells_each_finding),
        in_rig(a_check_repairs_only_when_it_is_asked_to),
        in_rig(a_check_of_files_tells_findings_and_counts),
        in_rig(a_check_that_fails_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
