/* Principals by the hash of their secret, for less than a second each: what makes a signed-in request cost no look into the database. The entry also counts its
 * requests. The one complication here: a write that was read before a change must not be kept after it, so whoever reads notes the generation first. */
#include "portal/core/clock.h"

#include <stdlib.h>
#include <string.h>

#include "portal/auth/auth_private.h"

#define CHAINS 1024
#define LOCKS 16
#define UNUSED_MS 60000 /* also how long a full allowance takes to come back */

struct entry {
    struct entry *next;
    uint8_t hash[CRYPTO_DIGEST];
    struct arena *arena;        /* of `principal` */
    struct principal *principal;
    unsigned generation;
    int64_t fresh_until, used_ms;
    double spent;               /* requests of the allowance, as of used_ms */
};

struct cache {
    atomic_uint generation;
    pthread_mutex_t lock[LOCKS];
    struct entry *chain[CHAINS];
};

struct cache *cache_new(void)
{
    struct cache *c = calloc(1, sizeof *c);
    if (!c)
        abort();
    for (int i = 0; i < LOCKS; i++)
        pthread_mutex_init(&c->lock[i], NULL);
    return c;
}

static void entry_free(struct entry *e)
{
    arena_free(e->arena);
    free(e);
}

void cache_free(struct cache *c)
{
    if (!c)
        return;
    for (int i = 0; i < CHAINS; i++)
        for (struct entry *next, *e = c->chain[i]; e; e = next) {
            next = e->next;
            entry_free(e);
        }
    for (int i = 0; i < LOCKS; i++)
        pthread_mutex_destroy(&c->lock[i]);
    free(c);
}

void cache_forget(struct cache *c)
{
    c->generation++;
}

unsigned cache_generation(struct cache *c)
{
    return c->generation;
}

static unsigned chain_of(const uint8_t hash[CRYPTO_DIGEST])
{
    return (hash[0] | (unsigned)hash[1] << 8) % CHAINS;
}

static struct entry *find(struct cache *c, const uint8_t hash[CRYPTO_DIGEST])
{
    for (struct entry *e = c->chain[chain_of(hash)]; e; e = e->next)
        if (!memcmp(e->hash, hash, CRYPTO_DIGEST))
            return e;
    return NULL;
}

/* A bucket that fills evenly over a minute. A request over the limit takes nothing. */
static void count(struct entry *e, int64_t now, int per_minute, struct allowance *ret)
{
    double back = (double)(now - e->used_ms) * per_minute / 60000.0;
    e->spent = e->spent > back ? e->spent - back : 0;
    e->used_ms = now;
    *ret = (struct allowance){.limit = per_minute};
    if (!per_minute)
        return;
    if (e->spent + 1 > per_minute)
        ret->exceeded = true;
    else
        e->spent += 1;
    ret->left = (int)(per_minute - e->spent);
    ret->reset = ret->exceeded ? 1 + (int)((e->spent + 1 - per_minute) * 60.0 / per_minute) : (int)(e->spent * 60.0 / per_minute + 0.999);
}

struct principal *cache_get(struct cache *c, const uint8_t hash[CRYPTO_DIGEST], int per_minute, struct arena *a, struct allowance *ret)
{
    pthread_mutex_t *lock = &c->lock[chain_of(hash) % LOCKS];
    struct principal *p = NULL;
    int64_t now = clock_mono_ms();
    pthread_mutex_lock(lock);
    struct entry *e = find(c, hash);
    if (e && e->generation == c->generation && now < e->fresh_until) {
        count(e, now, per_minute, ret);
        p = principal_copy(e->principal, a);
    }
    pthread_mutex_unlock(lock);
    return p;
}

/* Takes what nobody used for a while out of the chain. */
static void sweep(struct entry **at, int64_t now)
{
    while (*at) {
        struct entry *e = *at;
        if (now - e->used_ms > UNUSED_MS) {
            *at = e->next;
            entry_free(e);
        } else {
            at = &e->next;
        }
    }
}

void cache_put(struct cache *c, const uint8_t hash[CRYPTO_DIGEST], const struct principal *p, int64_t read_ms, unsigned generation)
{
    unsigned chain = chain_of(hash);
    struct arena *arena = arena_new();
    struct principal *copy = principal_copy(p, arena);
    pthread_mutex_t *lock = &c->lock[chain % LOCKS];
    int64_t now = clock_mono_ms();
    pthread_mutex_lock(lock);
    struct entry *e = find(c, hash);
    if (!e) {
        sweep(&c->chain[chain], now);
        e = calloc(1, sizeof *e);
        if (!e)
            abort();
        memcpy(e->hash, hash, CRYPTO_DIGEST);
        e->used_ms = now;
        e->next = c->chain[chain];
        c->chain[chain] = e;
    }
    struct arena *old = e->arena;
    e->arena = arena;
    e->principal = copy;
    e->generation = generation;
    e->fresh_until = read_ms + AUTH_FRESH_MS;
    pthread_mutex_unlock(lock);
    arena_free(old);
}
