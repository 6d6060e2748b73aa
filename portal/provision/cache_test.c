// label: threads
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "portal/core/clock.h"
#include "portal/provision/cache.h"

static void put(struct read_cache *c, const struct cache_mark *mark, const char *key, const char *body)
{
    read_cache_put(c, mark, &(struct cache_entry){.key = key, .team = "red", .etag = "1", .body = body, .len = strlen(body)});
}

/* Looks, and on a miss keeps `body`. */
static bool hit(struct read_cache *c, const char *key, const char *body)
{
    struct cache_mark mark;
    CACHE_ENTRY_AUTO e = read_cache_get(c, key, &mark);
    if (e) {
        assert_string_equal(e->key, key);
        assert_string_equal(e->body, body);
        return true;
    }
    put(c, &mark, key, body);
    return false;
}

static void keeps_what_was_read(void **state)
{
    (void)state;
    struct read_cache *c = read_cache_new(NULL, NULL);
    struct cache_stats s;
    assert_false(hit(c, "service:a", "{\"n\":1}"));
    assert_false(hit(c, "service:b", ""));
    for (int i = 0; i < 3; i++) {
        assert_true(hit(c, "service:a", "{\"n\":1}"));
        assert_true(hit(c, "service:b", ""));
    }
    struct cache_mark mark;
    CACHE_ENTRY_AUTO e = read_cache_get(c, "service:a", &mark);
    assert_string_equal(e->team, "red");
    assert_string_equal(e->etag, "1");
    assert_int_equal(e->len, 7);
    read_cache_get_stats(c, &s);
    assert_int_equal(s.entries, 2);
    assert_int_equal(s.hits, 7);
    assert_int_equal(s.misses, 2);
    assert_true(s.bytes > 0);
    read_cache_givep(&e);
    read_cache_clear(c);
    read_cache_get_stats(c, &s);
    assert_int_equal(s.entries, 0);
    assert_int_equal(s.bytes, 0);
    read_cache_free(c);
}

static void a_drop_outdates_who_reads_meanwhile(void **state)
{
    (void)state;
    struct read_cache *c = read_cache_new(NULL, NULL);
    struct cache_mark early, late;
    assert_null(read_cache_get(c, "service:a", &early));
    read_cache_drop(c, "service:a"); /* committed, while the reader still holds the old row */
    put(c, &early, "service:a", "old");
    assert_null(read_cache_get(c, "service:a", &late));
    put(c, &late, "service:a", "new");
    put(c, &early, "service:a", "old"); /* the slow reader must not win either */
    assert_true(hit(c, "service:a", "new"));
    read_cache_drop(c, "service:a");
    assert_false(hit(c, "service:a", "newer"));
    read_cache_clear(c);
    put(c, &late, "service:a", "new");
    assert_false(hit(c, "service:a", "newest"));
    read_cache_free(c);
}

static void a_held_entry_outlives_its_drop(void **state)
{
    (void)state;
    struct read_cache *c = read_cache_new(NULL, NULL);
    struct cache_mark mark;
    assert_false(hit(c, "service:a", "body"));
    CACHE_ENTRY_AUTO e = read_cache_get(c, "service:a", &mark);
    read_cache_drop(c, "service:a");
    assert_string_equal(e->body, "body");
    read_cache_givep(&e);
    assert_null(e);
    read_cache_free(c);
}

static void grows_old_from_the_look_on(void **state)
{
    (void)state;
    struct read_cache *c = read_cache_new(NULL, NULL);
    struct cache_mark mark;
    assert_null(read_cache_get(c, "service:a", &mark));
    mark.at -= CACHE_FRESH_MS - 500; /* the database took its time */
    put(c, &mark, "service:a", "body");
    assert_true(hit(c, "service:a", "body"));
    clock_sleep_ms(550);
    assert_false(hit(c, "service:a", "body"));
    assert_true(hit(c, "service:a", "body"));
    read_cache_free(c);
}

static bool is_ready(void *arg)
{
    return *(bool *)arg;
}

static void gives_and_keeps_nothing_while_events_may_be_missing(void **state)
{
    (void)state;
    bool ready = false;
    struct read_cache *c = read_cache_new(is_ready, &ready);
    assert_false(hit(c, "service:a", "1"));
    assert_false(hit(c, "service:a", "1"));
    ready = true;
    assert_false(hit(c, "service:a", "2"));
    assert_true(hit(c, "service:a", "2"));
    ready = false;
    assert_false(hit(c, "service:a", "3"));
    read_cache_free(c);
}

static void stays_within_its_bounds(void **state)
{
    (void)state;
    struct read_cache *c = read_cache_new(NULL, NULL);
    struct cache_stats s;
    char key[32];
    for (int i = 0; i < 4 * CACHE_ENTRIES; i++) {
        snprintf(key, sizeof key, "service:s%d", i);
        assert_false(hit(c, key, "{}"));
        assert_true(hit(c, key, "{}")); /* what was kept last is there */
    }
    read_cache_get_stats(c, &s);
    assert_in_range(s.entries, CACHE_ENTRIES * 3 / 4, CACHE_ENTRIES);

    char *body = malloc(CACHE_BODY_MAX + 2);
    memset(body, 'x', CACHE_BODY_MAX + 1);
    body[CACHE_BODY_MAX + 1] = 0;
    assert_false(hit(c, "service:long", body));
    assert_false(hit(c, "service:long", body));
    body[CACHE_BODY_MAX] = 0;
    for (int i = 0; i < 2 * CACHE_BYTES_MAX / CACHE_BODY_MAX; i++) {
        snprintf(key, sizeof key, "service:t%d", i);
        hit(c, key, body);
        read_cache_get_stats(c, &s);
        assert_in_range(s.bytes, 0, CACHE_BYTES_MAX);
    }
    assert_true(s.entries > 0);
    free(body);
    read_cache_free(c);
}

/* The least lately used goes first. 4096 keys of one set are not to be had by name, so the whole table is filled while one key stays in use. */
static void what_is_in_use_stays(void **state)
{
    (void)state;
    struct read_cache *c = read_cache_new(NULL, NULL);
    char key[32];
    int missed = 0;
    int64_t began = clock_mono_ms();
    for (int i = 0; i < 8 * CACHE_ENTRIES; i++) {
        if (i % 64 == 0) {
            clock_sleep_ms(1); /* uses are told apart by the millisecond */
            missed += !hit(c, "service:hot", "hot");
        }
        snprintf(key, sizeof key, "service:s%d", i);
        hit(c, key, "{}");
    }
    assert_in_range(missed, 1, 1 + (clock_mono_ms() - began) / CACHE_FRESH_MS); /* its first look, and when its time was over */
    read_cache_free(c);
}

/* --- writers and readers of a few entities, at once: nobody reads what was over when he looked --- */

#define ENTITIES 7
#define WRITES 4000

static struct {
    struct read_cache *cache;
    atomic_int row[ENTITIES], told[ENTITIES]; /* what the database holds; the last change whose event has arrived */
    atomic_bool over;
    atomic_long hits, stale;
} storm;

static void key_of(int i, char out[24])
{
    snprintf(out, 24, "service:%d", i);
}

static void *writes(void *arg)
{
    int i = (int)(intptr_t)arg;
    char key[24];
    key_of(i, key);
    for (int n = 1; n <= WRITES; n++) {
        atomic_store(&storm.row[i], n);
        read_cache_drop(storm.cache, key);
        atomic_store(&storm.told[i], n);
        if (n % 512 == 0)
            read_cache_clear(storm.cache);
        if (n % 8 == 0)
            sched_yield();
    }
    return NULL;
}

static void *reads(void *arg)
{
    unsigned seed = (unsigned)(intptr_t)arg;
    char key[24], body[16];
    while (!atomic_load(&storm.over)) {
        int i = (int)(rand_r(&seed) % ENTITIES), told = atomic_load(&storm.told[i]);
        struct cache_mark mark;
        key_of(i, key);
        CACHE_ENTRY_AUTO e = read_cache_get(storm.cache, key, &mark);
        if (e) {
            atomic_fetch_add(&storm.hits, 1);
            atomic_fetch_add(&storm.stale, atoi(e->body) < told);
            continue;
        }
        snprintf(body, sizeof body, "%d", atomic_load(&storm.row[i]));
        if (rand_r(&seed) % 4 == 0)
            sched_yield();
        put(storm.cache, &mark, key, body);
    }
    return NULL;
}

static void nobody_reads_what_is_over(void **state)
{
    (void)state;
    pthread_t writer[ENTITIES], reader[4];
    storm.cache = read_cache_new(NULL, NULL);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&reader[i], NULL, reads, (void *)(intptr_t)(i + 1)), 0);
    for (int i = 0; i < ENTITIES; i++)
        assert_int_equal(pthread_create(&writer[i], NULL, writes, (void *)(intptr_t)i), 0);
    for (int i = 0; i < ENTITIES; i++)
        pthread_join(writer[i], NULL);
    clock_sleep_ms(20);
    atomic_store(&storm.over, true);
    for (int i = 0; i < 4; i++)
        pthread_join(reader[i], NULL);
    assert_int_equal(atomic_load(&storm.stale), 0);
    assert_true(atomic_load(&storm.hits) > 0);
    for (int i = 0; i < ENTITIES; i++) {
        char key[24], last[16];
        key_of(i, key);
        snprintf(last, sizeof last, "%d", WRITES);
        hit(storm.cache, key, last); /* also compares what was kept */
    }
    read_cache_free(storm.cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_what_was_read), cmocka_unit_test(a_drop_outdates_who_reads_meanwhile), cmocka_unit_test(a_held_entry_outlives_its_drop),
        cmocka_unit_test(grows_old_from_the_look_on), cmocka_unit_test(gives_and_keeps_nothing_while_events_may_be_missing),
        cmocka_unit_test(stays_within_its_bounds), cmocka_unit_test(what_is_in_use_stays), cmocka_unit_test(nobody_reads_what_is_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
