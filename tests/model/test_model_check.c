/* SPDX-License-Identifier: Apache-2.0 */

/* The check itself: it takes right histories and refuses wrong ones, written here by hand. */

#include "model/check.h"

#include "base/result.h"
#include "unit/cmocka_setup.h"

#include <errno.h>
#include <string.h>

static struct history history;

static int begin(void **state)
{
    (void)state;
    memset(&history, 0, sizeof(history));
    return 0;
}

/* A call from moment BEGAN to moment ENDED. */
static struct call *add(enum call_kind kind, int key, unsigned began, unsigned ended, int result)
{
    struct call *call = &history.calls[history.count++];

    *call = (struct call){.kind = kind,
                          .key = key,
                          .parent = -1,
                          .mask = -1,
                          .began = began,
                          .ended = ended,
                          .result = result};
    return call;
}

static struct call *prepares(int key, int parent, uint64_t id, unsigned began, unsigned ended)
{
    struct call *call = add(CALL_PREPARE, key, began, ended, 0);

    call->parent = parent;
    call->id = id;
    return call;
}

static struct call *commits(int name, int key, unsigned began, unsigned ended, int result)
{
    struct call *call = add(CALL_COMMIT, key, began, ended, result);

    call->name = name;
    return call;
}

static struct call *sees(int key, uint8_t kind, uint64_t id, unsigned began, unsigned ended)
{
    struct call *call = add(CALL_STAT, key, began, ended, 0);

    call->seen[key] = (struct sight){.id = id, .kind = kind, .parent = -1};
    return call;
}

/* k0 is committed: volume 1, moments 1 to 4. */
static void layer_is_there(void)
{
    prepares(1, -1, 1, 1, 2);
    commits(0, 1, 3, 4, 0);
}

static void fits(void)
{
    uint64_t stuck;

    if (!check_history(&history, &stuck)) {
        history_print(&history, stuck, stderr);
        fail();
    }
}

static void does_not_fit(void)
{
    uint64_t stuck = 0;

    assert_false(check_history(&history, &stuck));
    assert_true(stuck != 0);
}

static void calls_one_after_the_other_fit(void **state)
{
    (void)state;
    layer_is_there();
    prepares(2, 0, 2, 5, 6);
    add(CALL_REMOVE, 0, 7, 8, CONDITION_PRECONDITION);
    add(CALL_REMOVE, 2, 9, 10, 0);
    add(CALL_REMOVE, 0, 11, 12, 0);
    add(CALL_STAT, 0, 13, 14, CONDITION_NOT_FOUND);
    fits();
}

static void a_key_is_given_once(void **state)
{
    (void)state;
    prepares(0, -1, 1, 1, 4);
    prepares(0, -1, 2, 2, 3);
    does_not_fit();
    history.calls[1].result = CONDITION_EXISTS;
    fits();
}

static void an_answer_holds_for_all_that_begin_later(void **state)
{
    (void)state;
    prepares(0, -1, 1, 1, 2);
    add(CALL_REMOVE, 0, 3, 4, 0);
    sees(0, SNAPSHOT_ACTIVE, 1, 5, 6);
    does_not_fit();
    history.calls[2].began = 3; /* they overlap now: it may have looked before */
    history.calls[1].began = 4;
    history.calls[1].ended = 5;
    fits();
}

static void what_was_seen_stays_seen(void **state)
{
    (void)state;
    prepares(0, -1, 1, 1, 10);
    sees(0, SNAPSHOT_ACTIVE, 1, 2, 3);
    add(CALL_STAT, 0, 4, 5, CONDITION_NOT_FOUND);
    does_not_fit();
    history.calls[1].began = 6;
    history.calls[1].ended = 7;
    fits();
}

static void one_of_two_commits_wins(void **state)
{
    (void)state;
    prepares(0, -1, 1, 1, 2);
    commits(1, 0, 3, 6, 0);
    commits(2, 0, 4, 5, 0);
    does_not_fit();
    history.calls[2].result = CONDITION_NOT_FOUND;
    fits();
    history.calls[2].result = CONDITION_EXISTS; /* no: that name is free */
    does_not_fit();
}

static void a_parent_with_a_child_stays(void **state)
{
    (void)state;
    layer_is_there();
    prepares(2, 0, 2, 5, 8);
    add(CALL_REMOVE, 0, 6, 7, 0);
    does_not_fit();
    history.calls[3].result = CONDITION_PRECONDITION;
    fits();
    history.calls[3].result = 0;
    history.calls[2].result = CONDITION_NOT_FOUND;
    fits();
}

static void a_list_is_of_one_moment(void **state)
{
    struct call *list;

    (void)state;
    prepares(0, -1, 1, 1, 2);
    commits(1, 0, 3, 6, 0);
    list = add(CALL_LIST, -1, 4, 5, 0);
    list->seen[0] = (struct sight){.id = 1, .kind = SNAPSHOT_ACTIVE, .parent = -1};
    fits();
    list->seen[1] = (struct sight){.id = 1, .kind = SNAPSHOT_COMMITTED, .parent = -1};
    does_not_fit();
    list->seen[0] = (struct sight){0};
    fits();
    list->seen[1] = (struct sight){0};
    does_not_fit();
}

static void the_parts_of_a_list_have_a_moment_each(void **state)
{
    (void)state;
    prepares(0, -1, 1, 1, 2);
    commits(1, 0, 3, 6, 0);
    add(CALL_PART, 0, 4, 5, 0)->seen[0] =
        (struct sight){.id = 1, .kind = SNAPSHOT_ACTIVE, .parent = -1};
    add(CALL_PART, 1, 4, 5, 0)->seen[1] =
        (struct sight){.id = 1, .kind = SNAPSHOT_COMMITTED, .parent = -1};
    fits();
    add(CALL_PART, 2, 4, 5, 0)->seen[2] = /* never was */
        (struct sight){.id = 1, .kind = SNAPSHOT_COMMITTED, .parent = -1};
    does_not_fit();
}

static void no_update_is_lost(void **state)
{
    struct call *look;

    (void)state;
    prepares(0, -1, 1, 1, 2);
    for (int label = 0; label < HISTORY_LABELS; label++) {
        struct call *update = add(CALL_UPDATE, 0, 3, 6, 0);

        update->mask = label;
        update->labels[label] = 1;
        update->seen[0] = (struct sight){.id = 1, .kind = SNAPSHOT_ACTIVE, .parent = -1};
        update->seen[0].labels[label] = 1;
        update->seen[0].labels[0] = 1; /* the first one was first */
    }
    look = sees(0, SNAPSHOT_ACTIVE, 1, 7, 8);
    look->seen[0].labels[1] = 1;
    does_not_fit();
    look->seen[0].labels[0] = 1;
    fits();
    history.calls[2].seen[0].labels[0] = 0; /* both were first? */
    does_not_fit();
}

static void a_cleanup_ends_what_was_removed_before(void **state)
{
    struct call *cleanup;

    (void)state;
    prepares(0, -1, 7, 1, 2);
    add(CALL_REMOVE, 0, 3, 4, 0);
    cleanup = add(CALL_CLEANUP, -1, 5, 6, 0);
    fits();
    history.first_id = 5;
    cleanup->left[0] = 1 << 2; /* volume 7 */
    does_not_fit();
    cleanup->began = 3; /* while it was being removed: the next one has it */
    history.calls[1].began = 4;
    history.calls[1].ended = 5;
    fits();
}

static void a_call_that_failed_has_not_happened(void **state)
{
    (void)state;
    prepares(0, -1, 1, 1, 2)->result = -EIO;
    does_not_fit(); /* nothing was planned */
    history.calls[0].may_fail = true;
    fits();
    sees(0, SNAPSHOT_ACTIVE, 1, 3, 4);
    does_not_fit();
    history.calls[1].result = CONDITION_NOT_FOUND;
    fits();
}

static void a_commit_of_nothing_is_not_found_whatever_its_name(void **state)
{
    (void)state;
    prepares(1, -1, 1, 1, 2);
    commits(1, 0, 3, 4, CONDITION_NOT_FOUND);
    fits();
    history.calls[1].result = CONDITION_EXISTS;
    fits();
    history.calls[1].key = 1;
    history.calls[1].result = CONDITION_NOT_FOUND;
    does_not_fit();
}

static void each_snapshot_has_a_volume_of_its_own(void **state)
{
    struct call *mounts;

    (void)state;
    prepares(0, -1, 1, 1, 2);
    prepares(2, -1, 1, 3, 4);
    does_not_fit();
    history.calls[1].id = 2;
    mounts = add(CALL_MOUNTS, 0, 5, 6, 0);
    mounts->id = 1;
    fits();
    mounts->id = 2;
    does_not_fit();
    mounts->id = 1;
    mounts->readonly = true;
    does_not_fit();
}

static void a_view_leads_to_its_parent(void **state)
{
    struct call *view;

    (void)state;
    layer_is_there();
    view = prepares(2, 0, 1, 5, 6);
    view->kind = CALL_VIEW;
    view->readonly = true;
    fits();
    add(CALL_USAGE, 2, 7, 8, 0);
    fits();
    view->id = 3;
    does_not_fit();
}

static void a_layer_that_is_here_is_shared(void **state)
{
    struct call *again;

    (void)state;
    layer_is_there();
    history.calls[1].labels[HISTORY_LABEL_REF] = 1;
    again = prepares(2, -1, 2, 5, 6);
    again->labels[HISTORY_LABEL_REF] = 1;
    does_not_fit();
    again->result = CONDITION_EXISTS;
    fits();
    again->parent = 0; /* on another parent it is another one */
    does_not_fit();
}

#define with_history(test) cmocka_unit_test_setup(test, begin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_history(calls_one_after_the_other_fit),
        with_history(a_key_is_given_once),
        with_history(an_answer_holds_for_all_that_begin_later),
        with_history(what_was_seen_stays_seen),
        with_history(one_of_two_commits_wins),
        with_history(a_parent_with_a_child_stays),
        with_history(a_list_is_of_one_moment),
        with_history(the_parts_of_a_list_have_a_moment_each),
        with_history(no_update_is_lost),
        with_history(a_cleanup_ends_what_was_removed_before),
        with_history(a_call_that_failed_has_not_happened),
        with_history(a_commit_of_nothing_is_not_found_whatever_its_name),
        with_history(each_snapshot_has_a_volume_of_its_own),
        with_history(a_view_leads_to_its_parent),
        with_history(a_layer_that_is_here_is_shared),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
