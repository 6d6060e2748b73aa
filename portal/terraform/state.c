/* State files: whether one is complete, what it holds, which of two counts. The engine truncates and rewrites in place, so a reader may meet
 * an empty or half-written file at any time: only complete JSON with version, serial and lineage is a state. */
#include "portal/core/fs.h"
#include "portal/terraform/terraform_private.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* Integers beyond 64 bits (an unsigned id, say) as text, so that no digit is lost. */
static json_t *load_with_long_integers(const char *text, size_t n, json_error_t *ret_error)
{
    BUF_AUTO b = BUF_INIT;
    for (size_t i = 0, k; i < n; i += k) {
        k = 1;
        if (text[i] == '"') {
            while (i + k < n && text[i + k] != '"')
                k += text[i + k] == '\\' ? 2 : 1;
            k += k < n - i;
            k = k < n - i ? k : n - i;
        } else if (isdigit((unsigned char)text[i]) || text[i] == '-') {
            while (i + k < n && (isalnum((unsigned char)text[i + k]) || strchr("+-.", text[i + k])) && text[i + k])
                k++;
            bool integer = !memchr(text + i, '.', k) && !memchr(text + i, 'e', k) && !memchr(text + i, 'E', k);
            if (integer && k > 18) {
                buf_printf(&b, "\"%.*s\"", (int)k, text + i);
                continue;
            }
        }
        buf_add(&b, text + i, k);
    }
    return json_loadb(buf_cstr(&b), b.len, JSON_ALLOW_NUL, ret_error);
}

json_t *tf_json_load(const char *text, size_t n, json_error_t *ret_error)
{
    json_error_t error;
    if (!text)
        text = "";
    json_t *v = json_loadb(text, n, JSON_ALLOW_NUL, &error);
    if (!v && json_error_code(&error) == json_error_numeric_overflow)
        v = load_with_long_integers(text, n, &error);
    if (ret_error)
        *ret_error = error;
    return v;
}

const char *tf_json_str(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));
    return s ? s : "";
}

/* Cheap first look: a state being rewritten rarely ends in a brace. */
static bool may_be_complete(const char *p, size_t n)
{
    while (n && (p[n - 1] == '\n' || p[n - 1] == ' ' || p[n - 1] == '\r'))
        n--;
    return n > 1 && p[n - 1] == '}';
}

static json_t *load_state(const void *state, size_t n)
{
    if (!state || !may_be_complete(state, n))
        return NULL;
    json_t *root = tf_json_load(state, n, NULL);
    if (json_is_integer(json_object_get(root, "version")) && json_is_integer(json_object_get(root, "serial")) && *tf_json_str(root, "lineage"))
        return root;
    json_decref(root);
    return NULL;
}

int tf_state_read(struct arena *a, const void *state, size_t n, int64_t *ret_serial, const char **ret_lineage)
{
    TF_JSON_AUTO root = load_state(state, n);
    if (!root)
        return 0;
    *ret_serial = json_integer_value(json_object_get(root, "serial"));
    *ret_lineage = arena_strdup(a, tf_json_str(root, "lineage"));
    return 1;
}

static const char *dump(struct arena *a, const json_t *v)
{
    char *s = v ? json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    const char *copy = arena_strdup(a, s ? s : "null");
    if (s)
        memset(s, 0, strlen(s));
    free(s);
    return copy;
}

int tf_state_outputs(struct arena *a, const void *state, size_t n, struct tf_output **ret, size_t *ret_n, struct err *e)
{
    TF_JSON_AUTO root = load_state(state, n);
    if (!root)
        return err_set(e, ERR_INVALID, "the state is not complete: it cannot be read as JSON with version, serial and lineage");
    json_t *outputs = json_object_get(root, "outputs"), *o;
    const char *name;
    size_t k = 0;
    struct tf_output *all = arena_alloc(a, (json_object_size(outputs) + 1) * sizeof *all);
    json_object_foreach(outputs, name, o)
        all[k++] = (struct tf_output){arena_strdup(a, name), json_is_true(json_object_get(o, "sensitive")), dump(a, json_object_get(o, "type")),
                                      dump(a, json_object_get(o, "value"))};
    *ret = all;
    *ret_n = k;
    return 0;
}

/* ---- addresses ---- */

static void write_index(const json_t *key, struct buf *out)
{
    if (json_is_integer(key))
        buf_printf(out, "[%lld]", (long long)json_integer_value(key));
    else if (json_is_string(key)) {
        buf_char(out, '[');
        buf_json_str(out, json_string_value(key));
        buf_char(out, ']');
    }
}

bool tf_state_has(const json_t *state, const char *address)
{
    size_t i, j;
    json_t *resource, *instance;
    json_array_foreach(json_object_get(state, "resources"), i, resource) {
        BUF_AUTO b = BUF_INIT;
        if (*tf_json_str(resource, "module"))
            buf_printf(&b, "%s.", tf_json_str(resource, "module"));
        buf_printf(&b, "%s%s.%s", !strcmp(tf_json_str(resource, "mode"), "data") ? "data." : "", tf_json_str(resource, "type"), tf_json_str(resource, "name"));
        size_t base = b.len;
        json_array_foreach(json_object_get(resource, "instances"), j, instance) {
            b.len = base;
            b.data[base] = 0;
            write_index(json_object_get(instance, "index_key"), &b);
            if (!json_object_get(instance, "deposed") && !strcmp(buf_cstr(&b), address))
                return true;
        }
    }
    return false;
}

bool tf_state_holds(const void *state, size_t n, const char *address)
{
    TF_JSON_AUTO root = state ? tf_json_load(state, n, NULL) : NULL;
    return tf_state_has(root, address);
}

/* ---- collecting ---- */

struct found {
    const void *bytes;
    size_t n;
    int64_t serial;
    const char *lineage;
};

static bool read_one(struct arena *a, const char *path, const char *lineage, struct found *ret)
{
    BUF_AUTO b = BUF_INIT;
    struct found f;
    if (fs_read(path, TF_STATE_MAX, &b, NULL) || !tf_state_read(a, b.data, b.len, &f.serial, &f.lineage))
        return false;
    if (lineage && strcmp(lineage, f.lineage) != 0)
        return false;
    f.bytes = arena_memdup(a, b.data, b.len);
    f.n = b.len;
    memset(b.data, 0, b.len);
    *ret = f;
    return true;
}

/* errored.tfstate is what the engine could not write in its place: newer in content, not always in serial. */
static void raise_serial(struct arena *a, struct found *f, int64_t serial)
{
    TF_JSON_AUTO root = load_state(f->bytes, f->n);
    json_object_set_new(root, "serial", json_integer(serial));
    f->bytes = dump(a, root);
    f->n = strlen(f->bytes);
    f->serial = serial;
}

int tf_state_collect(struct arena *a, const char *folder, const char *workdir, const char *lineage, int64_t floor_serial, const void **ret, size_t *ret_n,
                     int64_t *ret_serial, const char **ret_lineage)
{
    struct found kept, copy, errored, *f = NULL;
    if (read_one(a, arena_printf(a, "%s/w/terraform.tfstate", folder), lineage, &kept))
        f = &kept;
    if (read_one(a, arena_printf(a, "%s/" TF_STATE_COPY, folder), lineage, &copy) && (!f || copy.serial > f->serial))
        f = &copy;
    if (f) {
        lineage = f->lineage;
        if (f->serial > floor_serial)
            floor_serial = f->serial;
    }
    if (read_one(a, arena_printf(a, "%s/m/%s/errored.tfstate", folder, workdir ? workdir : ""), lineage, &errored)) {
        bool same = f && f->n == errored.n && !memcmp(f->bytes, errored.bytes, errored.n);
        if (!same && errored.serial <= floor_serial)
            raise_serial(a, &errored, floor_serial + 1);
        if (!same)
            f = &errored;
    }
    if (!f)
        return 0;
    *ret = f->bytes;
    *ret_n = f->n;
    *ret_serial = f->serial;
    *ret_lineage = f->lineage;
    return 1;
}
