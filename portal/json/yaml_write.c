/* JSON values as YAML in block style. Text stands bare only where no reader of YAML 1.1 or 1.2 could take it for anything else. */
#include "portal/json/json.h"
#include "portal/json/yaml.h"
#include <string.h>
#include <strings.h>

static bool reserved_word(const char *s)
{
    static const char *const words[] = {"null", "true", "false", "yes", "no", "on", "off", "y", "n", "~", NULL};
    for (size_t i = 0; words[i]; i++)
        if (strcasecmp(s, words[i]) == 0)
            return true;
    return false;
}

/* Letters first, then letters, digits and a few signs, blanks only inside; never ": " or " #". */
static bool may_stand_bare(const char *s, size_t len)
{
    if (len == 0 || len > 200 || strlen(s) != len || reserved_word(s))
        return false;
    char first = s[0];
    if (!((first >= 'a' && first <= 'z') || (first >= 'A' && first <= 'Z') || first == '_' || first == '/'))
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = s[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("_-./@+()", c);
        bool blank = c == ' ' && i + 1 < len && s[i + 1] != '#';
        bool colon = c == ':' && i + 1 < len && s[i + 1] != ' ';
        if (!plain && !blank && !colon)
            return false;
    }
    return true;
}

/* A quoted scalar: JSON's escapes are YAML's, but DEL and the C1 controls and line separators must be escaped too. */
static void write_quoted(const char *s, size_t len, struct buf *out)
{
    BUF_AUTO json = BUF_INIT;
    buf_json_strn(&json, s, len);
    for (size_t i = 0; i < json.len; i++) {
        unsigned char c = (unsigned char)json.data[i], d = i + 1 < json.len ? (unsigned char)json.data[i + 1] : 0;
        unsigned char f = i + 2 < json.len ? (unsigned char)json.data[i + 2] : 0;
        if (c == 0x7F) {
            buf_str(out, "\\x7F");
        } else if (c == 0xC2 && d >= 0x80 && d <= 0x9F) {
            buf_printf(out, "\\x%02X", d);
            i++;
        } else if (c == 0xE2 && d == 0x80 && (f == 0xA8 || f == 0xA9)) {
            buf_printf(out, "\\u20%02X", f - 0x80);
            i += 2;
        } else if (c == 0xEF && d == 0xBB && f == 0xBF) {
            buf_str(out, "\\uFEFF");
            i += 2;
        } else if (c == 0xEF && d == 0xBF && (f == 0xBE || f == 0xBF)) {
            buf_printf(out, "\\uFF%02X", f + 0x40);
            i += 2;
        } else {
            buf_char(out, (char)c);
        }
    }
}

static void write_text(const char *s, size_t len, struct buf *out)
{
    if (may_stand_bare(s, len))
        buf_add(out, s, len);
    else
        write_quoted(s, len, out);
}

static void indent(struct buf *out, int depth)
{
    for (int i = 0; i < depth; i++)
        buf_str(out, "  ");
}

static bool is_block(const json_t *v)
{
    return (json_is_object(v) && json_object_size(v) > 0) || (json_is_array(v) && json_array_size(v) > 0);
}

static void write_block(const json_t *v, struct buf *out, int depth, bool inlined);

static void write_flat(const json_t *v, struct buf *out)
{
    if (json_is_string(v))
        write_text(json_string_value(v), json_string_length(v), out);
    else
        json_write(v, out);
    buf_char(out, '\n');
}

/* The value behind "key:" or "-". */
static void write_member(const json_t *v, struct buf *out, int depth, bool item)
{
    if (!is_block(v)) {
        buf_char(out, ' ');
        write_flat(v, out);
    } else if (item) {
        buf_char(out, ' '); /* the first member stands on the dash's line */
        write_block(v, out, depth, true);
    } else {
        buf_char(out, '\n');
        write_block(v, out, depth, false);
    }
}

static void write_block(const json_t *v, struct buf *out, int depth, bool inlined)
{
    const char *key;
    json_t *value;
    bool first = inlined;
    if (json_is_array(v)) {
        for (size_t i = 0; i < json_array_size(v); i++, first = false) {
            if (!first)
                indent(out, depth);
            buf_char(out, '-');
            write_member(json_array_get(v, i), out, depth + 1, true);
        }
        return;
    }
    json_object_foreach((json_t *)(uintptr_t)v, key, value) {
        if (!first)
            indent(out, depth);
        first = false;
        size_t key_start = out->len;
        write_text(key, strlen(key), out);
        if (out->len - key_start > 120) { /* longer keys must be announced */
            BUF_AUTO text = BUF_INIT;
            buf_add(&text, out->data + key_start, out->len - key_start);
            out->len = key_start;
            buf_str(out, "? ");
            buf_add(out, text.data, text.len);
            buf_char(out, '\n');
            indent(out, depth);
        }
        buf_char(out, ':');
        write_member(value, out, depth + 1, false);
    }
}

void yaml_write(const json_t *v, struct buf *out)
{
    if (is_block(v))
        write_block(v, out, 0, false);
    else
        write_flat(v, out);
}
