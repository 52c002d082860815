/* SPDX-License-Identifier: Apache-2.0 */
/* Streams over a call that keeps what is sent: how items are packed, when a message leaves, and
 * who owns it then. */
#include "rpc/stream.h"

#include "base/scoped.h"
#include "rpc/message.h"
#include "unit/cmocka_setup.h"

#include <cowsnap/control.pb-c.h>
#include <grpc/byte_buffer.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

typedef Cowsnap__Control__V1__Snapshot Item;
typedef Cowsnap__Control__V1__SnapshotsResponse Message;

#define SENT_MOST 64

/* What left, in this order, and what call_send() answers: the rest of a call is not there. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned count;
    grpc_byte_buffer *buffers[SENT_MOST];
    unsigned refusals; /* how many are still to be refused */
} sent = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static struct reason why;

int call_send(struct call *call, grpc_byte_buffer *buffer, struct reason *reason)
{
    bool refused;

    pthread_mutex_lock(&sent.lock);
    refused = sent.refusals > 0 || sent.count == SENT_MOST;
    if (!refused) {
        sent.buffers[sent.count++] = buffer;
        pthread_cond_broadcast(&sent.changed);
    } else if (sent.refusals > 0) {
        sent.refusals--;
    }
    pthread_mutex_unlock(&sent.lock);
    if (!refused)
        return 0;
    grpc_byte_buffer_destroy(buffer);
    return refuse(reason, CONDITION_CANCELLED, "the caller of %p is gone", (void *)call);
}

static int setup(void **state)
{
    (void)state;
    sent.count = sent.refusals = 0;
    why = (struct reason){0};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sent.count; i++)
        grpc_byte_buffer_destroy(sent.buffers[i]);
    return 0;
}

/* The message that left as number AT, counted from 0. */
static Message *message_at(unsigned at)
{
    ProtobufCMessage *message;

    assert_true(at < sent.count);
    assert_int_equal(message_unpack(&message, &cowsnap__control__v1__snapshots_response__descriptor,
                                    sent.buffers[at], &why),
                     0);
    return (Message *)message;
}

static size_t items_at(unsigned at)
{
    scoped_message Message *message = message_at(at);

    return message->n_snapshots;
}

/* An item with an id and a key of LENGTH bytes. */
static int add(struct stream *stream, uint64_t id, size_t length)
{
    scoped_free uint8_t *key = calloc(1, length + 1);
    Item item = COWSNAP__CONTROL__V1__SNAPSHOT__INIT;

    memset(key, 'a' + (int)(id % 26), length);
    item.id = id;
    item.key = message_binary(bytes_from(key, length));
    return stream_add(stream, &item.base, &why);
}

static void sees_item(const Item *item, uint64_t id, size_t length)
{
    assert_int_equal(item->id, id);
    assert_int_equal(item->key.len, length);
    for (size_t i = 0; i < length; i++)
        if (item->key.data[i] != 'a' + (int)(id % 26))
            fail_msg("byte %zu of the key of item %d", i, (int)id);
}

static void an_empty_stream_sends_nothing(void **state)
{
    scoped(stream_clear) struct stream stream = {0};

    (void)state;
    assert_int_equal(stream_flush(&stream, &why), 0);
    assert_int_equal(sent.count, 0);
}

static void items_arrive_as_they_were_whatever_their_length(void **state)
{
    /* lengths that take one, two and three bytes to write, and their bounds */
    static const size_t lengths[] = {0, 1, 120, 121, 122, 123, 124, 125, 126, 16370, 16380, 16390};
    const size_t count = sizeof(lengths) / sizeof(lengths[0]);
    scoped(stream_clear) struct stream stream = {0};
    scoped_message Message *message = NULL;

    (void)state;
    for (size_t i = 0; i < count; i++)
        assert_int_equal(add(&stream, i, lengths[i]), 0);
    assert_int_equal(sent.count, 0);
    assert_int_equal(stream_flush(&stream, &why), 0);
    assert_int_equal(sent.count, 1);
    message = message_at(0);
    assert_int_equal(message->n_snapshots, count); /* the first is empty: no byte but its length */
    for (size_t i = 0; i < count; i++)
        sees_item(message->snapshots[i], i, lengths[i]);
}

static void a_message_holds_a_hundred_items(void **state)
{
    scoped(stream_clear) struct stream stream = {0};
    uint64_t id = 0;

    (void)state;
    for (unsigned i = 0; i < 2 * STREAM_ITEMS + 50; i++)
        assert_int_equal(add(&stream, i, 10), 0);
    assert_int_equal(sent.count, 2);
    assert_int_equal(stream_flush(&stream, &why), 0);
    assert_int_equal(sent.count, 3);
    for (unsigned i = 0; i < sent.count; i++) {
        scoped_message Message *message = message_at(i);

        assert_int_equal(message->n_snapshots, i < 2 ? STREAM_ITEMS : 50);
        for (size_t k = 0; k < message->n_snapshots; k++)
            sees_item(message->snapshots[k], id++, 10);
    }
}

static void a_flush_leaves_nothing_for_the_next(void **state)
{
    scoped(stream_clear) struct stream stream = {0};

    (void)state;
    assert_int_equal(add(&stream, 1, 10), 0);
    assert_int_equal(stream_flush(&stream, &why), 0);
    assert_int_equal(stream_flush(&stream, &why), 0);
    assert_int_equal(sent.count, 1);
    assert_int_equal(add(&stream, 2, 10), 0);
    assert_int_equal(stream_flush(&stream, &why), 0);
    assert_int_equal(sent.count, 2);
    assert_int_equal(items_at(1), 1);
}

static void a_message_with_enough_bytes_leaves_at_once(void **state)
{
    scoped(stream_clear) struct stream stream = {0};

    (void)state;
    assert_int_equal(add(&stream, 1, STREAM_BYTES / 2), 0);
    assert_int_equal(sent.count, 0);
    assert_int_equal(add(&stream, 2, STREAM_BYTES / 2), 0);
    assert_int_equal(sent.count, 1);
    assert_int_equal(items_at(0), 2);
    assert_int_equal(add(&stream, 3, STREAM_BYTES), 0);
    assert_int_equal(sent.count, 2);
    assert_int_equal(items_at(1), 1);
}

/* Together with what waits already it might be more than a message may hold. */
static void a_very_large_item_goes_by_itself(void **state)
{
    const size_t large = MESSAGE_LIMIT - 64;
    scoped(stream_clear) struct stream stream = {0};
    scoped_message Message *message = NULL;

    (void)state;
    assert_int_equal(add(&stream, 1, 100), 0);
    assert_int_equal(add(&stream, 2, large), 0);
    assert_int_equal(sent.count, 2);
    assert_int_equal(items_at(0), 1);
    message = message_at(1);
    assert_int_equal(message->n_snapshots, 1);
    sees_item(message->snapshots[0], 2, large);
}

static void an_item_larger_than_a_message_is_refused(void **state)
{
    scoped(stream_clear) struct stream stream = {0};

    (void)state;
    assert_int_equal(add(&stream, 1, MESSAGE_LIMIT), CONDITION_EXHAUSTED);
    assert_string_equal(why.text,
                        "the message has 16777228 bytes, and at most 16777216 can be sent");
    assert_int_equal(sent.count, 0);
    assert_int_equal(stream_flush(&stream, &why), 0); /* nor is it tried again */
    assert_int_equal(sent.count, 0);
    assert_int_equal(add(&stream, 2, 10), 0);
    assert_int_equal(stream_flush(&stream, &why), 0);
    assert_int_equal(items_at(0), 1);
}

static void a_caller_that_is_gone_ends_the_stream(void **state)
{
    struct call *const call = (struct call *)&why; /* any pointer: only handed on */
    scoped(stream_clear) struct stream stream = {.call = call};
    struct reason wanted;

    (void)state;
    refuse(&wanted, CONDITION_CANCELLED, "the caller of %p is gone", (void *)call);
    sent.refusals = 1;
    for (unsigned i = 1; i < STREAM_ITEMS; i++)
        assert_int_equal(add(&stream, i, 10), 0);
    assert_int_equal(add(&stream, STREAM_ITEMS, 10), CONDITION_CANCELLED);
    assert_string_equal(why.text, wanted.text);
    /* what could not be sent is gone */
    assert_int_equal(stream_flush(&stream, &why), 0);
    assert_int_equal(sent.count, 0);
    /* the same while room is made for an item by itself */
    assert_int_equal(add(&stream, 1, 10), 0);
    sent.refusals = 1;
    assert_int_equal(add(&stream, 2, MESSAGE_LIMIT / 2), CONDITION_CANCELLED);
    assert_int_equal(stream_flush(&stream, &why), 0);
    assert_int_equal(sent.count, 0);
}

static void what_is_cleared_is_not_sent(void **state)
{
    struct stream stream = {0};

    (void)state;
    assert_int_equal(add(&stream, 1, 10), 0);
    stream_clear(&stream);
    assert_int_equal(stream_flush(&stream, &why), 0);
    assert_int_equal(sent.count, 0);
    stream_clear(&stream);
}

/* ---- the polling thread sends while a worker goes on ---- */

#define MESSAGES 20

static void *read_as_they_come(void *context)
{
    uint64_t *id = context;

    for (unsigned i = 0; i < MESSAGES; i++) {
        ProtobufCMessage *reply;
        grpc_byte_buffer *buffer;

        pthread_mutex_lock(&sent.lock);
        while (sent.count <= i)
            pthread_cond_wait(&sent.changed, &sent.lock);
        buffer = sent.buffers[i];
        pthread_mutex_unlock(&sent.lock);
        if (message_unpack(&reply, &cowsnap__control__v1__snapshots_response__descriptor, buffer,
                           NULL))
            return context;
        for (size_t k = 0; k < ((Message *)reply)->n_snapshots; k++)
            if (((Message *)reply)->snapshots[k]->id != (*id)++) {
                message_free(reply);
                return context;
            }
        message_free(reply);
    }
    return NULL;
}

static void what_was_sent_is_not_touched_any_more(void **state)
{
    scoped(stream_clear) struct stream stream = {0};
    uint64_t read = 0;
    pthread_t reader;
    void *failed;

    (void)state;
    assert_int_equal(pthread_create(&reader, NULL, read_as_they_come, &read), 0);
    for (unsigned i = 0; i < MESSAGES * STREAM_ITEMS; i++)
        assert_int_equal(add(&stream, i, 100), 0);
    pthread_join(reader, &failed);
    assert_null(failed);
    assert_int_equal(read, MESSAGES * STREAM_ITEMS);
}

int main(void)
{
#define alone(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        alone(an_empty_stream_sends_nothing),
        alone(items_arrive_as_they_were_whatever_their_length),
        alone(a_message_holds_a_hundred_items),
        alone(a_flush_leaves_nothing_for_the_next),
        alone(a_message_with_enough_bytes_leaves_at_once),
        alone(a_very_large_item_goes_by_itself),
        alone(an_item_larger_than_a_message_is_refused),
        alone(a_caller_that_is_gone_ends_the_stream),
        alone(what_is_cleared_is_not_sent),
        alone(what_was_sent_is_not_touched_any_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
