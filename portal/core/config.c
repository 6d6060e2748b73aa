#include "portal/core/config.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "portal/core/fs.h"

struct value {
    const struct config_key *key;
    const char *domain;
    char *text;      /* NULL: unset */
    char source[160];
};

struct config {
    struct value *values;
    size_t n;
};

struct config *config_new(void)
{
    return calloc(1, sizeof(struct config));
}

void config_free(struct config *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->n; i++) {
        if (c->values[i].text)
            explicit_bzero(c->values[i].text, strlen(c->values[i].text));
        free(c->values[i].text);
    }
    free(c->values);
    free(c);
}

static struct value *find(const struct config *c, const char *name)
{
    for (size_t i = 0; i < c->n; i++)
        if (!strcmp(c->values[i].key->name, name))
            return &c->values[i];
    return NULL;
}

void config_add(struct config *c, const char *domain, const struct config_key *table)
{
    for (; table->name; table++) {
        if (find(c, table->name)) { /* the second one would be shown, but never asked for */
            fprintf(stderr, "the configuration key %s is there twice\n", table->name);
            abort();
        }
        c->values = realloc(c->values, (c->n + 1) * sizeof *c->values);
        if (!c->values)
            abort();
        c->values[c->n++] = (struct value){.key = table, .domain = domain, .text = table->fallback ? strdup(table->fallback) : NULL, .source = "default"};
    }
}

static bool is_choice(const char *choices, const char *value)
{
    size_t len = strlen(value);
    for (const char *p = choices; p; p = strchr(p, '|') ? strchr(p, '|') + 1 : NULL)
        if (!strncmp(p, value, len) && (p[len] == 0 || p[len] == '|') && len)
            return true;
    return false;
}

static int check_value(const struct config_key *k, const char *value, const char *source, struct err *e)
{
    char *end;
    errno = 0;
    long long n = strtoll(value, &end, 10);
    switch (k->type) {
    case CONFIG_INT:
        if (errno || *end || end == value)
            return err_set(e, ERR_INVALID, "%s: %s must be a whole number", source, k->name);
        if ((k->min || k->max) && (n < k->min || n > k->max))
            return err_set(e, ERR_INVALID, "%s: %s must be between %" PRId64 " and %" PRId64, source, k->name, k->min, k->max);
        return 0;
    case CONFIG_BOOL:
        if (is_choice("true|false|yes|no|on|off|1|0", value))
            return 0;
        return err_set(e, ERR_INVALID, "%s: %s must be true or false", source, k->name);
    case CONFIG_ENUM:
        if (is_choice(k->choices, value))
            return 0;
        return err_set(e, ERR_INVALID, "%s: %s must be one of %s", source, k->name, k->choices);
    case CONFIG_STRING:
        break;
    }
    return 0;
}

int config_set(struct config *c, const char *name, const char *value, const char *source, struct err *e)
{
    struct value *v = find(c, name);
    if (!v)
        return err_set(e, ERR_INVALID, "%s: there is no setting `%s`; `somad --help` lists them all", source, name);
    int r = check_value(v->key, value, source, e);
    if (r)
        return r;
    char *copy = strdup(value);
    if (!copy)
        return err_set(e, ERR_NOMEM, "no memory");
    free(v->text);
    v->text = copy;
    snprintf(v->source, sizeof v->source, "%s", source);
    return 0;
}

static char *trim(char *s)
{
    while (isspace((unsigned char)*s))
        s++;
    char *end = s + strlen(s);
    while (end > s && isspace((unsigned char)end[-1]))
        *--end = 0;
    return s;
}

int config_load_file(struct config *c, const char *path, struct err *e)
{
    BUF_AUTO text = BUF_INIT;
    int r = fs_read(path, 1 << 20, &text, e);
    if (r)
        return r;
    int number = 0;
    char *rest = text.data;
    for (char *line; (line = strsep(&rest, "\n"));) {
        char where[160];
        snprintf(where, sizeof where, "%s:%d", path, ++number);
        line = trim(line);
        if (!*line || *line == '#')
            continue;
        char *equals = strchr(line, '=');
        if (!equals)
            return err_set(e, ERR_INVALID, "%s: expected `key = value`", where);
        *equals = 0;
        if ((r = config_set(c, trim(line), trim(equals + 1), where, e)))
            return r;
    }
    return 0;
}

int config_load_env(struct config *c, struct err *e)
{
    for (size_t i = 0; i < c->n; i++) {
        char variable[128] = "SOMA_";
        size_t len = strlen(variable);
        for (const char *p = c->values[i].key->name; *p && len < sizeof variable - 1; p++)
            variable[len++] = (char)toupper((unsigned char)*p);
        variable[len] = 0;
        const char *value = getenv(variable);
        int r = value ? config_set(c, c->values[i].key->name, value, variable, e) : 0;
        if (r)
            return r;
    }
    return 0;
}

int config_load_flags(struct config *c, int *argc, char **argv, struct err *e)
{
    int kept = 1;
    for (int i = 1; i < *argc; i++) {
        if (strncmp(argv[i], "--", 2) || !argv[i][2]) {
            argv[kept++] = argv[i];
            continue;
        }
        char name[128];
        const char *equals = strchr(argv[i], '=');
        snprintf(name, sizeof name, "%.*s", equals ? (int)(equals - argv[i] - 2) : 120, argv[i] + 2);
        for (char *p = name; *p; p++)
            if (*p == '-')
                *p = '_';
        const char *value = equals ? equals + 1 : i + 1 < *argc ? argv[++i] : NULL;
        char flag[160];
        snprintf(flag, sizeof flag, "--%.120s", name);
        if (!value)
            return err_set(e, ERR_INVALID, "%s needs a value", argv[i]);
        int r = config_set(c, name, value, flag, e);
        if (r)
            return r;
    }
    *argc = kept;
    argv[kept] = NULL;
    return 0;
}

int config_check(const struct config *c, struct err *e)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->values[i].key->required && (!c->values[i].text || !*c->values[i].text))
            return err_set(e, ERR_INVALID, "the setting `%s` is missing: %s", c->values[i].key->name, c->values[i].key->help);
    return 0;
}

static const struct value *must_find(const struct config *c, const char *key)
{
    const struct value *v = find(c, key);
    if (!v)
        abort(); /* a key that no table describes: a defect of ours */
    return v;
}

const char *config_str(const struct config *c, const char *key)
{
    const struct value *v = must_find(c, key);
    return v->text && *v->text ? v->text : NULL;
}

int64_t config_int(const struct config *c, const char *key)
{
    const char *s = config_str(c, key);
    return s ? strtoll(s, NULL, 10) : 0;
}

bool config_bool(const struct config *c, const char *key)
{
    const char *s = config_str(c, key);
    return s && is_choice("true|yes|on|1", s);
}

static void flag_name(const char *key, char out[128])
{
    snprintf(out, 128, "--%s", key);
    for (char *p = out; *p; p++)
        if (*p == '_')
            *p = '-';
}

void config_help(const struct config *c, struct buf *out)
{
    const char *domain = "";
    for (size_t i = 0; i < c->n; i++) {
        const struct config_key *k = c->values[i].key;
        char flag[128];
        flag_name(k->name, flag);
        if (strcmp(domain, c->values[i].domain))
            buf_printf(out, "\n%s:\n", domain = c->values[i].domain);
        buf_printf(out, "  %-26s %s%s", flag, k->help, k->choices ? " (" : "");
        if (k->choices)
            buf_printf(out, "%s)", k->choices);
        if (k->fallback && *k->fallback)
            buf_printf(out, " [%s]", k->fallback);
        buf_str(out, k->required ? " (required)\n" : "\n");
    }
}

void config_markdown(const struct config *c, struct buf *out)
{
    static const char *const types[] = {"text", "number", "true/false", "choice"};
    buf_str(out, "| key | type | default | range | what it is |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < c->n; i++) {
        const struct config_key *k = c->values[i].key;
        buf_printf(out, "| `%s` | %s%s | %s | ", k->name, types[k->type], k->secret ? ", secret" : "", k->fallback ? k->fallback : "");
        if (k->choices) /* a bar would end the table's cell */
            for (const char *p = k->choices; *p; p++)
                buf_str(out, *p == '|' ? ", " : (char[]){*p, 0});
        else if (k->min || k->max)
            buf_printf(out, "%" PRId64 " to %" PRId64, k->min, k->max);
        buf_printf(out, " | %s%s%s |\n", k->help, k->required ? "; required" : "", k->reloadable ? "; taken over on SIGHUP" : "");
    }
}

void config_show(const struct config *c, struct buf *out)
{
    for (size_t i = 0; i < c->n; i++) {
        const struct value *v = &c->values[i];
        if (v->text)
            buf_printf(out, "%s = %s    # %s\n", v->key->name, v->key->secret ? "(secret)" : v->text, v->source);
    }
}
