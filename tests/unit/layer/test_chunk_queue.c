/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/chunk_queue.h"
#include "unit/cmocka_setup.h"

#include <pthread.h>
#include <sched.h>

#define ROUNDS 20000

static void chunks_come_out_in_order_and_then_the_end(void **state)
{
    struct chunk_pool *pool = chunk_pool_new(3);
    struct chunk_queue queue;

    (void)state;
    assert_int_equal(chunk_queue_init(&queue, 3), 0);
    for (size_t round = 0; round < 5; round++) { /* goes round the ring */
        struct chunk *first = chunk_take(pool), *second = chunk_take(pool);

        chunk_queue_put(&queue, first);
        chunk_queue_put(&queue, second);
        assert_ptr_equal(chunk_queue_get(&queue), first);
        assert_ptr_equal(chunk_queue_get(&queue), second);
        chunk_unref(first);
        chunk_unref(second);
    }
    chunk_queue_put(&queue, chunk_take(pool));
    chunk_queue_end(&queue);
    chunk_unref(chunk_queue_get(&queue));
    assert_null(chunk_queue_get(&queue));
    assert_null(chunk_queue_get(&queue));
    chunk_queue_deinit(&queue);
    chunk_pool_free(pool);
}

static void what_is_left_inside_is_let_go(void **state)
{
    struct chunk_pool *pool = chunk_pool_new(2);
    struct chunk_queue queue;
    struct chunk *first, *second;

    (void)state;
    assert_int_equal(chunk_queue_init(&queue, 2), 0);
    chunk_queue_put(&queue, chunk_take(pool));
    chunk_queue_put(&queue, chunk_take(pool));
    chunk_queue_deinit(&queue);
    first = chunk_take(pool); /* would wait for ever */
    second = chunk_take(pool);
    chunk_unref(first);
    chunk_unref(second);
    chunk_pool_free(pool);
}

struct producer {
    struct chunk_pool *pool;
    struct chunk_queue *queue;
};

static void *produce(void *context)
{
    struct producer *producer = context;

    for (size_t i = 0; i < ROUNDS; i++) {
        struct chunk *chunk = chunk_take(producer->pool);

        chunk->length = i;
        chunk_queue_put(producer->queue, chunk);
    }
    chunk_queue_end(producer->queue);
    return NULL;
}

static void a_consumer_sees_all_that_another_thread_puts(void **state)
{
    struct chunk_queue queue;
    struct producer producer = {chunk_pool_new(3), &queue};
    struct chunk *chunk;
    pthread_t thread;
    size_t seen = 0;

    (void)state;
    assert_int_equal(chunk_queue_init(&queue, 3), 0);
    assert_int_equal(pthread_create(&thread, NULL, produce, &producer), 0);
    while ((chunk = chunk_queue_get(&queue)) != NULL) {
        assert_int_equal(chunk->length, seen);
        seen++;
        chunk_unref(chunk);
    }
    assert_int_equal(seen, ROUNDS);
    assert_int_equal(pthread_join(thread, NULL), 0);
    chunk_queue_deinit(&queue);
    chunk_pool_free(producer.pool);
}

static void *consume_one(void *context)
{
    chunk_unref(chunk_queue_get(context));
    return NULL;
}

static bool is_waited_for(struct chunk_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    bool waiting = queue->waiting;
    pthread_mutex_unlock(&queue->lock);
    return waiting;
}

static void only_a_consumer_that_waits_is_timed(void **state)
{
    struct chunk_pool *pool = chunk_pool_new(1);
    struct chunk_queue queue;
    pthread_t thread;

    (void)state;
    assert_int_equal(chunk_queue_init(&queue, 1), 0);
    chunk_queue_put(&queue, chunk_take(pool));
    chunk_unref(chunk_queue_get(&queue));
    assert_int_equal(queue.waited, 0);
    assert_int_equal(pthread_create(&thread, NULL, consume_one, &queue), 0);
    while (!is_waited_for(&queue))
        sched_yield();
    chunk_queue_put(&queue, chunk_take(pool));
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(queue.waited > 0);
    chunk_queue_deinit(&queue);
    chunk_pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_come_out_in_order_and_then_the_end),
        cmocka_unit_test(what_is_left_inside_is_let_go),
        cmocka_unit_test(a_consumer_sees_all_that_another_thread_puts),
        cmocka_unit_test(only_a_consumer_that_waits_is_timed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
