/* SPDX-License-Identifier: Apache-2.0 */
/* Each call of containerd's services, from a client through the socket to the rules and back. */
#include "rpc/snapshots_client.h"
#include "unit/cmocka_setup.h"
#include "unit/rpc/fakes.h"
#include "unit/rpc/rig.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct reason why;

/* ---- how long a call waits (the linker's --wrap in CMakeLists.txt) ---- */

static unsigned timeout_ms;  /* of the last call */
static unsigned patience_ms; /* what calls get in its place; 0: what they ask for */

int __real_client_unary(struct client *client, const struct client_request *request,
                        ProtobufCMessage **reply, struct client_status *status,
                        struct reason *reason);
int __wrap_client_unary(struct client *client, const struct client_request *request,
                        ProtobufCMessage **reply, struct client_status *status,
                        struct reason *reason);
int __real_client_stream(struct client *client, const struct client_request *request,
                         client_visit *visit, void *context, struct client_status *status,
                         struct reason *reason);
int __wrap_client_stream(struct client *client, const struct client_request *request,
                         client_visit *visit, void *context, struct client_status *status,
                         struct reason *reason);

static struct client_request hurried(const struct client_request *request)
{
    struct client_request hurried = *request;

    timeout_ms = request->timeout_ms;
    if (timeout_ms && patience_ms)
        hurried.timeout_ms = patience_ms;
    return hurried;
}

int __wrap_client_unary(struct client *client, const struct client_request *request,
                        ProtobufCMessage **reply, struct client_status *status,
                        struct reason *reason)
{
    struct client_request sent = hurried(request);

    return __real_client_unary(client, &sent, reply, status, reason);
}

int __wrap_client_stream(struct client *client, const struct client_request *request,
                         client_visit *visit, void *context, struct client_status *status,
                         struct reason *reason)
{
    struct client_request sent = hurried(request);

    return __real_client_stream(client, &sent, visit, context, status, reason);
}

/* ---- the calls ---- */

static void sees_mounts(const struct client_mounts *mounts)
{
    assert_int_equal(mounts->list.count, 2);
    assert_string_equal(mounts->list.items[0].type, "bind");
    assert_string_equal(mounts->list.items[0].source, "/pool/7");
    assert_string_equal(mounts->list.items[0].target, "");
    assert_int_equal(mounts->list.items[0].option_count, 2);
    assert_string_equal(mounts->list.items[0].options[1], "rbind");
    assert_string_equal(mounts->list.items[1].target, "below");
    assert_int_equal(mounts->list.items[1].option_count, 0);
}

static int sees_info(void *context, const struct snapshot_info *info, struct reason *reason)
{
    const struct bytes *key = context;

    (void)reason;
    assert_true(bytes_equal(info->key, *key));
    assert_true(bytes_equal(info->parent, bytes_of("parent")));
    assert_int_equal(info->kind, SNAPSHOT_ACTIVE);
    assert_int_equal(info->created, -1500000000);
    assert_int_equal(info->updated, 1700000000123456789);
    assert_int_equal(info->label_count, 2);
    assert_true(bytes_equal(info->labels[0].value, bytes_from("x\0y", 3)));
    assert_true(bytes_equal(info->labels[1].key, bytes_of("b")));
    return 0;
}

static void prepare_carries_key_parent_and_labels(void **state)
{
    struct rig *rig = *state;
    struct client_mounts mounts;
    struct label labels[] = {
        {bytes_of("z"), bytes_of("1")},
        {bytes_from("k\0n", 3), bytes_of("two words")},
    };

    assert_int_equal(snapshots_client_prepare(rig->client, bytes_of("ns/1/a b"), bytes_of("p"),
                                              labels, 2, &mounts, &why),
                     0);
    assert_string_equal(fakes_last(),
                        "prepare \"ns/1/a b\" \"p\" \"k\\x00n\"=\"two words\" \"z\"=\"1\"");
    sees_mounts(&mounts);
    client_mounts_clear(&mounts);
}

static void of_a_label_that_comes_twice_the_last_counts(void **state)
{
    struct rig *rig = *state;
    struct label labels[] = {
        {bytes_of("k"), bytes_of("first")},
        {bytes_of("a"), bytes_of("")},
        {bytes_of("k"), bytes_of("last")},
    };

    assert_int_equal(
        snapshots_client_prepare(rig->client, bytes_of("x"), bytes_of(""), labels, 3, NULL, &why),
        0);
    assert_string_equal(fakes_last(), "prepare \"x\" \"\" \"a\"=\"\" \"k\"=\"last\"");
}

static void view_and_mounts_hand_out_mounts(void **state)
{
    struct rig *rig = *state;
    struct client_mounts mounts;

    assert_int_equal(
        snapshots_client_view(rig->client, bytes_of("v"), bytes_of("p"), NULL, 0, &mounts, &why),
        0);
    assert_string_equal(fakes_last(), "view \"v\" \"p\"");
    sees_mounts(&mounts);
    client_mounts_clear(&mounts);
    assert_int_equal(snapshots_client_mounts(rig->client, bytes_of("v"), &mounts, &why), 0);
    assert_string_equal(fakes_last(), "mounts \"v\"");
    sees_mounts(&mounts);
    client_mounts_clear(&mounts);
}

static void commit_carries_all_its_names(void **state)
{
    struct rig *rig = *state;
    struct label label = {bytes_of("l"), bytes_of("m")};

    assert_int_equal(snapshots_client_commit(rig->client, bytes_of("name"), bytes_of("key"),
                                             bytes_of("parent"), &label, 1, &why),
                     0);
    assert_string_equal(fakes_last(), "commit \"name\" \"key\" \"parent\" \"l\"=\"m\"");
}

static void remove_and_cleanup_answer_empty(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(snapshots_client_remove(rig->client, bytes_of("key"), &why), 0);
    assert_string_equal(fakes_last(), "remove \"key\"");
    assert_int_equal(snapshots_client_cleanup(rig->client, &why), 0);
    assert_string_equal(fakes_last(), "cleanup");
}

static void stat_tells_all_of_an_info(void **state)
{
    struct rig *rig = *state;
    struct bytes key = bytes_from("with\0nul", 8);

    assert_int_equal(snapshots_client_stat(rig->client, key, sees_info, &key, &why), 0);
    assert_string_equal(fakes_last(), "stat \"with\\x00nul\"");
}

static void update_carries_the_mask(void **state)
{
    struct rig *rig = *state;
    struct bytes key = bytes_of("k"), path = bytes_of("labels.a.b");
    struct label label = {bytes_of("a.b"), bytes_of("v")};

    assert_int_equal(
        snapshots_client_update(rig->client, key, &label, 1, &path, 1, sees_info, &key, &why), 0);
    assert_string_equal(fakes_last(), "update \"k\" 1 \"labels.a.b\" \"a.b\"=\"v\"");
}

static void usage_is_told(void **state)
{
    struct rig *rig = *state;
    struct volume_usage usage;

    assert_int_equal(snapshots_client_usage(rig->client, bytes_of("k"), &usage, &why), 0);
    assert_int_equal(usage.bytes, 123456789012);
    assert_int_equal(usage.inodes, 42);
}

struct counted {
    unsigned entries;
};

static int count_entry(void *context, const struct snapshot_info *info, struct reason *reason)
{
    struct counted *counted = context;
    char key[32];

    (void)reason;
    snprintf(key, sizeof(key), "key-%u", counted->entries++);
    assert_true(bytes_equal(info->key, bytes_of(key)));
    return 0;
}

static void list_carries_filters_and_all_entries_in_order(void **state)
{
    struct rig *rig = *state;
    struct bytes filters[] = {bytes_of("kind==active"), bytes_of("name~=x")};
    struct counted counted = {0};

    assert_int_equal(snapshots_client_list(rig->client, filters, 2, count_entry, &counted, &why),
                     0);
    assert_int_equal(counted.entries, 0);
    assert_string_equal(fakes_last(), "list 2 \"kind==active\"");
    fakes_set_list(1234, 10);
    assert_int_equal(snapshots_client_list(rig->client, NULL, 0, count_entry, &counted, &why), 0);
    assert_int_equal(counted.entries, 1234);
}

static void conditions_arrive_as_statuses_with_their_endings(void **state)
{
    struct rig *rig = *state;
    struct client_mounts mounts;

    assert_int_equal(snapshots_client_stat(rig->client, bytes_of("missing"), sees_info, NULL, &why),
                     CONDITION_NOT_FOUND);
    assert_string_equal(why.text, "snapshot \"missing\": not found");
    assert_int_equal(snapshots_client_prepare(rig->client, bytes_of("taken"), bytes_of(""), NULL, 0,
                                              &mounts, &why),
                     CONDITION_EXISTS);
    assert_string_equal(why.text, "snapshot \"taken\": already exists");
    assert_int_equal(snapshots_client_remove(rig->client, bytes_of("children"), &why),
                     CONDITION_PRECONDITION);
    assert_string_equal(
        why.text, "cannot remove snapshot \"children\": it has children: failed precondition");
    assert_int_equal(snapshots_client_remove(rig->client, bytes_of("full"), &why),
                     CONDITION_EXHAUSTED);
    assert_string_equal(why.text, "pool \xc3\xbc is full: resource exhausted");
}

static void a_failure_arrives_as_internal(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(snapshots_client_remove(rig->client, bytes_of("fails"), &why), -EIO);
    assert_string_equal(why.text, "read snapshot \"fails\": Input/output error");
}

static void calls_to_a_daemon_that_hangs_end_in_time(void **state)
{
    struct rig *rig = *state;
    const struct bytes gate = bytes_of("gate");
    struct volume_usage usage;
    struct client_mounts mounts;

    patience_ms = 20;
    assert_int_equal(snapshots_client_usage(rig->client, gate, &usage, &why), CONDITION_DEADLINE);
    assert_int_equal(timeout_ms, CLIENT_TIMEOUT * 1000);
    assert_int_equal(snapshots_client_stat(rig->client, gate, sees_info, NULL, &why),
                     CONDITION_DEADLINE);
    assert_int_equal(
        snapshots_client_update(rig->client, gate, NULL, 0, NULL, 0, sees_info, NULL, &why),
        CONDITION_DEADLINE);
    assert_int_equal(snapshots_client_mounts(rig->client, gate, &mounts, &why), CONDITION_DEADLINE);
    assert_int_equal(snapshots_client_prepare(rig->client, gate, gate, NULL, 0, &mounts, &why),
                     CONDITION_DEADLINE);
    assert_int_equal(snapshots_client_view(rig->client, gate, gate, NULL, 0, &mounts, &why),
                     CONDITION_DEADLINE);
    assert_int_equal(snapshots_client_remove(rig->client, gate, &why), CONDITION_DEADLINE);
    patience_ms = 0;
    assert_int_equal(snapshots_client_list(rig->client, NULL, 0, sees_info, NULL, &why), 0);
    assert_int_equal(timeout_ms, CLIENT_TIMEOUT * 1000);
}

/* A whole volume may have to be written, or many to be ended. */
static void calls_that_wait_for_the_disk_have_no_limit(void **state)
{
    struct rig *rig = *state;
    const struct bytes key = bytes_of("key");

    assert_int_equal(snapshots_client_commit(rig->client, key, key, key, NULL, 0, &why), 0);
    assert_int_equal(timeout_ms, 0);
    assert_int_equal(snapshots_client_cleanup(rig->client, &why), 0);
    assert_int_equal(timeout_ms, 0);
}

static int apply(struct rig *rig, const char *digest, struct client_applied *applied)
{
    char *options[] = {"lowerdir=/a", "ro"};
    struct mount items[] = {{"bind", "/src", "", NULL, 0}, {"overlay", "o", "t", options, 2}};
    struct mounts mounts = {items, 2};
    struct client_apply request = {
        .media_type = bytes_of("application/x"),
        .digest = bytes_of(digest),
        .size = -5,
        .mounts = &mounts,
        .sync = true,
    };

    return snapshots_client_apply(rig->client, &request, applied, &why);
}

static void apply_carries_descriptor_and_mounts_and_answers_the_diff_id(void **state)
{
    struct client_applied applied;

    assert_int_equal(apply(*state, "sha256:1", &applied), 0);
    assert_string_equal(fakes_last(),
                        "apply \"application/x\" \"sha256:1\" -5 mounts=2 sync=1 encrypted=0 "
                        "[bind /src ] [overlay o t lowerdir=/a,ro]");
    assert_string_equal(applied.media_type, "application/vnd.oci.image.layer.v1.tar");
    assert_int_equal(strlen(applied.digest), 71);
    assert_int_equal(applied.size, 1 << 30);
}

static void what_apply_does_not_do_is_unimplemented(void **state)
{
    struct client_applied applied;

    assert_int_equal(apply(*state, "sha256:other", &applied), CONDITION_UNIMPLEMENTED);
    assert_string_equal(why.text, "media type \"application/x\": not implemented");
}

int main(void)
{
#define in_rig(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)
    const struct CMUnitTest tests[] = {
        in_rig(prepare_carries_key_parent_and_labels),
        in_rig(of_a_label_that_comes_twice_the_last_counts),
        in_rig(view_and_mounts_hand_out_mounts),
        in_rig(commit_carries_all_its_names),
        in_rig(remove_and_cleanup_answer_empty),
        in_rig(stat_tells_all_of_an_info),
        in_rig(update_carries_the_mask),
        in_rig(usage_is_told),
        in_rig(list_carries_filters_and_all_entries_in_order),
        in_rig(conditions_arrive_as_statuses_with_their_endings),
        in_rig(a_failure_arrives_as_internal),
        in_rig(calls_to_a_daemon_that_hangs_end_in_time),
        in_rig(calls_that_wait_for_the_disk_have_no_limit),
        in_rig(apply_carries_descriptor_and_mounts_and_answers_the_diff_id),
        in_rig(what_apply_does_not_do_is_unimplemented),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
