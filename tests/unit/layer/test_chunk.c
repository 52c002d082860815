/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/chunk.h"
#include "unit/cmocka_setup.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

static void a_pool_gives_out_every_chunk_once(void **state)
{
    struct chunk_pool *pool = chunk_pool_new(3);
    struct chunk *chunks[3];

    (void)state;
    assert_non_null(pool);
    for (int i = 0; i < 3; i++) {
        chunks[i] = chunk_take(pool);
        assert_non_null(chunks[i]);
        assert_int_equal(chunks[i]->length, 0);
        assert_int_equal((uintptr_t)chunks[i]->data % 4096, 0);
        memset(chunks[i]->data, i + 1, CHUNK_SIZE);
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(chunks[i]->data[0], i + 1);
        assert_int_equal(chunks[i]->data[CHUNK_SIZE - 1], i + 1);
        chunk_unref(chunks[i]);
    }
    assert_null(chunk_pool_free(pool));
}

static void the_chunk_returned_last_is_taken_first(void **state)
{
    struct chunk_pool *pool = chunk_pool_new(3);
    struct chunk *first = chunk_take(pool), *second = chunk_take(pool), *again;

    (void)state;
    chunk_unref(second);
    chunk_unref(first);
    again = chunk_take(pool);
    assert_ptr_equal(again, first);
    chunk_unref(again);
    chunk_pool_free(pool);
}

static void a_chunk_comes_back_with_its_last_reference(void **state)
{
    struct chunk_pool *pool = chunk_pool_new(1);
    struct chunk *chunk = chunk_take(pool), *again;

    (void)state;
    chunk->length = 17;
    chunk_ref(chunk);
    chunk_unref(chunk);
    chunk_pool_close(pool); /* a take would wait for ever, if the chunk were out still */
    assert_null(chunk_take(pool));
    assert_int_equal(chunk->length, 17);
    chunk_unref(chunk);
    chunk_pool_free(pool);

    pool = chunk_pool_new(1);
    chunk = chunk_take(pool);
    chunk->length = 17;
    chunk_unref(chunk);
    again = chunk_take(pool);
    assert_ptr_equal(again, chunk);
    assert_int_equal(again->length, 0);
    chunk_unref(again);
    chunk_pool_free(pool);
}

static void *take_one(void *pool)
{
    return chunk_take(pool);
}

static void a_waiting_taker_gets_what_another_returns(void **state)
{
    struct chunk_pool *pool = chunk_pool_new(1);
    struct chunk *chunk = chunk_take(pool);
    pthread_t taker;
    void *taken;

    (void)state;
    assert_int_equal(pthread_create(&taker, NULL, take_one, pool), 0);
    chunk_unref(chunk);
    assert_int_equal(pthread_join(taker, &taken), 0);
    assert_ptr_equal(taken, chunk);
    chunk_unref(taken);
    chunk_pool_free(pool);
}

static void closing_releases_a_waiting_taker(void **state)
{
    struct chunk_pool *pool = chunk_pool_new(1);
    struct chunk *chunk = chunk_take(pool);
    pthread_t takers[2];
    void *taken;

    (void)state;
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&takers[i], NULL, take_one, pool), 0);
    chunk_pool_close(pool);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(takers[i], &taken), 0);
        assert_null(taken);
    }
    chunk_unref(chunk);
    assert_null(chunk_take(pool));
    chunk_pool_free(pool);
}

static void a_chunk_may_outlive_its_pool(void **state)
{
    struct chunk_pool *pool = chunk_pool_new(2);
    struct chunk *first = chunk_take(pool), *second = chunk_take(pool);

    (void)state;
    chunk_pool_free(pool);
    memset(first->data, 1, CHUNK_SIZE);
    chunk_unref(first);
    memset(second->data, 1, CHUNK_SIZE);
    chunk_unref(second);
}

static void a_retired_chunk_does_not_come_back(void **state)
{
    struct chunk_pool *pool = chunk_pool_new(2);
    struct chunk *first = chunk_take(pool);

    (void)state;
    first->data[0] = 1;
    chunk_unref(first);
    assert_true(chunk_pool_retire(pool)); /* the one returned last */
    assert_int_equal(first->data[0], 0);  /* its memory was given up */
    for (int i = 0; i < 2; i++) {
        struct chunk *other = chunk_take(pool);
        assert_ptr_not_equal(other, first);
        chunk_unref(other);
    }
    chunk_pool_close(pool);
    assert_false(chunk_pool_retire(pool));
    chunk_pool_free(pool);
}

static void nothing_is_allowed_where_the_contract_says_so(void **state)
{
    (void)state;
    chunk_unref(NULL);
    assert_null(chunk_pool_free(NULL));
    assert_null(chunk_pool_new(0));
    assert_null(chunk_pool_new(SIZE_MAX / CHUNK_SIZE));
}

static void *take_and_return(void *pool)
{
    for (int i = 0; i < 5000; i++) {
        struct chunk *chunk = chunk_take(pool);

        chunk->data[0]++; /* two owners at once: the thread sanitizer sees it */
        chunk_ref(chunk);
        chunk_unref(chunk);
        chunk_unref(chunk);
    }
    return NULL;
}

static void many_threads_share_few_chunks(void **state)
{
    struct chunk_pool *pool = chunk_pool_new(2);
    pthread_t threads[4];
    struct chunk *first, *second;

    (void)state;
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_and_return, pool), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    first = chunk_take(pool);
    second = chunk_take(pool);
    assert_int_equal((first->data[0] + second->data[0]) % 256, 4 * 5000 % 256);
    chunk_unref(first);
    chunk_unref(second);
    chunk_pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pool_gives_out_every_chunk_once),
        cmocka_unit_test(the_chunk_returned_last_is_taken_first),
        cmocka_unit_test(a_chunk_comes_back_with_its_last_reference),
        cmocka_unit_test(a_waiting_taker_gets_what_another_returns),
        cmocka_unit_test(closing_releases_a_waiting_taker),
        cmocka_unit_test(a_chunk_may_outlive_its_pool),
        cmocka_unit_test(a_retired_chunk_does_not_come_back),
        cmocka_unit_test(nothing_is_allowed_where_the_contract_says_so),
        cmocka_unit_test(many_threads_share_few_chunks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
