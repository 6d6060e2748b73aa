/* Who really asks, when a proxy of ours stands in front: only from an address in trusted_proxies, and only in the one header that this proxy sets.
 * The list is read from its end: each trusted proxy vouches for the entry that it added, and whatever the client itself wrote stands further left. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "portal/http/http_private.h"

#define HOPS_MAX 32

struct address { unsigned char bytes[16]; }; /* an IPv4 address in its mapped form */
struct network { struct address at; unsigned bits; };

struct proxies {
    struct network *networks;
    size_t n;
    bool forwarded;
};

static bool address_read(const char *text, struct address *ret)
{
    struct in_addr v4;
    if (inet_pton(AF_INET6, text, ret->bytes) == 1)
        return true;
    if (inet_pton(AF_INET, text, &v4) != 1)
        return false;
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
    memcpy(ret->bytes, mapped, 12);
    memcpy(ret->bytes + 12, &v4, 4);
    return true;
}

static const char *address_write(const struct address *a, struct arena *arena)
{
    char text[INET6_ADDRSTRLEN];
    bool v4 = IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)(const void *)a->bytes);
    inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? a->bytes + 12 : a->bytes, text, sizeof text);
    return arena_strdup(arena, text);
}

static bool network_read(const char *text, struct network *ret)
{
    char address[INET6_ADDRSTRLEN + 1], *end = NULL;
    const char *slash = strchr(text, '/');
    size_t n = slash ? (size_t)(slash - text) : strlen(text);
    if (n >= sizeof address)
        return false;
    memcpy(address, text, n);
    address[n] = 0;
    unsigned most = strchr(address, ':') ? 128 : 32;
    unsigned long bits = slash && slash[1] >= '0' && slash[1] <= '9' ? strtoul(slash + 1, &end, 10) : most;
    if (!address_read(address, &ret->at) || bits > most || (slash && (!end || *end)))
        return false;
    ret->bits = (unsigned)bits + 128 - most;
    return true;
}

static bool network_has(const struct network *n, const struct address *a)
{
    unsigned whole = n->bits / 8, rest = n->bits % 8;
    if (memcmp(n->at.bytes, a->bytes, whole) != 0)
        return false;
    return !rest || !((n->at.bytes[whole] ^ a->bytes[whole]) >> (8 - rest));
}

int proxies_new(const char *list, bool forwarded, struct proxies **ret, struct err *e)
{
    struct proxies *p = calloc(1, sizeof *p);
    char *copy = strdup(list), *state = NULL;
    if (!p || !copy)
        abort();
    p->forwarded = forwarded;
    int r = 0;
    for (char *word = strtok_r(copy, ", \t", &state); word && !r; word = strtok_r(NULL, ", \t", &state)) {
        struct network *more = realloc(p->networks, (p->n + 1) * sizeof *more);
        if (!more)
            abort();
        p->networks = more;
        if (!network_read(word, &p->networks[p->n++]))
            r = err_set(e, ERR_INVALID, "trusted_proxies: `%.80s` is no address and no network such as 10.0.0.0/8 or fd00::/8", word);
    }
    free(copy);
    if (r)
        proxies_free(p);
    else
        *ret = p;
    return r;
}

void proxies_free(struct proxies *p)
{
    if (p)
        free(p->networks);
    free(p);
}

static bool is_trusted(const struct proxies *p, const struct address *a)
{
    for (size_t i = 0; i < p->n; i++)
        if (network_has(&p->networks[i], a))
            return true;
    return false;
}

/* --- the header --- */

struct hop { const char *address, *proto; };
struct hops { size_t n; struct hop items[HOPS_MAX]; };

static char *trim(char *s)
{
    s += strspn(s, " \t");
    size_t n = strlen(s);
    while (n && (s[n - 1] == ' ' || s[n - 1] == '\t'))
        s[--n] = 0;
    return s;
}

/* "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:80", each perhaps in quotes: the bare address. */
static char *bare(char *s)
{
    size_t n = strlen(s);
    if (n > 1 && s[0] == '"' && s[n - 1] == '"') {
        s[n - 1] = 0;
        s++;
    }
    if (*s == '[') {
        s[strcspn(s, "]")] = 0;
        return s + 1;
    }
    char *colon = strchr(s, ':');
    if (colon && !strchr(colon + 1, ':'))
        *colon = 0;
    return s;
}

/* The newest entries are kept: those at the end are what our own proxies wrote. */
static struct hop *hop_add(struct hops *h)
{
    if (h->n == HOPS_MAX)
        memmove(h->items, h->items + 1, --h->n * sizeof *h->items);
    h->items[h->n] = (struct hop){"", NULL};
    return &h->items[h->n++];
}

static void read_forwarded(struct hop *hop, char *entry)
{
    char *state = NULL;
    for (char *pair = strtok_r(entry, ";", &state); pair; pair = strtok_r(NULL, ";", &state)) {
        pair = trim(pair);
        if (!strncasecmp(pair, "for=", 4))
            hop->address = bare(pair + 4);
        else if (!strncasecmp(pair, "proto=", 6))
            hop->proto = bare(pair + 6);
    }
}

/* All lines of the header, in their order. Quoted commas and semicolons do not occur in addresses. */
static void read_hops(const struct http_conn *c, const char *name, bool forwarded, struct arena *a, struct hops *ret)
{
    ret->n = 0;
    for (int i = 0; i < c->ri->num_headers; i++) {
        if (strcasecmp(c->ri->http_headers[i].name, name))
            continue;
        char *line = arena_strdup(a, c->ri->http_headers[i].value);
        for (char *entry = line, *next; entry; entry = next) {
            if ((next = strchr(entry, ',')))
                *next++ = 0;
            struct hop *hop = hop_add(ret);
            if (forwarded)
                read_forwarded(hop, entry);
            else
                hop->address = bare(trim(entry));
        }
    }
}

/* What the nearest proxy said last; a client's own line stands before it. */
static const char *last_proto(const struct http_conn *c, struct arena *a)
{
    const char *last = NULL;
    for (int i = 0; i < c->ri->num_headers; i++)
        if (!strcasecmp(c->ri->http_headers[i].name, "X-Forwarded-Proto"))
            last = c->ri->http_headers[i].value;
    const char *comma = last ? strrchr(last, ',') : NULL;
    return last ? trim(arena_strdup(a, comma ? comma + 1 : last)) : NULL;
}

void proxies_resolve(const struct proxies *p, struct http_req *r)
{
    struct address at, next;
    struct hops hops;
    if (!p->n || !r->remote_addr || !address_read(r->remote_addr, &at) || !is_trusted(p, &at))
        return;
    read_hops(r->conn, p->forwarded ? "Forwarded" : "X-Forwarded-For", p->forwarded, r->arena, &hops);
    const char *proto = p->forwarded ? NULL : last_proto(r->conn, r->arena);
    for (size_t i = hops.n; i-- > 0 && is_trusted(p, &at);) {
        if (hops.items[i].proto)
            proto = hops.items[i].proto;
        /* "unknown", or something else that is no address: the last proxy that we know is as far as we see. */
        if (!address_read(hops.items[i].address, &next))
            break;
        at = next;
    }
    r->remote_addr = address_write(&at, r->arena);
    if (proto)
        r->tls = !strcasecmp(proto, "https");
}
