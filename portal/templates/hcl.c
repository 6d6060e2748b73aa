/* HCL's native syntax. The complication is templates: text in quotes and heredocs hold `${...}` with any expression inside, which holds text again;
 * so scanning goes down by recursion, bounded, and what HCL's own scanner takes as the end of a piece must be taken as its end here. */
#include "portal/templates/hcl_private.h"
#include "portal/json/json.h"
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool hcl_fail(struct hcl_text *t, int line, const char *fmt, ...)
{
    va_list ap;
    if (t->trouble->reason)
        return false;
    va_start(ap, fmt);
    t->trouble->reason = arena_vprintf(t->a, fmt, ap);
    va_end(ap);
    t->trouble->line = line;
    return false;
}

struct hcl_node *hcl_node_new(struct hcl_text *t, enum hcl_kind kind, const char *name, int line, int column)
{
    if (++*t->n_nodes > HCL_NODES_MAX) {
        hcl_fail(t, line, "there are more than %d blocks and arguments", HCL_NODES_MAX);
        return NULL;
    }
    struct hcl_node *n = arena_alloc(t->a, sizeof *n);
    *n = (struct hcl_node){.kind = kind, .name = name, .line = line, .column = column};
    return n;
}

void hcl_append(struct hcl_node *parent, struct hcl_node **tail, struct hcl_node *n)
{
    n->parent = parent;
    if (*tail)
        (*tail)->next = n;
    else
        parent->first = n;
    *tail = n;
}

static int peek(const struct hcl_text *t, size_t ahead)
{
    return t->i + ahead < t->len ? (unsigned char)t->s[t->i + ahead] : -1;
}

static bool at_text(const struct hcl_text *t, const char *what)
{
    size_t n = strlen(what);
    return t->len - t->i >= n && memcmp(t->s + t->i, what, n) == 0;
}

/* Goes over one byte, counting lines. */
static void step(struct hcl_text *t)
{
    if (t->s[t->i++] == '\n') {
        t->line++;
        t->line_start = t->i;
    }
}

static void step_to(struct hcl_text *t, size_t end)
{
    while (t->i < end)
        step(t);
}

static int column_of(const struct hcl_text *t)
{
    return (int)(t->i - t->line_start) + 1;
}

static bool at_newline(const struct hcl_text *t)
{
    return peek(t, 0) == '\n' || (peek(t, 0) == '\r' && peek(t, 1) == '\n');
}

static void take_newline(struct hcl_text *t)
{
    if (peek(t, 0) == '\r')
        step(t);
    step(t);
}

/* Blanks and comments; a line comment ends before its line feed. */
static bool skip_blanks(struct hcl_text *t)
{
    for (;;) {
        int c = peek(t, 0), d = peek(t, 1);
        if (c == ' ' || c == '\t') {
            step(t);
        } else if (c == '#' || (c == '/' && d == '/')) {
            while (t->i < t->len && peek(t, 0) != '\n')
                step(t);
        } else if (c == '/' && d == '*') {
            const char *end = memmem(t->s + t->i + 2, t->len - t->i - 2, "*/", 2);
            if (!end)
                return hcl_fail(t, t->line, "this comment has no end");
            step_to(t, (size_t)(end - t->s) + 2);
        } else {
            return true;
        }
    }
}

static bool skip_blanks_and_lines(struct hcl_text *t)
{
    for (;;) {
        if (!skip_blanks(t))
            return false;
        if (!at_newline(t))
            return true;
        take_newline(t);
    }
}

static bool starts_name(int c)
{
    return isalpha(c) || c == '_' || c >= 0x80;
}

static bool in_name(int c)
{
    return starts_name(c) || isdigit(c) || c == '-';
}

static const char *take_name(struct hcl_text *t)
{
    size_t start = t->i;
    while (t->i < t->len && in_name(peek(t, 0)))
        step(t);
    return arena_strndup(t->a, t->s + start, t->i - start);
}

/* Expressions: only where each piece ends. */

static bool scan_until(struct hcl_text *t, char close);

/* Behind "${" or "%{": to behind its "}". */
static bool scan_template(struct hcl_text *t)
{
    if (peek(t, 0) == '~')
        step(t);
    return scan_until(t, '~');
}

static int hex_value(const char *s, int n)
{
    int v = 0;
    for (int i = 0; i < n; i++) {
        if (!isxdigit((unsigned char)s[i]))
            return -1;
        v = v * 16 + (isdigit((unsigned char)s[i]) ? s[i] - '0' : tolower((unsigned char)s[i]) - 'a' + 10);
    }
    return v;
}

static void add_utf8(struct buf *b, unsigned c)
{
    if (c < 0x80) {
        buf_char(b, (char)c);
    } else if (c < 0x800) {
        buf_char(b, (char)(0xC0 | c >> 6));
        buf_char(b, (char)(0x80 | (c & 0x3F)));
    } else if (c < 0x10000) {
        buf_char(b, (char)(0xE0 | c >> 12));
        buf_char(b, (char)(0x80 | (c >> 6 & 0x3F)));
        buf_char(b, (char)(0x80 | (c & 0x3F)));
    } else {
        buf_char(b, (char)(0xF0 | c >> 18));
        buf_char(b, (char)(0x80 | (c >> 12 & 0x3F)));
        buf_char(b, (char)(0x80 | (c >> 6 & 0x3F)));
        buf_char(b, (char)(0x80 | (c & 0x3F)));
    }
}

/* At a backslash in quotes. */
static bool take_escape(struct hcl_text *t, struct buf *out)
{
    static const char from[] = "nrt\"\\", to[] = "\n\r\t\"\\";
    int c = peek(t, 1);
    const char *plain = c > 0 ? strchr(from, c) : NULL;
    int digits = c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (plain) {
        buf_char(out, to[plain - from]);
        step_to(t, t->i + 2);
        return true;
    }
    if (!digits || t->len - t->i < (size_t)digits + 2)
        return hcl_fail(t, t->line, "there is a backslash in this text that begins no known escape");
    int high = digits == 8 ? hex_value(t->s + t->i + 2, 4) : 0, low = hex_value(t->s + t->i + digits - 2, 4);
    if (high < 0 || low < 0 || high > 0x10 || high + low == 0 || (high == 0 && low >= 0xD800 && low <= 0xDFFF))
        return hcl_fail(t, t->line, "there is an escape in this text that names no character");
    add_utf8(out, (unsigned)high << 16 | (unsigned)low);
    step_to(t, t->i + 2 + (size_t)digits);
    return true;
}

/* At a '$' or '%' in quotes or a heredoc that begins no template: takes it, and with it the rest of an escaped opening. */
static void take_sign(struct hcl_text *t, struct buf *out)
{
    char c = t->s[t->i];
    bool escaped = peek(t, 1) == c && peek(t, 2) == '{';
    buf_char(out, c);
    if (escaped)
        buf_char(out, '{');
    step_to(t, t->i + (escaped ? 3 : 1));
}

/* At the opening quote, to behind the closing one. *ret_plain: no template in it. */
static bool scan_quoted(struct hcl_text *t, struct buf *out, bool *ret_plain)
{
    int line = t->line;
    *ret_plain = true;
    step(t);
    for (;;) {
        int c = peek(t, 0);
        if (c < 0)
            return hcl_fail(t, line, "this text in quotes has no end");
        if (c == '\n' || c == '\r')
            return hcl_fail(t, line, "text in quotes must end on its line");
        if (c == '"') {
            step(t);
            return true;
        }
        if ((c == '$' || c == '%') && peek(t, 1) == '{') {
            *ret_plain = false;
            step_to(t, t->i + 2);
            if (!scan_template(t))
                return false;
        } else if (c == '$' || c == '%') {
            take_sign(t, out);
        } else if (c == '\\') {
            if (!take_escape(t, out))
                return false;
        } else {
            buf_char(out, (char)c);
            step(t);
        }
    }
}

/* Length of a blank as Unicode defines it at p, or 0: a heredoc's end may be wrapped in those. */
static size_t blank_len(const unsigned char *p, size_t n)
{
    if (n >= 1 && (p[0] == ' ' || (p[0] >= 9 && p[0] <= 13)))
        return 1;
    if (n >= 2 && p[0] == 0xC2 && (p[1] == 0x85 || p[1] == 0xA0))
        return 2;
    if (n < 3)
        return 0;
    bool blank = memcmp(p, "\xE1\x9A\x80", 3) == 0 || memcmp(p, "\xE2\x81\x9F", 3) == 0 || memcmp(p, "\xE3\x80\x80", 3) == 0 ||
                 (p[0] == 0xE2 && p[1] == 0x80 && (p[2] <= 0x8A || p[2] == 0xA8 || p[2] == 0xA9 || p[2] == 0xAF));
    return blank ? 3 : 0;
}

/* Whether the line at t->i is the marker and nothing else; *ret_end is where its line feed stands. */
static bool at_marker(const struct hcl_text *t, const char *marker, size_t n, size_t *ret_end)
{
    const char *feed = memchr(t->s + t->i, '\n', t->len - t->i);
    size_t i = t->i, end = feed ? (size_t)(feed - t->s) : t->len, step_len;
    if (!feed)
        return false; /* without a line feed behind it, it is no end to HCL either */
    while ((step_len = blank_len((const unsigned char *)t->s + i, end - i)) > 0)
        i += step_len;
    if (end - i < n || memcmp(t->s + i, marker, n) != 0)
        return false;
    i += n;
    while ((step_len = blank_len((const unsigned char *)t->s + i, end - i)) > 0)
        i += step_len;
    if (i != end)
        return false;
    *ret_end = end > t->i && t->s[end - 1] == '\r' ? end - 1 : end;
    return true;
}

/* The body of a heredoc, from the start of its first line to before the line feed behind its marker. */
static bool scan_heredoc_body(struct hcl_text *t, const char *marker, size_t n, int line)
{
    BUF_AUTO ignored = BUF_INIT;
    bool line_begins = true;
    size_t end;
    while (t->i < t->len) {
        int c = peek(t, 0);
        if (line_begins && at_marker(t, marker, n, &end)) {
            step_to(t, end);
            return true;
        }
        line_begins = false;
        if (at_newline(t)) {
            take_newline(t);
            line_begins = true;
        } else if (c == '\r') {
            return hcl_fail(t, t->line, "there is a carriage return without a line feed");
        } else if ((c == '$' || c == '%') && peek(t, 1) == '{') {
            step_to(t, t->i + 2);
            if (!scan_template(t))
                return false;
        } else if (c == '$' || c == '%') {
            take_sign(t, &ignored);
        } else {
            step(t);
        }
    }
    return hcl_fail(t, line, "the heredoc that begins here has no end");
}

/* At "<<": a heredoc when a name and the line's end follow. */
static bool scan_heredoc(struct hcl_text *t)
{
    int line = t->line;
    size_t start = t->i + 2;
    if (start < t->len && t->s[start] == '-')
        start++;
    size_t end = start;
    while (end < t->len && in_name((unsigned char)t->s[end]))
        end++;
    bool feed = end < t->len && (t->s[end] == '\n' || (t->s[end] == '\r' && end + 1 < t->len && t->s[end + 1] == '\n'));
    if (end == start || !starts_name((unsigned char)t->s[start]) || !feed)
        return hcl_fail(t, line, "this is neither a comparison nor the begin of a heredoc");
    step_to(t, end);
    take_newline(t);
    return scan_heredoc_body(t, t->s + start, end - start, line);
}

/* One token of an expression that is no closing bracket and no line feed. */
static bool scan_token(struct hcl_text *t)
{
    BUF_AUTO ignored = BUF_INIT;
    bool plain;
    int c = peek(t, 0);
    switch (c) {
    case '"': return scan_quoted(t, &ignored, &plain);
    case '(': step(t); return scan_until(t, ')');
    case '[': step(t); return scan_until(t, ']');
    case '{': step(t); return scan_until(t, '}');
    case '<':
        if (peek(t, 1) == '<')
            return scan_heredoc(t);
        break;
    default: break;
    }
    if (in_name(c) || strchr(".,*/%+-=<>!?:&|", c)) {
        step(t);
        return true;
    }
    return hcl_fail(t, t->line, "this character is no part of HCL");
}

/* To behind the closing bracket; '~' stands for a template's end: "}" or "~}". */
static bool scan_until(struct hcl_text *t, char close)
{
    int line = t->line;
    char want = close == '~' ? '}' : close;
    if (t->depth == HCL_DEPTH_MAX)
        return hcl_fail(t, line, "this is nested deeper than %d levels", HCL_DEPTH_MAX);
    t->depth++;
    for (;;) {
        if (!skip_blanks_and_lines(t))
            return false;
        int c = peek(t, 0);
        if (close == '~' && c == '~' && peek(t, 1) == '}') {
            step(t);
            c = '}';
        }
        if (c < 0)
            return hcl_fail(t, line, "what begins here with a bracket has no end");
        if (c == want) {
            step(t);
            t->depth--;
            return true;
        }
        if (c == ')' || c == ']' || c == '}')
            return hcl_fail(t, t->line, "this bracket closes none that is open");
        if (!scan_token(t))
            return false;
    }
}

static bool read_members(struct hcl_text *t, struct hcl_node *object);

/* An expression, from its first token to behind its last; it ends before a line feed, a '}' or (in an object) a ',' at its own level. */
static bool read_expression(struct hcl_text *t, struct hcl_node *n, bool in_object)
{
    BUF_AUTO text = BUF_INIT;
    bool plain = false, object;
    size_t tokens = 0, start, end;
    if (!skip_blanks(t))
        return false;
    start = end = t->i;
    object = peek(t, 0) == '{';
    struct hcl_text inside = *t;
    for (;; tokens++) {
        int c = peek(t, 0);
        if (c < 0 || at_newline(t) || c == '}' || (in_object && c == ','))
            break;
        if (c == ')' || c == ']')
            return hcl_fail(t, t->line, "this bracket closes none that is open");
        if (tokens == 0 && c == '"' ? !scan_quoted(t, &text, &plain) : !scan_token(t))
            return false;
        end = t->i;
        if (!skip_blanks(t))
            return false;
    }
    if (tokens == 0)
        return hcl_fail(t, t->line, "the value is missing");
    n->text = arena_strndup(t->a, t->s + start, end - start < HCL_TEXT_MAX ? end - start : HCL_TEXT_MAX);
    if (tokens == 1 && plain)
        n->literal = arena_strndup(t->a, buf_cstr(&text), text.len);
    if (tokens == 1 && object) {
        inside.len = end;
        step(&inside);
        return read_members(&inside, n);
    }
    return true;
}

/* The key of an object's member: a name or plain text; NULL for anything else (no member is made of it then). */
static const char *take_key(struct hcl_text *t)
{
    if (starts_name(peek(t, 0)))
        return take_name(t);
    if (peek(t, 0) != '"')
        return NULL;
    BUF_AUTO text = BUF_INIT;
    bool plain;
    if (!scan_quoted(t, &text, &plain) || !plain)
        return NULL;
    return arena_strndup(t->a, buf_cstr(&text), text.len);
}

/* Behind an object's "{". Members of objects whose form is not a plain list of members (`for`, computed keys) are left out: the text has them. */
static bool read_members(struct hcl_text *t, struct hcl_node *object)
{
    struct hcl_node *tail = NULL;
    if (t->depth == HCL_DEPTH_MAX)
        return hcl_fail(t, t->line, "this is nested deeper than %d levels", HCL_DEPTH_MAX);
    t->depth++;
    for (;;) {
        if (!skip_blanks_and_lines(t))
            return false;
        if (peek(t, 0) == '}' || peek(t, 0) < 0)
            return true;
        int line = t->line, column = column_of(t);
        const char *key = take_key(t);
        if (!key || !skip_blanks(t) || (peek(t, 0) != '=' && peek(t, 0) != ':') || peek(t, 1) == '=' || peek(t, 1) == '>') {
            object->first = NULL;
            return !t->trouble->reason;
        }
        step(t);
        struct hcl_node *n = hcl_node_new(t, HCL_ATTRIBUTE, key, line, column);
        if (!n || !skip_blanks_and_lines(t) || !read_expression(t, n, true))
            return false;
        hcl_append(object, &tail, n);
        if (peek(t, 0) == ',')
            step(t);
    }
}

/* Bodies. */

static bool read_body(struct hcl_text *t, struct hcl_node *body, bool nested);

static bool add_label(struct hcl_text *t, struct hcl_node *n)
{
    const char *label;
    if (peek(t, 0) == '"') {
        BUF_AUTO text = BUF_INIT;
        bool plain;
        if (!scan_quoted(t, &text, &plain))
            return false;
        if (!plain)
            return hcl_fail(t, t->line, "a block's name cannot be a template");
        label = arena_strndup(t->a, buf_cstr(&text), text.len);
    } else {
        label = take_name(t);
    }
    const char **labels = arena_alloc(t->a, (n->n_labels + 1) * sizeof *labels);
    if (n->n_labels)
        memcpy(labels, n->labels, n->n_labels * sizeof *labels);
    labels[n->n_labels++] = label;
    n->labels = labels;
    return n->n_labels <= 10 || hcl_fail(t, t->line, "a block has too many names");
}

static bool read_block(struct hcl_text *t, struct hcl_node *n)
{
    n->kind = HCL_BLOCK;
    while (peek(t, 0) == '"' || starts_name(peek(t, 0)))
        if (!add_label(t, n) || !skip_blanks(t))
            return false;
    if (peek(t, 0) != '{')
        return hcl_fail(t, t->line, "a block must open with \"{\" on the line of its name");
    if (t->depth == HCL_DEPTH_MAX)
        return hcl_fail(t, t->line, "this is nested deeper than %d levels", HCL_DEPTH_MAX);
    step(t);
    t->depth++;
    if (!read_body(t, n, true))
        return false;
    t->depth--;
    return true;
}

static bool read_item(struct hcl_text *t, struct hcl_node *n)
{
    if (!skip_blanks(t))
        return false;
    int c = peek(t, 0);
    if (c == '=' && peek(t, 1) != '=') {
        step(t);
        return read_expression(t, n, false);
    }
    if (c == '"' || c == '{' || starts_name(c))
        return read_block(t, n);
    return hcl_fail(t, n->line, "a name must be followed by \"=\" and a value, or by a block");
}

/* Items up to the closing "}" (nested) or the end of the file. */
static bool read_body(struct hcl_text *t, struct hcl_node *body, bool nested)
{
    struct hcl_node *tail = NULL;
    for (;;) {
        if (!skip_blanks_and_lines(t))
            return false;
        int c = peek(t, 0);
        if (c < 0)
            return !nested || hcl_fail(t, body->line, "the block that begins here has no end");
        if (nested && c == '}') {
            step(t);
            return true;
        }
        if (!starts_name(c))
            return hcl_fail(t, t->line, "a block or an argument must begin here");
        int line = t->line, column = column_of(t);
        struct hcl_node *n = hcl_node_new(t, HCL_ATTRIBUTE, take_name(t), line, column);
        if (!n || !read_item(t, n))
            return false;
        hcl_append(body, &tail, n);
        if (!skip_blanks(t))
            return false;
        if (t->i < t->len && !at_newline(t) && !(nested && peek(t, 0) == '}'))
            return hcl_fail(t, t->line, "a new block or argument must begin on a new line");
    }
}

/* UTF-8 throughout, no U+0000. */
static bool check_text(struct hcl_text *t)
{
    int line = 1;
    for (size_t start = 0, i = 0; i <= t->len; i++) {
        if (i < t->len && t->s[i] != '\n')
            continue;
        json_t *probe = json_stringn(t->s + start, i - start);
        if (!probe || memchr(t->s + start, 0, i - start)) {
            json_decref(probe);
            return hcl_fail(t, line, "this line is not UTF-8 text");
        }
        json_decref(probe);
        start = i + 1;
        line++;
    }
    return true;
}

struct hcl_node *hcl_read_native(struct hcl_text *t)
{
    struct hcl_node *body = hcl_node_new(t, HCL_BLOCK, "", 1, 1);
    if (!body || !check_text(t))
        return NULL;
    if (at_text(t, "\xEF\xBB\xBF"))
        t->line_start = t->i = 3;
    return read_body(t, body, false) ? body : NULL;
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

struct hcl_node *hcl_read_file(const char *name, const char *text, size_t len, struct arena *a, struct hcl_trouble *trouble)
{
    size_t n_nodes = 0;
    struct hcl_text t = {.a = a, .s = text ? text : "", .len = len, .line = 1, .n_nodes = &n_nodes, .trouble = trouble};
    *trouble = (struct hcl_trouble){0};
    if (len > HCL_FILE_MAX) {
        hcl_fail(&t, 0, "the file has %zu bytes; at most %d are read", len, HCL_FILE_MAX);
        return NULL;
    }
    return ends_with(name, ".json") ? hcl_read_json(&t) : hcl_read_native(&t);
}

int hcl_read(const char *file, const char *text, size_t len, struct arena *a, struct hcl_node **ret, struct err *e)
{
    struct hcl_trouble trouble;
    struct hcl_node *body = hcl_read_file(file, text, len, a, &trouble);
    if (body) {
        *ret = body;
        return 0;
    }
    if (trouble.line == 0)
        return err_set(e, ERR_TOO_LARGE, "%s: %s", file, trouble.reason);
    return err_set(e, ERR_INVALID, "%s:%d: %s", file, trouble.line, trouble.reason);
}
