/* Holding a value to a compiled schema. The complications: what `unevaluated*` needs to know travels up from every branch that held (struct
 * seen), and a hostile pair of schema and value is stopped by a budget of steps, a depth, and PCRE2's own limits. */
#include "portal/core/fs.h"
#include "portal/json/schema_private.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS_MAX = 2000000, PATTERN_STEPS = 200, MATCH_LIMIT = 50000, MATCH_DEPTH = 5000, MATCH_HEAP_KIB = 4096, CHECK_DEPTH_MAX = 150 };

struct path { const struct path *up; const char *key; size_t index; };
struct scope { const struct scope *up; const struct resource *resource; };

/* Which members or items of the value were looked at by a schema that held. n is the value's size; NULL set: not asked for. */
struct seen { bool *set; size_t n; };

struct run {
    const struct schema *s;
    size_t steps;
    int depth;
    int stop;                 /* code that ended the check early */
    struct err *stop_err;     /* its words */
    const char *at;
    pcre2_match_context *context;
};

/* What a check on one value carries: `e` NULL asks for yes or no only. */
struct look { const struct path *path; const struct scope *scope; struct err *e; };

static bool check(struct run *r, const struct node *n, const json_t *v, struct seen *seen, struct look look);

static void write_path(struct buf *out, const struct path *p)
{
    if (!p)
        return;
    write_path(out, p->up);
    if (p->key)
        json_pointer_add(out, p->key);
    else
        json_pointer_add_index(out, p->index);
}

__attribute__((format(printf, 4, 5))) static bool fail_at(struct run *r, struct look look, const char *key, const char *fmt, ...)
{
    if (!look.e)
        return false;
    BUF_AUTO pointer = BUF_INIT;
    BUF_AUTO words = BUF_INIT;
    va_list ap;
    buf_str(&pointer, r->at);
    write_path(&pointer, look.path);
    if (key)
        json_pointer_add(&pointer, key);
    va_start(ap, fmt);
    buf_vprintf(&words, fmt, ap);
    va_end(ap);
    err_field(look.e, buf_cstr(&pointer), "%s", buf_cstr(&words));
    return false;
}
#define fail(r, look, ...) fail_at((r), (look), NULL, __VA_ARGS__)

static bool spend(struct run *r, size_t steps)
{
    if (r->stop)
        return false;
    r->steps += steps;
    if (r->steps <= STEPS_MAX)
        return true;
    r->stop = err_set(r->stop_err, ERR_TOO_LARGE, "the value and its schema take too many steps to compare; make one of them simpler");
    return false;
}

/* Types. */

static unsigned type_of(const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_NULL: return TYPE_NULL;
    case JSON_TRUE:
    case JSON_FALSE: return TYPE_BOOLEAN;
    case JSON_OBJECT: return TYPE_OBJECT;
    case JSON_ARRAY: return TYPE_ARRAY;
    case JSON_STRING: return TYPE_STRING;
    case JSON_INTEGER: return TYPE_INTEGER;
    case JSON_REAL: return json_real_value(v) == floor(json_real_value(v)) ? TYPE_INTEGER : TYPE_NUMBER;
    }
    return 0;
}

static bool fail_type(struct run *r, const struct node *n, struct look look)
{
    static const struct { unsigned bit; const char *words; } types[] = {
        {TYPE_STRING, "text"}, {TYPE_NUMBER, "a number"}, {TYPE_INTEGER, "a whole number"}, {TYPE_BOOLEAN, "true or false"},
        {TYPE_OBJECT, "an object"}, {TYPE_ARRAY, "a list"}, {TYPE_NULL, "null"},
    };
    BUF_AUTO words = BUF_INIT;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        bool covered = types[i].bit == TYPE_INTEGER && (n->types & TYPE_NUMBER);
        if ((n->types & types[i].bit) && !covered)
            buf_printf(&words, "%s%s", words.len ? " or " : "", types[i].words);
    }
    return fail(r, look, "must be %s", buf_cstr(&words));
}

/* A value of the schema's own (never of the instance) in words. */
static void write_value(struct buf *out, const json_t *v)
{
    const char *s = json_string_value(v);
    if (s && *s)
        buf_str(out, s);
    else
        json_write(v, out);
}

static bool check_enum(struct run *r, const struct node *n, const json_t *v, struct look look)
{
    BUF_AUTO words = BUF_INIT;
    size_t count = json_array_size(n->enumeration), i;
    json_t *item;
    json_array_foreach(n->enumeration, i, item)
        if (!spend(r, 1) || json_same(item, v))
            return !r->stop;
    if (!look.e)
        return false;
    const char **names = calloc(count + 1, sizeof *names);
    if (!names)
        abort();
    size_t n_names = 0, shown = 0;
    json_array_foreach(n->enumeration, i, item) {
        if (json_is_string(item))
            names[n_names++] = json_string_value(item);
        if (words.len < 140) {
            buf_str(&words, i ? ", " : "");
            write_value(&words, item);
            shown++;
        }
    }
    if (shown < count)
        buf_printf(&words, " and %zu more", count - shown);
    const char *near = json_is_string(v) ? json_near_word(json_string_value(v), names) : NULL;
    fail(r, look, count == 1 ? "must be %s%s%s%s" : "must be one of %s%s%s%s", buf_cstr(&words), near && count > 3 ? "; did you mean " : "",
         near && count > 3 ? near : "", near && count > 3 ? "?" : "");
    free(names);
    return false;
}

static bool check_const(struct run *r, const struct node *n, const json_t *v, struct look look)
{
    if (!spend(r, 1) || json_same(n->constant, v))
        return !r->stop;
    BUF_AUTO words = BUF_INIT;
    write_value(&words, n->constant);
    return fail(r, look, "must be %s", buf_cstr(&words));
}

/* Numbers. */

static bool is_multiple(const json_t *v, const json_t *factor)
{
    if (json_is_integer(v) && json_is_integer(factor))
        return json_integer_value(v) % json_integer_value(factor) == 0;
    double value = json_number_value(v), step = json_number_value(factor);
    long double quotient = (long double)value / step;
    if (!isfinite(value / step))
        return fmod(value, step) == 0;
    /* Decimal fractions are not exact in binary: as near as two roundings can be apart counts as whole. */
    return fabsl(quotient - roundl(quotient)) <= fabsl(quotient) * 4.5e-16L;
}

static bool fail_number(struct run *r, struct look look, const char *words, const json_t *limit)
{
    BUF_AUTO text = BUF_INIT;
    if (look.e)
        json_write(limit, &text);
    return fail(r, look, "%s %s", words, buf_cstr(&text));
}

static bool check_number(struct run *r, const struct node *n, const json_t *v, struct look look)
{
    bool good = true;
    if (n->minimum && json_compare_numbers(v, n->minimum) < 0)
        good = fail_number(r, look, "must be at least", n->minimum);
    if (n->maximum && json_compare_numbers(v, n->maximum) > 0)
        good = fail_number(r, look, "must be at most", n->maximum);
    if (n->exclusive_minimum && json_compare_numbers(v, n->exclusive_minimum) <= 0)
        good = fail_number(r, look, "must be more than", n->exclusive_minimum);
    if (n->exclusive_maximum && json_compare_numbers(v, n->exclusive_maximum) >= 0)
        good = fail_number(r, look, "must be less than", n->exclusive_maximum);
    if (n->multiple_of && !is_multiple(v, n->multiple_of))
        good = fail_number(r, look, "must be a multiple of", n->multiple_of);
    return good;
}

/* Text. */

/* 1: matches; 0: not, or the check was stopped. */
static bool matches(struct run *r, const pcre2_code *code, const char *s, size_t len)
{
    if (!code || !spend(r, PATTERN_STEPS + len / 16))
        return false;
    if (!r->context) {
        r->context = pcre2_match_context_create(NULL);
        if (!r->context)
            abort();
        pcre2_set_match_limit(r->context, MATCH_LIMIT);
        pcre2_set_depth_limit(r->context, MATCH_DEPTH);
        pcre2_set_heap_limit(r->context, MATCH_HEAP_KIB);
    }
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    if (!data)
        abort();
    int n = pcre2_match(code, (PCRE2_SPTR)s, len, 0, 0, data, r->context);
    pcre2_match_data_free(data);
    if (n >= 0 || n == PCRE2_ERROR_NOMATCH)
        return n >= 0;
    r->stop = err_set(r->stop_err, ERR_TOO_LARGE, "a pattern of the schema takes too many steps on this text; write the pattern simpler");
    return false;
}

static int64_t characters(const char *s, size_t len)
{
    int64_t n = 0;
    for (size_t i = 0; i < len; i++)
        n += ((unsigned char)s[i] & 0xC0) != 0x80;
    return n;
}

static const char *format_words(const char *format)
{
    static const char *const words[][2] = {
        {"date-time", "a date and time such as 2026-01-31T10:20:30Z"}, {"date", "a date such as 2026-01-31"}, {"time", "a time such as 10:20:30Z"},
        {"duration", "a duration such as P1DT2H"}, {"email", "a mail address"}, {"hostname", "a host name"}, {"ipv4", "an IPv4 address"},
        {"ipv6", "an IPv6 address"}, {"uri", "a URI such as https://example.org/path"}, {"uri-reference", "a URI or a path"},
        {"uuid", "a UUID"}, {"json-pointer", "a JSON pointer such as /a/0"}, {"regex", "a regular expression"},
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(words[i][0], format) == 0)
            return words[i][1];
    return format;
}

static bool check_text(struct run *r, const struct node *n, const json_t *v, struct look look)
{
    const char *s = json_string_value(v);
    size_t len = json_string_length(v);
    bool good = true;
    if (n->min_length >= 0 || n->max_length >= 0) {
        int64_t count = characters(s, len);
        if (!spend(r, len / 64))
            return false;
        if (n->min_length > count)
            good = n->min_length == 1 ? fail(r, look, "must not be empty") : fail(r, look, "must have at least %lld characters", (long long)n->min_length);
        if (n->max_length >= 0 && count > n->max_length)
            good = fail(r, look, "must have at most %lld characters", (long long)n->max_length);
    }
    if (n->pattern.code && !matches(r, n->pattern.code, s, len))
        good = r->stop ? false : fail(r, look, "must match the pattern %.150s", n->pattern.text);
    if (r->s->assert_formats && n->format && (!spend(r, PATTERN_STEPS + len / 16) || !schema_format_ok(n->format, s, len)))
        good = r->stop ? false : fail(r, look, "must be %s", format_words(n->format));
    return good;
}

/* What was seen. */

static void seen_open(struct seen *seen, const struct run *r, const json_t *v)
{
    size_t n = json_is_object(v) ? json_object_size(v) : json_array_size(v);
    *seen = (struct seen){NULL, n};
    if (!r->s->tracks || n == 0)
        return;
    seen->set = calloc(n, sizeof *seen->set);
    if (!seen->set)
        abort();
}

static void seen_close(struct seen *seen)
{
    free(seen->set);
}
#define SEEN_AUTO __attribute__((cleanup(seen_close))) struct seen

static void seen_add(struct seen *seen, size_t i)
{
    if (seen->set)
        seen->set[i] = true;
}

/* Checks another schema on the same value; what it saw counts when it held. */
static bool beside(struct run *r, const struct node *n, const json_t *v, struct seen *seen, struct look look)
{
    SEEN_AUTO inner;
    seen_open(&inner, r, v);
    if (!check(r, n, v, &inner, look))
        return false;
    for (size_t i = 0; inner.set && i < inner.n && spend(r, 1); i++)
        seen->set[i] |= inner.set[i];
    return !r->stop;
}

/* Choices. */

/* What the branches of a choice complain of; on the heap, because choices nest and an error is large. */
struct complaints { struct err best, now; size_t deepest, ties; };

static void hear_branches(struct run *r, const struct nodes *branches, const json_t *v, struct look look, struct complaints *c)
{
    for (size_t i = 0; i < branches->n && !r->stop; i++) {
        SEEN_AUTO seen;
        seen_open(&seen, r, v);
        c->now = (struct err)ERR_INIT;
        check(r, branches->items[i], v, &seen, (struct look){look.path, look.scope, &c->now});
        size_t depth = c->now.n_fields ? strlen(c->now.fields[0].pointer) : 0;
        c->ties = depth == c->deepest ? c->ties + 1 : depth > c->deepest ? 1 : c->ties;
        if (depth > c->deepest || i == 0) {
            c->best = c->now;
            c->deepest = depth;
        }
    }
}

/* Which branch to speak of when none held: the one whose first complaint lies deepest, if it is deeper than this value itself. */
static bool fail_choice(struct run *r, const struct nodes *branches, const json_t *v, struct look look)
{
    if (!look.e || r->stop)
        return false;
    BUF_AUTO here = BUF_INIT;
    buf_str(&here, r->at);
    write_path(&here, look.path);
    FREE_AUTO struct complaints *c = calloc(1, sizeof *c);
    if (!c)
        abort();
    hear_branches(r, branches, v, look, c);
    if (r->stop)
        return false;
    const struct err *best = &c->best;
    if (best->n_fields == 0)
        return fail(r, look, "fits none of the forms it may have");
    if (branches->n > 1 && (c->ties > 1 || c->deepest <= here.len))
        return fail(r, look, "fits none of the %zu forms it may have; of the first: %s", branches->n, best->fields[0].detail);
    for (unsigned i = 0; i < best->n_fields; i++)
        err_field(look.e, best->fields[i].pointer, "%s", best->fields[i].detail);
    return false;
}

static bool check_any(struct run *r, const struct node *n, const json_t *v, struct seen *seen, struct look look)
{
    bool held = false;
    for (size_t i = 0; i < n->any_of.n && !r->stop; i++) {
        held |= beside(r, n->any_of.items[i], v, seen, (struct look){look.path, look.scope, NULL});
        if (held && !r->s->tracks)
            break;
    }
    return held && !r->stop ? true : fail_choice(r, &n->any_of, v, look);
}

static bool check_one(struct run *r, const struct node *n, const json_t *v, struct seen *seen, struct look look)
{
    size_t held = 0;
    for (size_t i = 0; i < n->one_of.n && held < 2 && !r->stop; i++)
        held += beside(r, n->one_of.items[i], v, seen, (struct look){look.path, look.scope, NULL});
    if (held == 1 && !r->stop)
        return true;
    return held ? fail(r, look, "fits more than one of the forms of which it may have one") : fail_choice(r, &n->one_of, v, look);
}

static const struct node *dynamic_target(const struct node *n, const struct scope *scope)
{
    const struct node *found = NULL;
    for (; n->dynamic_name && scope; scope = scope->up)
        for (const struct anchor_name *a = scope->resource->anchors; a; a = a->next)
            if (a->dynamic && a->node && strcmp(a->name, n->dynamic_name) == 0)
                found = a->node; /* the outermost wins */
    return found ? found : n->dynamic_ref;
}

static bool check_choices(struct run *r, const struct node *n, const json_t *v, struct seen *seen, struct look look)
{
    struct look quiet = {look.path, look.scope, NULL};
    bool good = true;
    if (n->ref)
        good &= beside(r, n->ref, v, seen, look);
    if (n->dynamic_ref)
        good &= beside(r, dynamic_target(n, look.scope), v, seen, look);
    for (size_t i = 0; i < n->all_of.n && !r->stop; i++)
        good &= beside(r, n->all_of.items[i], v, seen, look);
    if (n->any_of.n)
        good &= check_any(r, n, v, seen, look);
    if (n->one_of.n)
        good &= check_one(r, n, v, seen, look);
    if (n->not_) {
        SEEN_AUTO inner;
        seen_open(&inner, r, v);
        if (check(r, n->not_, v, &inner, quiet))
            good = fail(r, look, "has a form that is excluded here");
    }
    if (n->if_ && (n->then_ || n->else_ || r->s->tracks)) {
        bool held = beside(r, n->if_, v, seen, quiet);
        const struct node *then = held ? n->then_ : n->else_;
        if (then && !r->stop)
            good &= beside(r, then, v, seen, look);
    }
    return good && !r->stop;
}

/* Objects. */

static bool check_inside(struct run *r, const struct node *n, const json_t *v, const struct path *path, struct look look)
{
    SEEN_AUTO inner;
    seen_open(&inner, r, v);
    return check(r, n, v, &inner, (struct look){path, look.scope, look.e});
}

static bool fail_unknown(struct run *r, const struct node *n, const char *key, struct look look)
{
    if (!look.e)
        return false;
    BUF_AUTO known = BUF_INIT;
    const char **names = calloc(n->properties.n + 1, sizeof *names);
    if (!names)
        abort();
    for (size_t i = 0; i < n->properties.n; i++) {
        names[i] = n->properties.items[i].name;
        if (known.len < 140)
            buf_printf(&known, "%s%s", i ? ", " : "", names[i]);
    }
    const char *near = json_near_word(key, names);
    if (near)
        fail_at(r, look, key, "is not known; did you mean %s?", near);
    else if (known.len)
        fail_at(r, look, key, "is not known; known are %s", buf_cstr(&known));
    else
        fail_at(r, look, key, "is not known; nothing is expected here");
    free(names);
    return false;
}

static bool check_rest(struct run *r, const struct node *n, const struct node *rest, const char *key, const json_t *value, struct look look)
{
    struct path inner = {look.path, key, 0};
    if (rest->never)
        return fail_unknown(r, n, key, look);
    return check_inside(r, rest, value, &inner, look);
}

static bool check_name(struct run *r, const struct node *n, const char *key, struct look look)
{
    FREE_AUTO struct err *e = look.e ? calloc(1, sizeof *e) : NULL;
    json_t *name = json_string_nocheck(key);
    if (!name)
        abort();
    bool good = check_inside(r, n->property_names, name, look.path, (struct look){look.path, look.scope, e});
    json_decref(name);
    if (good || r->stop || !e)
        return good && !r->stop;
    return fail_at(r, look, key, "is no allowed name: it %s", e->n_fields ? e->fields[0].detail : "does not fit");
}

static bool check_member(struct run *r, const struct node *n, const char *key, const json_t *value, bool *ret_seen, struct look look)
{
    const struct child *known = n->properties.n ? schema_child(&n->properties, key) : NULL;
    struct path inner = {look.path, key, 0};
    bool good = true;
    *ret_seen = false;
    if (known) {
        good &= check_inside(r, known->node, value, &inner, look);
        *ret_seen = true;
    }
    for (size_t i = 0; i < n->pattern_properties.n && !r->stop; i++) {
        const struct pattern *p = &n->pattern_properties.items[i];
        if (!matches(r, p->code, key, strlen(key)))
            continue;
        good &= check_inside(r, p->node, value, &inner, look);
        *ret_seen = true;
    }
    if (!*ret_seen && n->additional_properties) {
        good &= check_rest(r, n, n->additional_properties, key, value, look);
        *ret_seen = true;
    }
    if (n->property_names)
        good &= check_name(r, n, key, look);
    return good && !r->stop;
}

static bool check_required(struct run *r, const json_t *names, const json_t *v, const char *because, struct look look)
{
    bool good = true;
    size_t i;
    json_t *name;
    json_array_foreach(names, i, name) {
        if (!spend(r, 1))
            return false;
        if (json_object_getn(v, json_string_value(name), json_string_length(name)))
            continue;
        good = because ? fail_at(r, look, json_string_value(name), "is required when %s is given", because)
                       : fail_at(r, look, json_string_value(name), "is required");
    }
    return good;
}

static bool check_dependents(struct run *r, const struct node *n, const json_t *v, struct seen *seen, struct look look)
{
    bool good = true;
    const char *key;
    json_t *names;
    if (n->dependent_required)
        json_object_foreach((json_t *)(uintptr_t)n->dependent_required, key, names)
            if (json_object_get(v, key))
                good &= check_required(r, names, v, key, look);
    for (size_t i = 0; i < n->dependent_schemas.n && !r->stop; i++)
        if (json_object_get(v, n->dependent_schemas.items[i].name))
            good &= beside(r, n->dependent_schemas.items[i].node, v, seen, look);
    return good;
}

static bool check_object(struct run *r, const struct node *n, const json_t *v, struct seen *seen, struct look look)
{
    bool good = true, members = n->properties.n || n->pattern_properties.n || n->additional_properties || n->property_names;
    int64_t size = (int64_t)json_object_size(v);
    const char *key;
    json_t *value;
    size_t i = 0;
    if (n->min_properties > size)
        good = fail(r, look, "must have at least %lld members", (long long)n->min_properties);
    if (n->max_properties >= 0 && size > n->max_properties)
        good = fail(r, look, "must have at most %lld members", (long long)n->max_properties);
    if (n->required)
        good &= check_required(r, n->required, v, NULL, look);
    if (members) {
        json_object_foreach((json_t *)(uintptr_t)v, key, value) {
            bool looked;
            if (!spend(r, 1) || (!good && !look.e))
                return false;
            good &= check_member(r, n, key, value, &looked, look);
            if (looked)
                seen_add(seen, i);
            i++;
        }
    }
    return check_dependents(r, n, v, seen, look) && good;
}

static bool check_unseen_members(struct run *r, const struct node *n, const json_t *v, struct seen *seen, struct look look)
{
    bool good = true;
    const char *key;
    json_t *value;
    size_t i = 0;
    json_object_foreach((json_t *)(uintptr_t)v, key, value) {
        if (!spend(r, 1))
            return false;
        if (!seen->set[i])
            good &= check_rest(r, n, n->unevaluated_properties, key, value, look);
        seen_add(seen, i++);
    }
    return good;
}

/* Lists. */

struct hashed { uint64_t hash; size_t index; };

static uint64_t mix(uint64_t h, uint64_t v)
{
    h ^= v + 0x9E3779B97F4A7C15ull + (h << 6) + (h >> 2);
    return h * 0xFF51AFD7ED558CCDull;
}

static uint64_t hash_bytes(uint64_t h, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)s[i]) * 1099511628211ull;
    return mix(h, n);
}

/* Equal values have equal hashes: 1 and 1.0, members in any order. */
static uint64_t hash_of(struct run *r, const json_t *v)
{
    uint64_t h = 7;
    const char *key;
    json_t *item;
    size_t i;
    if (!spend(r, 1 + json_string_length(v) / 16))
        return 0;
    if (json_is_number(v)) {
        double d = json_number_value(v) + 0.0;
        return hash_bytes(1, (const char *)&d, sizeof d);
    }
    if (json_is_string(v))
        return hash_bytes(2, json_string_value(v), json_string_length(v));
    if (json_is_object(v)) {
        json_object_foreach((json_t *)(uintptr_t)v, key, item)
            h += mix(hash_bytes(3, key, strlen(key)), hash_of(r, item));
        return mix(h, 4);
    }
    json_array_foreach(v, i, item)
        h = mix(h, hash_of(r, item));
    return mix(h, 16 + (uint64_t)json_typeof(v));
}

static int by_hash(const void *a, const void *b)
{
    const struct hashed *x = a, *y = b;
    return x->hash != y->hash ? (x->hash > y->hash) - (x->hash < y->hash) : (x->index > y->index) - (x->index < y->index);
}

static bool check_unique(struct run *r, const json_t *v, struct look look)
{
    size_t n = json_array_size(v);
    struct hashed *items = calloc(n + 1, sizeof *items);
    bool good = true;
    if (!items)
        abort();
    for (size_t i = 0; i < n; i++)
        items[i] = (struct hashed){hash_of(r, json_array_get(v, i)), i};
    if (n > 1)
        qsort(items, n, sizeof *items, by_hash);
    for (size_t i = 0; i < n && good && !r->stop; i++) {
        for (size_t k = i + 1; k < n && items[k].hash == items[i].hash && good && spend(r, 1); k++)
            if (json_same(json_array_get(v, items[i].index), json_array_get(v, items[k].index)))
                good = fail(r, look, "must not hold the same twice: items %zu and %zu are equal", items[i].index, items[k].index);
    }
    free(items);
    return good && !r->stop;
}

static bool check_contains(struct run *r, const struct node *n, const json_t *v, struct seen *seen, struct look look)
{
    int64_t held = 0, least = n->min_contains >= 0 ? n->min_contains : 1;
    size_t i;
    json_t *item;
    json_array_foreach(v, i, item) {
        struct path inner = {look.path, NULL, i};
        if (!check_inside(r, n->contains, item, &inner, (struct look){&inner, look.scope, NULL}))
            continue;
        held++;
        seen_add(seen, i);
    }
    if (held < least)
        return fail(r, look, "must hold at least %lld item%s of the wanted form", (long long)least, least == 1 ? "" : "s");
    if (n->max_contains >= 0 && held > n->max_contains)
        return fail(r, look, "must hold at most %lld item%s of that form", (long long)n->max_contains, n->max_contains == 1 ? "" : "s");
    return true;
}

static bool check_array(struct run *r, const struct node *n, const json_t *v, struct seen *seen, struct look look)
{
    int64_t size = (int64_t)json_array_size(v);
    bool good = true;
    if (n->min_items > size)
        good = fail(r, look, "must have at least %lld item%s", (long long)n->min_items, n->min_items == 1 ? "" : "s");
    if (n->max_items >= 0 && size > n->max_items)
        good = fail(r, look, "must have at most %lld item%s", (long long)n->max_items, n->max_items == 1 ? "" : "s");
    for (size_t i = 0; i < (size_t)size && (i < n->prefix_items.n || n->items); i++) {
        struct path inner = {look.path, NULL, i};
        const struct node *item = i < n->prefix_items.n ? n->prefix_items.items[i] : n->items;
        if (r->stop || (!good && !look.e))
            return false;
        good &= item->never ? fail(r, look, "must have at most %zu items", i) : check_inside(r, item, json_array_get(v, i), &inner, look);
        if (item->never)
            break;
        seen_add(seen, i);
    }
    if (n->unique)
        good &= check_unique(r, v, look);
    if (n->contains)
        good &= check_contains(r, n, v, seen, look);
    return good && !r->stop;
}

static bool check_unseen_items(struct run *r, const struct node *n, const json_t *v, struct seen *seen, struct look look)
{
    bool good = true;
    for (size_t i = 0; i < json_array_size(v) && !r->stop; i++) {
        struct path inner = {look.path, NULL, i};
        if (!seen->set[i])
            good &= n->unevaluated_items->never ? fail_at(r, (struct look){&inner, look.scope, look.e}, NULL, "is one item too many")
                                                : check_inside(r, n->unevaluated_items, json_array_get(v, i), &inner, look);
        seen_add(seen, i);
    }
    return good;
}

/* One schema on one value. */

static bool check_keywords(struct run *r, const struct node *n, const json_t *v, struct seen *seen, struct look look)
{
    bool good = true;
    if (n->types && !(type_of(v) & n->types))
        return fail_type(r, n, look);
    if (n->constant)
        good &= check_const(r, n, v, look);
    if (n->enumeration)
        good &= check_enum(r, n, v, look);
    if (!good && !look.e)
        return false;
    if (json_is_number(v))
        good &= check_number(r, n, v, look);
    else if (json_is_string(v))
        good &= check_text(r, n, v, look);
    else if (json_is_object(v))
        good &= check_object(r, n, v, seen, look);
    else if (json_is_array(v))
        good &= check_array(r, n, v, seen, look);
    if (!good && !look.e)
        return false;
    good &= check_choices(r, n, v, seen, look);
    /* Only when all else held: what a failing branch saw is not known. */
    if (good && n->unevaluated_properties && json_is_object(v) && seen->set)
        good = check_unseen_members(r, n, v, seen, look);
    if (good && n->unevaluated_items && json_is_array(v) && seen->set)
        good = check_unseen_items(r, n, v, seen, look);
    return good && !r->stop;
}

static bool check(struct run *r, const struct node *n, const json_t *v, struct seen *seen, struct look look)
{
    if (!spend(r, 1))
        return false;
    if (n->never)
        return fail(r, look, "is not allowed here");
    if (r->depth == CHECK_DEPTH_MAX) {
        r->stop = err_set(r->stop_err, ERR_TOO_LARGE, "the value, or the way through its schema, is nested too deep");
        return false;
    }
    struct scope scope = {look.scope, n->resource};
    if (!look.scope || look.scope->resource != n->resource)
        look.scope = &scope;
    r->depth++;
    bool good = check_keywords(r, n, v, seen, look);
    r->depth--;
    return good;
}

bool schema_fits(const struct schema *s, const struct node *n, const json_t *value, const char *at, struct err *e, int *ret_code)
{
    struct err stopped = ERR_INIT;
    struct run r = {.s = s, .stop_err = &stopped, .at = at};
    SEEN_AUTO seen;
    seen_open(&seen, &r, value);
    bool good = check(&r, n, value, &seen, (struct look){NULL, NULL, e});
    pcre2_match_context_free(r.context);
    *ret_code = r.stop;
    if (r.stop && e)
        *e = stopped;
    return good && !r.stop;
}

int schema_validate(const struct schema *s, const json_t *value, const char *at, struct err *e)
{
    struct err mine = ERR_INIT;
    int code;
    if (schema_fits(s, s->entry, value, at ? at : "", e ? &mine : NULL, &code))
        return 0;
    if (e)
        *e = mine;
    return code ? code : ERR_INVALID;
}
