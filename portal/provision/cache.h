/* Answers to reads, kept for a moment: what makes a read of one entity cost no look into the database.
 *
 * A key is an entity of the event log ("service:orders-db"). An entry goes when an event of its entity arrives, when this node writes the entity, after
 * CACHE_FRESH_MS whatever happens, or when the cache is full or suspect. So a read is older than the last commit by the way of an event at most (tens of
 * milliseconds), on the node that wrote not at all, and by CACHE_FRESH_MS where events are held up.
 *
 * The cache knows no rights: the caller asks them of the entry's team each time.  Thread: any. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CACHE_FRESH_MS 1500
#define CACHE_ENTRIES 4096
#define CACHE_BODY_MAX (64 * 1024)       /* longer answers are not kept */
#define CACHE_BYTES_MAX (16 * 1024 * 1024)

struct read_cache;
/* Never NULL. `ready` (may be NULL: always) says whether the events of all writers arrive here; while it does not, nothing is given out or kept. */
struct read_cache *read_cache_new(bool (*ready)(void *arg), void *arg);
/* Takes NULL. Nobody else may use it any more; held entries must have been given back. */
void read_cache_free(struct read_cache *c);

/* An answer. Immutable; the holder may read it until read_cache_give(). */
struct cache_entry { const char *key, *team, *etag, *body; size_t len; };
/* When a reader looked, and what had changed by then. */
struct cache_mark { uint64_t drops; int64_t at; };
/* The entry of `key`, held for the caller, or NULL. Then *ret_mark is what read_cache_put() wants: look here before the database is asked. */
const struct cache_entry *read_cache_get(struct read_cache *c, const char *key, struct cache_mark *ret_mark);
void read_cache_give(const struct cache_entry *e); /* takes NULL */
void read_cache_givep(const struct cache_entry **e);
#define CACHE_ENTRY_AUTO __attribute__((cleanup(read_cache_givep))) const struct cache_entry *
/* Keeps a copy, unless the entity was dropped since the mark was taken: then what the caller read may be older than the drop. */
void read_cache_put(struct read_cache *c, const struct cache_mark *mark, const struct cache_entry *e);
/* The entity changed. After the commit, or at its event. */
void read_cache_drop(struct read_cache *c, const char *key);
/* All may have changed: events were lost, or the database is another. */
void read_cache_clear(struct read_cache *c);

struct cache_stats { int64_t entries, bytes, hits, misses; };
void read_cache_get_stats(struct read_cache *c, struct cache_stats *ret);
