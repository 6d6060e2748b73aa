/* The one complication: what was read before a change must not be kept after it. Each set of the table counts its drops; whoever reads notes the count first,
 * and what comes with an old count is not kept. A set serves many keys, so now and then an answer is not kept that might have been.
 *
 * A look holds one of 64 locks for a comparison and a count; entries are counted references, copied from outside the lock. */
#include "portal/provision/cache.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "portal/core/clock.h"

#define WAYS 8
#define SETS (CACHE_ENTRIES / WAYS)
#define LOCKS 64

struct kept {
    struct cache_entry e;      /* first: what the holder sees */
    atomic_int refs;
    uint64_t hash;
    size_t size;
    int64_t fresh_until, used; /* `used` under the set's lock */
    char text[];
};

struct set {
    uint64_t drops;
    struct kept *way[WAYS];
};

struct stripe {
    _Alignas(128) pthread_mutex_t lock;
    int64_t hits, misses, entries;
};

struct read_cache {
    bool (*ready)(void *arg);
    void *arg;
    atomic_size_t bytes;
    struct stripe stripes[LOCKS];
    struct set sets[SETS];
};

static uint64_t hash_of(const char *key)
{
    uint64_t h = 14695981039346656037u; /* FNV-1a; a finisher, since sets and locks are taken from its low bits */
    for (; *key; key++)
        h = (h ^ (unsigned char)*key) * 1099511628211u;
    h ^= h >> 32;
    return h * 0x9E3779B97F4A7C15u >> 16;
}

struct read_cache *read_cache_new(bool (*ready)(void *arg), void *arg)
{
    struct read_cache *c = aligned_alloc(_Alignof(struct stripe), (sizeof *c + 127) & ~(size_t)127);
    if (!c)
        abort();
    memset(c, 0, sizeof *c);
    c->ready = ready;
    c->arg = arg;
    for (int i = 0; i < LOCKS; i++)
        pthread_mutex_init(&c->stripes[i].lock, NULL);
    return c;
}

void read_cache_free(struct read_cache *c)
{
    if (!c)
        return;
    read_cache_clear(c);
    for (int i = 0; i < LOCKS; i++)
        pthread_mutex_destroy(&c->stripes[i].lock);
    free(c);
}

static struct stripe *stripe_of(struct read_cache *c, size_t set)
{
    return &c->stripes[set % LOCKS];
}

static void unref(struct kept *k)
{
    if (atomic_fetch_sub_explicit(&k->refs, 1, memory_order_acq_rel) == 1)
        free(k);
}

void read_cache_give(const struct cache_entry *e)
{
    if (e)
        unref((struct kept *)(uintptr_t)e);
}

void read_cache_givep(const struct cache_entry **e)
{
    read_cache_give(*e);
    *e = NULL;
}

/* With the set's lock held. The entry lives on while somebody holds it. */
static void take_out(struct read_cache *c, size_t set, int way)
{
    struct kept *k = c->sets[set].way[way];
    c->sets[set].way[way] = NULL;
    stripe_of(c, set)->entries--;
    atomic_fetch_sub_explicit(&c->bytes, k->size, memory_order_relaxed);
    unref(k);
}

static int find(const struct set *s, uint64_t hash, const char *key)
{
    for (int i = 0; i < WAYS; i++)
        if (s->way[i] && s->way[i]->hash == hash && !strcmp(s->way[i]->e.key, key))
            return i;
    return -1;
}

const struct cache_entry *read_cache_get(struct read_cache *c, const char *key, struct cache_mark *ret_mark)
{
    uint64_t hash = hash_of(key);
    size_t set = hash % SETS;
    struct stripe *stripe = stripe_of(c, set);
    bool ready = !c->ready || c->ready(c->arg);
    int64_t now = clock_mono_ms();
    struct kept *k = NULL;
    pthread_mutex_lock(&stripe->lock);
    int way = ready ? find(&c->sets[set], hash, key) : -1;
    if (way >= 0 && now < c->sets[set].way[way]->fresh_until) {
        k = c->sets[set].way[way];
        k->used = now;
        atomic_fetch_add_explicit(&k->refs, 1, memory_order_relaxed);
        stripe->hits++;
    } else
        stripe->misses++;
    *ret_mark = (struct cache_mark){c->sets[set].drops, now};
    pthread_mutex_unlock(&stripe->lock);
    return k ? &k->e : NULL;
}

static const char *put_text(char **at, const char *text, size_t len)
{
    char *to = *at;
    memcpy(to, text, len);
    to[len] = 0;
    *at = to + len + 1;
    return to;
}

static struct kept *kept_new(const struct cache_entry *e, uint64_t hash, const struct cache_mark *mark)
{
    size_t key = strlen(e->key), team = strlen(e->team), etag = strlen(e->etag), size = sizeof(struct kept) + key + team + etag + e->len + 4;
    struct kept *k = malloc(size);
    if (!k)
        abort();
    char *at = k->text;
    *k = (struct kept){.hash = hash, .size = size, .fresh_until = mark->at + CACHE_FRESH_MS, .used = mark->at};
    k->e.key = put_text(&at, e->key, key);
    k->e.team = put_text(&at, e->team, team);
    k->e.etag = put_text(&at, e->etag, etag);
    k->e.body = put_text(&at, e->body, e->len);
    k->e.len = e->len;
    atomic_init(&k->refs, 1);
    return k;
}

/* With the lock held: the place for a key; else a free one, an old one, the one least lately used. */
static int place_for(const struct set *s, uint64_t hash, const char *key, int64_t now)
{
    int way = find(s, hash, key);
    for (int i = 0; i < WAYS && way < 0; i++)
        if (!s->way[i] || now >= s->way[i]->fresh_until)
            way = i;
    if (way >= 0)
        return way;
    way = 0;
    for (int i = 1; i < WAYS; i++)
        if (s->way[i]->used < s->way[way]->used)
            way = i;
    return way;
}

void read_cache_put(struct read_cache *c, const struct cache_mark *mark, const struct cache_entry *e)
{
    if (e->len > CACHE_BODY_MAX || (c->ready && !c->ready(c->arg)))
        return;
    uint64_t hash = hash_of(e->key);
    size_t set = hash % SETS;
    struct stripe *stripe = stripe_of(c, set);
    int64_t now = clock_mono_ms();
    struct kept *k = kept_new(e, hash, mark);
    if (atomic_load_explicit(&c->bytes, memory_order_relaxed) + k->size > CACHE_BYTES_MAX)
        read_cache_clear(c); /* long answers of many: they are read anew, which is all that it costs. It outdates this mark, too */
    pthread_mutex_lock(&stripe->lock);
    bool keep = c->sets[set].drops == mark->drops;
    if (keep) {
        int way = place_for(&c->sets[set], hash, e->key, now);
        if (c->sets[set].way[way])
            take_out(c, set, way);
        c->sets[set].way[way] = k;
        stripe->entries++;
        atomic_fetch_add_explicit(&c->bytes, k->size, memory_order_relaxed);
    }
    pthread_mutex_unlock(&stripe->lock);
    if (!keep)
        unref(k);
}

void read_cache_drop(struct read_cache *c, const char *key)
{
    uint64_t hash = hash_of(key);
    size_t set = hash % SETS;
    struct stripe *stripe = stripe_of(c, set);
    pthread_mutex_lock(&stripe->lock);
    c->sets[set].drops++;
    int way = find(&c->sets[set], hash, key);
    if (way >= 0)
        take_out(c, set, way);
    pthread_mutex_unlock(&stripe->lock);
}

void read_cache_clear(struct read_cache *c)
{
    for (size_t set = 0; set < SETS; set++) {
        struct stripe *stripe = stripe_of(c, set);
        pthread_mutex_lock(&stripe->lock);
        c->sets[set].drops++;
        for (int i = 0; i < WAYS; i++)
            if (c->sets[set].way[i])
                take_out(c, set, i);
        pthread_mutex_unlock(&stripe->lock);
    }
}

void read_cache_get_stats(struct read_cache *c, struct cache_stats *ret)
{
    *ret = (struct cache_stats){.bytes = (int64_t)atomic_load(&c->bytes)};
    for (int i = 0; i < LOCKS; i++) {
        struct stripe *s = &c->stripes[i];
        pthread_mutex_lock(&s->lock);
        ret->entries += s->entries;
        ret->hits += s->hits;
        ret->misses += s->misses;
        pthread_mutex_unlock(&s->lock);
    }
}
