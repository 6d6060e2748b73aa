#include "portal/cli/args.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "portal/json/json.h"

static const struct flag *find_long(const struct flag *table, const char *name, size_t n)
{
    for (const struct flag *f = table; f && f->name; f++)
        if (strlen(f->name) == n && !memcmp(f->name, name, n))
            return f;
    return NULL;
}

static const struct flag *find_letter(const struct flag *table, char letter)
{
    for (const struct flag *f = table; f && f->name; f++)
        if (f->letter == letter)
            return f;
    return NULL;
}

static int unknown_flag(const struct flag *own, const struct flag *global, const char *word, struct err *e)
{
    const char *names[128] = {0};
    size_t n = 0;
    for (const struct flag *f = own; f && f->name && n < 127; f++)
        names[n++] = f->name;
    for (const struct flag *f = global; f && f->name && n < 127; f++)
        names[n++] = f->name;
    size_t len = strcspn(word, "=");
    char name[48] = "";
    if (!strncmp(word, "--", 2) && len - 2 < sizeof name)
        memcpy(name, word + 2, len - 2);
    const char *near = *name ? json_near_word(name, names) : NULL;
    if (near)
        return err_set(e, ERR_INVALID, "there is no flag %.*s here; did you mean --%s?", (int)len, word, near);
    return err_set(e, ERR_INVALID, "there is no flag %.*s here", (int)len, word);
}

static bool is_choice(const char *choices, const char *value)
{
    size_t len = strlen(value);
    for (const char *p = choices; *p;) {
        size_t n = strcspn(p, "|");
        if (n == len && !memcmp(p, value, n))
            return true;
        p += n + (p[n] == '|');
    }
    return false;
}

static int check_value(const struct flag *f, const char *value, struct err *e)
{
    if (f->kind == FLAG_INT) {
        char *end;
        errno = 0;
        strtoll(value, &end, 10);
        if (errno || end == value || *end)
            return err_set(e, ERR_INVALID, "--%s takes a whole number, not \"%s\"", f->name, value);
    }
    if (f->value && strchr(f->value, '|') && !is_choice(f->value, value))
        return err_set(e, ERR_INVALID, "--%s is one of %s, not \"%s\"", f->name, f->value, value);
    return 0;
}

static int add_value(const struct flag *f, const char *value, struct args *ret, struct err *e)
{
    if (ret->n_values == ARGS_VALUES_MAX)
        return err_set(e, ERR_INVALID, "more than %d flags were given", ARGS_VALUES_MAX);
    if (f->kind != FLAG_BOOL && check_value(f, value, e))
        return ERR_INVALID;
    ret->values[ret->n_values].flag = f;
    ret->values[ret->n_values++].value = value;
    return 0;
}

/* One flag at argv[*i]; moves *i over a value that stands in a word of its own. */
static int parse_flag(const struct flag *own, const struct flag *global, int argc, char **argv, int *i, struct args *ret, struct err *e)
{
    const char *word = argv[*i];
    bool is_long = word[1] == '-';
    const char *equals = is_long ? strchr(word, '=') : NULL;
    size_t len = equals ? (size_t)(equals - word) : strlen(word);
    const struct flag *f = is_long ? find_long(own, word + 2, len - 2) : find_letter(own, word[1]);
    if (!f)
        f = is_long ? find_long(global, word + 2, len - 2) : find_letter(global, word[1]);
    if (!f)
        return unknown_flag(own, global, word, e);
    if (f->kind == FLAG_BOOL) {
        if (equals || (!is_long && word[2]))
            return err_set(e, ERR_INVALID, "--%s takes no value", f->name);
        return add_value(f, "true", ret, e);
    }
    if (equals)
        return add_value(f, equals + 1, ret, e);
    if (!is_long && word[2])
        return add_value(f, word + 2 + (word[2] == '='), ret, e);
    if (*i + 1 >= argc)
        return err_set(e, ERR_INVALID, "--%s needs a value: --%s %s", f->name, f->name, f->value ? f->value : "VALUE");
    return add_value(f, argv[++*i], ret, e);
}

int args_parse(const struct flag *own, const struct flag *global, int argc, char **argv, bool leading, struct args *ret, int *ret_used, struct err *e)
{
    int i = 0;
    for (; i < argc; i++) {
        const char *word = argv[i];
        if (!strcmp(word, "--")) {
            if (leading)
                break;
            ret->rest = argv + i + 1;
            ret->n_rest = (size_t)(argc - i - 1);
            i = argc;
            break;
        }
        if (word[0] == '-' && word[1]) {
            int code = parse_flag(own, global, argc, argv, &i, ret, e);
            if (code)
                return code;
            continue;
        }
        if (leading)
            break;
        if (ret->n_words == ARGS_MAX)
            return err_set(e, ERR_INVALID, "more than %d words were given", ARGS_MAX);
        ret->words[ret->n_words++] = word;
    }
    if (ret_used)
        *ret_used = i;
    return 0;
}

int args_check(const struct flag *own, const struct args *a, struct err *e)
{
    BUF_AUTO missing = BUF_INIT;
    for (const struct flag *f = own; f && f->name; f++)
        if (f->required && !args_has(a, f->name))
            buf_printf(&missing, "%s--%s %s", missing.len ? ", " : "", f->name, f->value ? f->value : "");
    if (!missing.len)
        return 0;
    return err_set(e, ERR_INVALID, "missing: %s", buf_cstr(&missing));
}

int args_wrong(struct err *e, const char *fmt, ...)
{
    char words[sizeof e->msg];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(words, sizeof words, fmt, ap);
    va_end(ap);
    err_set(e, ERR_INVALID, "%s", words);
    return err_type(e, "usage");
}

bool args_is_wrong(const struct err *e)
{
    return e->code == ERR_INVALID && !strcmp(e->type, "usage");
}

bool args_has(const struct args *a, const char *name)
{
    return args_text(a, name) != NULL;
}

const char *args_text(const struct args *a, const char *name)
{
    for (size_t i = a->n_values; i-- > 0;)
        if (!strcmp(a->values[i].flag->name, name))
            return a->values[i].value;
    return NULL;
}

int64_t args_int(const struct args *a, const char *name, int64_t fallback)
{
    const char *text = args_text(a, name);
    return text ? strtoll(text, NULL, 10) : fallback;
}

size_t args_count(const struct args *a, const char *name)
{
    size_t n = 0;
    for (size_t i = 0; i < a->n_values; i++)
        n += !strcmp(a->values[i].flag->name, name);
    return n;
}

const char *args_nth(const struct args *a, const char *name, size_t n)
{
    for (size_t i = 0; i < a->n_values; i++)
        if (!strcmp(a->values[i].flag->name, name) && n-- == 0)
            return a->values[i].value;
    return NULL;
}

const char *args_word(const struct args *a, size_t n)
{
    return n < a->n_words ? a->words[n] : NULL;
}
