/* Masking: a secret may come back in another coat (escaped in JSON or HCL, in a URL, in base64, one line of a key file), so each is looked for
 * in all of them. */
#include "portal/terraform/terraform_private.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define SECRET_MIN 4
#define LINE_MIN 16
#define WORD_MAX 16
#define MASK "(sensitive)"

struct needle {
    const char *text;
    size_t len;
    bool word; /* a short plain word ("postgres"): found only where it stands alone, else it would ruin "postgresql_role" */
};

struct tf_masker {
    struct needle *needles;
    size_t n, cap;
};

static bool is_word(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!isalpha((unsigned char)text[i]))
            return false;
    return len < WORD_MAX;
}

static void add(struct tf_masker *m, struct arena *a, const char *text, size_t len)
{
    if (len < SECRET_MIN || memmem(MASK, strlen(MASK), text, len)) /* masking the mask would never end */
        return;
    for (size_t i = 0; i < m->n; i++)
        if (m->needles[i].len == len && !memcmp(m->needles[i].text, text, len))
            return;
    if (m->n == m->cap) {
        size_t cap = m->cap ? m->cap * 2 : 16;
        struct needle *more = arena_alloc(a, cap * sizeof *more);
        if (m->n)
            memcpy(more, m->needles, m->n * sizeof *more);
        m->needles = more;
        m->cap = cap;
    }
    m->needles[m->n++] = (struct needle){arena_strndup(a, text, len), len, false};
}

/* As JSON writes it; with `go` also the way Go's encoder does, which escapes <, > and &. */
static void add_json(struct tf_masker *m, struct arena *a, const char *s, bool go)
{
    BUF_AUTO b = BUF_INIT;
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\')
            buf_printf(&b, "\\%c", c);
        else if (c == '\n' || c == '\t' || c == '\r')
            buf_printf(&b, "\\%c", c == '\n' ? 'n' : c == '\t' ? 't' : 'r');
        else if (c < 0x20 || (go && (c == '<' || c == '>' || c == '&')))
            buf_printf(&b, "\\u%04x", c);
        else
            buf_char(&b, (char)c);
    }
    add(m, a, buf_cstr(&b), b.len);
}

static void add_hcl(struct tf_masker *m, struct arena *a, const char *s)
{
    BUF_AUTO b = BUF_INIT;
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            buf_char(&b, '\\');
        if ((*s == '$' || *s == '%') && s[1] == '{')
            buf_char(&b, *s);
        buf_char(&b, *s);
    }
    add(m, a, buf_cstr(&b), b.len);
}

/* `plain`: what stands unescaped beside letters, digits and "-_.~": Go keeps "$&+,;=" in user information and ":@" too in paths. */
static void add_url(struct tf_masker *m, struct arena *a, const char *s, const char *plain, bool plus)
{
    BUF_AUTO b = BUF_INIT;
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c < 0x80 && (isalnum(c) || strchr("-_.~", c) || strchr(plain, c)))
            buf_char(&b, (char)c);
        else if (plus && c == ' ')
            buf_char(&b, '+');
        else
            buf_printf(&b, "%%%02X", c);
    }
    add(m, a, buf_cstr(&b), b.len);
}

static void add_base64(struct tf_masker *m, struct arena *a, const char *s, const char *alphabet)
{
    BUF_AUTO b = BUF_INIT;
    size_t n = strlen(s);
    for (size_t i = 0; i < n; i += 3) {
        unsigned v = (unsigned)(unsigned char)s[i] << 16 | (i + 1 < n ? (unsigned)(unsigned char)s[i + 1] << 8 : 0) | (i + 2 < n ? (unsigned char)s[i + 2] : 0);
        buf_char(&b, alphabet[v >> 18 & 63]);
        buf_char(&b, alphabet[v >> 12 & 63]);
        if (i + 1 < n)
            buf_char(&b, alphabet[v >> 6 & 63]);
        if (i + 2 < n)
            buf_char(&b, alphabet[v & 63]);
    }
    add(m, a, buf_cstr(&b), b.len);
}

static void add_lines(struct tf_masker *m, struct arena *a, const char *s)
{
    if (!strchr(s, '\n'))
        return;
    while (*s) {
        size_t n = strcspn(s, "\r\n");
        if (n >= LINE_MIN)
            add(m, a, s, n);
        s += n;
        s += strspn(s, "\r\n");
    }
}

static int longer_first(const void *x, const void *y)
{
    const struct needle *a = x, *b = y;
    return a->len < b->len ? 1 : a->len > b->len ? -1 : 0;
}

struct tf_masker *tf_masker_new(struct arena *a, const char *const *secrets)
{
    struct tf_masker *m = arena_alloc(a, sizeof *m);
    for (; secrets && *secrets; secrets++) {
        const char *s = *secrets;
        if (strlen(s) < SECRET_MIN)
            continue;
        add(m, a, s, strlen(s));
        if (m->n && !strcmp(m->needles[m->n - 1].text, s))
            m->needles[m->n - 1].word = is_word(s, strlen(s)); /* the forms that follow are no words */
        add_json(m, a, s, false);
        add_json(m, a, s, true);
        add_hcl(m, a, s);
        add_url(m, a, s, "", false);
        add_url(m, a, s, "", true);
        add_url(m, a, s, "$&+,;=", false);
        add_url(m, a, s, "$&+,;=:@", false);
        add_base64(m, a, s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
        add_base64(m, a, s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");
        add_lines(m, a, s);
    }
    if (m->n)
        qsort(m->needles, m->n, sizeof *m->needles, longer_first);
    return m;
}

static bool inside_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

static const char *find(const char *from, const char *text, const struct needle *needle)
{
    const char *hit = strstr(from, needle->text);
    while (hit && needle->word && ((hit > text && inside_word(hit[-1])) || inside_word(hit[needle->len])))
        hit = strstr(hit + 1, needle->text);
    return hit;
}

static const char *replace(struct arena *a, const char *text, const struct needle *needle)
{
    const char *hit = find(text, text, needle), *from = text;
    if (!hit)
        return text;
    BUF_AUTO b = BUF_INIT;
    for (; hit; from = hit + needle->len, hit = find(from, text, needle)) {
        buf_add(&b, from, (size_t)(hit - from));
        buf_str(&b, MASK);
    }
    buf_str(&b, from);
    return arena_strndup(a, buf_cstr(&b), b.len);
}

const char *tf_masker_text(const struct tf_masker *m, struct arena *a, const char *text)
{
    for (size_t i = 0; m && text && i < m->n; i++)
        text = replace(a, text, &m->needles[i]);
    return text;
}

const char *tf_mask(struct arena *a, const char *text, const char *const *secrets)
{
    return tf_masker_text(tf_masker_new(a, secrets), a, text);
}
