#include "portal/cli/output.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "portal/cli/text.h"
#include "portal/json/json.h"
#include "portal/json/yaml.h"

#define COLUMNS_MAX 24

bool output_wants_live(void)
{
    const char *term = getenv("TERM");
    return term && *term && strcmp(term, "dumb") != 0;
}

bool output_wants_colour(int fd)
{
    const char *no = getenv("NO_COLOR");
    return isatty(fd) && !(no && *no) && output_wants_live();
}

void output_init(struct output *o, FILE *to)
{
    struct winsize size = {0};
    *o = (struct output){.to = to, .colour = output_wants_colour(fileno(to)), .notes_colour = output_wants_colour(STDERR_FILENO)};
    if (isatty(fileno(to)) && ioctl(fileno(to), TIOCGWINSZ, &size) == 0)
        o->width = size.ws_col;
}

int output_format_parse(const char *s)
{
    static const char *const names[] = {[OUTPUT_TABLE] = "table", [OUTPUT_JSON] = "json", [OUTPUT_YAML] = "yaml"};
    for (int i = 0; i < 3; i++)
        if (!strcmp(s, names[i]))
            return i;
    return -1;
}

static const json_t *at_one(const json_t *item, const char *path, size_t n)
{
    for (const char *end = path + n; item && path < end;) {
        size_t len = strcspn(path, ".|");
        item = json_object_getn(item, path, len);
        path += len + 1;
    }
    return json_is_null(item) ? NULL : item;
}

const json_t *output_at(const json_t *item, const char *path)
{
    for (;;) {
        size_t n = strcspn(path, "|");
        const json_t *value = at_one(item, path, n);
        if (value || !path[n])
            return value;
        path += n + 1;
    }
}

static void cell_list(struct buf *out, const json_t *list)
{
    size_t i;
    json_t *value;
    json_array_foreach(list, i, value) {
        if (i)
            buf_str(out, ", ");
        const json_t *name = json_is_object(value) ? json_object_get(value, "name") : NULL;
        output_cell(out, name ? name : value, COLUMN_TEXT);
    }
}

static void cell_roles(struct buf *out, const json_t *roles)
{
    size_t i;
    json_t *held;
    json_array_foreach((json_t *)(uintptr_t)roles, i, held) {
        const json_t *team = output_at(held, "team");
        buf_str(out, i ? ", " : "");
        output_cell(out, json_object_get(held, "role"), COLUMN_TEXT);
        buf_str(out, team ? " in " : " everywhere");
        output_cell(out, team, COLUMN_TEXT);
    }
}

static void cell_json(struct buf *out, const json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    if (text)
        text_clean(out, text, false);
    free(text);
}

void output_cell(struct buf *out, const json_t *value, enum column_kind kind)
{
    if (!value || json_is_null(value) || (json_is_array(value) && json_array_size(value) == 0))
        return;
    if (kind == COLUMN_JSON)
        cell_json(out, value);
    else if (kind == COLUMN_ROLES)
        cell_roles(out, value);
    else if (kind == COLUMN_SECONDS && json_is_number(value))
        text_duration(out, json_number_value(value));
    else if (kind == COLUMN_TIME && json_is_string(value))
        text_time(out, json_string_value(value));
    else if (json_is_array(value))
        cell_list(out, value);
    else if (json_is_string(value))
        text_clean(out, json_string_value(value), false);
    else if (json_is_boolean(value))
        buf_str(out, json_is_true(value) ? "yes" : "no");
    else
        cell_json(out, value);
}

enum style output_style_of(const char *state)
{
    static const struct { const char *word; enum style style; } styles[] = {
        {"ready", STYLE_GOOD}, {"ok", STYLE_GOOD}, {"active", STYLE_GOOD}, {"allow", STYLE_GOOD}, {"approved", STYLE_GOOD}, {"done", STYLE_GOOD}, {"passed", STYLE_GOOD}, {"up", STYLE_GOOD}, {"pass", STYLE_GOOD},
        {"failed", STYLE_BAD}, {"error", STYLE_BAD}, {"dead", STYLE_BAD}, {"deny", STYLE_BAD}, {"refused", STYLE_BAD}, {"rejected", STYLE_BAD}, {"broken", STYLE_BAD}, {"away", STYLE_BAD}, {"problem", STYLE_BAD}, {"down", STYLE_BAD},
        {"canceled", STYLE_DIM}, {"destroyed", STYLE_DIM}, {"disabled", STYLE_DIM}, {"revoked", STYLE_DIM}, {"expired", STYLE_DIM}, {"withdrawn", STYLE_DIM}, {"pending", STYLE_DIM},
    };
    for (size_t i = 0; i < sizeof styles / sizeof *styles; i++)
        if (!strcmp(styles[i].word, state))
            return styles[i].style;
    return *state ? STYLE_BUSY : STYLE_PLAIN;
}

void output_styled(struct buf *out, enum style style, bool colour, const char *text)
{
    static const char *const codes[] = {[STYLE_PLAIN] = "", [STYLE_GOOD] = "32", [STYLE_BAD] = "31", [STYLE_BUSY] = "33", [STYLE_DIM] = "2", [STYLE_BOLD] = "1"};
    if (!colour || style == STYLE_PLAIN) {
        buf_str(out, text);
        return;
    }
    buf_printf(out, "\033[%sm%s\033[0m", codes[style], text);
}

struct grid {
    struct buf *cells; /* rows * columns, row by row; the head is not in it */
    size_t rows, columns;
    size_t width[COLUMNS_MAX];
};

static void grid_fill(struct grid *g, const struct column *columns, const json_t *items)
{
    while (columns[g->columns].title && g->columns < COLUMNS_MAX) {
        g->width[g->columns] = text_width(columns[g->columns].title);
        g->columns++;
    }
    g->rows = json_array_size(items);
    g->cells = calloc(g->rows * g->columns + 1, sizeof *g->cells);
    for (size_t r = 0; g->cells && r < g->rows; r++) {
        for (size_t i = 0; i < g->columns; i++) {
            struct buf *cell = &g->cells[r * g->columns + i];
            output_cell(cell, output_at(json_array_get(items, r), columns[i].path), columns[i].kind);
            if (!cell->len)
                buf_str(cell, "-");
            size_t w = text_width(buf_cstr(cell));
            g->width[i] = w > g->width[i] ? w : g->width[i];
        }
    }
}

static void grid_done(struct grid *g)
{
    for (size_t i = 0; g->cells && i < g->rows * g->columns; i++)
        buf_done(&g->cells[i]);
    free(g->cells);
}

/* Takes columns of text from the widest until the line fits; none gets narrower than 10. */
static void grid_shrink(struct grid *g, unsigned width)
{
    for (;;) {
        size_t total = 2 * (g->columns - 1), widest = 0;
        for (size_t i = 0; i < g->columns; i++) {
            total += g->width[i];
            widest = g->width[i] > g->width[widest] ? i : widest;
        }
        if (total <= width || g->width[widest] <= 10)
            return;
        size_t over = total - width, spare = g->width[widest] - 10;
        size_t second = 10; /* no further than the next widest in one go, so that columns shrink alike */
        for (size_t i = 0; i < g->columns; i++)
            if (i != widest && g->width[i] > second)
                second = g->width[i];
        size_t step = g->width[widest] > second ? g->width[widest] - second : 1;
        step = step < over ? step : over;
        g->width[widest] -= step < spare ? step : spare;
    }
}

static void put_cell(struct buf *out, const char *text, size_t width, bool right, bool last, enum style style, bool colour)
{
    BUF_AUTO fitted = BUF_INIT;
    text_fit(&fitted, text, width);
    size_t pad = width - text_width(buf_cstr(&fitted));
    for (size_t i = 0; right && i < pad; i++)
        buf_char(out, ' ');
    output_styled(out, style, colour, buf_cstr(&fitted));
    for (size_t i = 0; !right && !last && i < pad; i++)
        buf_char(out, ' ');
    buf_str(out, last ? "\n" : "  ");
}

void output_table(struct buf *out, const struct column *columns, const json_t *items, unsigned width, bool colour)
{
    struct grid g = {0};
    grid_fill(&g, columns, items);
    if (width && g.columns)
        grid_shrink(&g, width);
    for (size_t i = 0; i < g.columns; i++)
        put_cell(out, columns[i].title, g.width[i], columns[i].kind == COLUMN_NUMBER, i + 1 == g.columns, STYLE_BOLD, colour);
    for (size_t r = 0; g.cells && r < g.rows; r++) {
        for (size_t i = 0; i < g.columns; i++) {
            const char *text = buf_cstr(&g.cells[r * g.columns + i]);
            enum style style = columns[i].kind == COLUMN_STATE ? output_style_of(text) : STYLE_PLAIN;
            put_cell(out, text, g.width[i], columns[i].kind == COLUMN_NUMBER, i + 1 == g.columns, style, colour);
        }
    }
    grid_done(&g);
}

void output_record(struct buf *out, const struct column *fields, const json_t *item, bool colour)
{
    size_t width = 0;
    for (const struct column *f = fields; f->title; f++)
        width = text_width(f->title) > width ? text_width(f->title) : width;
    for (const struct column *f = fields; f->title; f++) {
        BUF_AUTO cell = BUF_INIT;
        output_cell(&cell, output_at(item, f->path), f->kind);
        if (!cell.len)
            continue;
        put_cell(out, f->title, width, false, false, STYLE_DIM, colour);
        output_styled(out, f->kind == COLUMN_STATE ? output_style_of(buf_cstr(&cell)) : STYLE_PLAIN, colour, buf_cstr(&cell));
        buf_char(out, '\n');
    }
}

void output_raw(struct output *o, const json_t *doc)
{
    BUF_AUTO out = BUF_INIT;
    if (o->format == OUTPUT_YAML)
        yaml_write(doc, &out);
    else
        json_write_pretty(doc, &out);
    fwrite(buf_cstr(&out), 1, out.len, o->to);
    if (out.data)
        explicit_bzero(out.data, out.len); /* it may hold a revealed secret or a new token */
}

void output_list(struct output *o, const struct column *columns, const json_t *doc, const char *none)
{
    const json_t *items = json_object_get(doc, "items");
    if (o->format != OUTPUT_TABLE) {
        output_raw(o, doc);
        return;
    }
    if (!json_array_size(items)) {
        output_note("%s", none);
        return;
    }
    BUF_AUTO out = BUF_INIT;
    output_table(&out, columns, items, o->width, o->colour);
    fwrite(buf_cstr(&out), 1, out.len, o->to);
}

void output_document(struct output *o, const struct column *fields, const json_t *doc)
{
    if (o->format != OUTPUT_TABLE) {
        output_raw(o, doc);
        return;
    }
    BUF_AUTO out = BUF_INIT;
    output_record(&out, fields, doc, o->colour);
    fwrite(buf_cstr(&out), 1, out.len, o->to);
}

void output_note(const char *fmt, ...)
{
    BUF_AUTO text = BUF_INIT;
    BUF_AUTO clean = BUF_INIT;
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(&text, fmt, ap);
    va_end(ap);
    text_clean(&clean, buf_cstr(&text), true);
    buf_char(&clean, '\n');
    fflush(stdout); /* in the order in which they were said, also where both go to one place */
    fwrite(buf_cstr(&clean), 1, clean.len, stderr);
}

/* "/parameters/size" is size to the person who wrote --set size=...; "/team" is team; escapes of JSON pointer are undone. */
static void add_pointer(struct buf *out, const char *pointer)
{
    if (!strncmp(pointer, "/parameters/", 12))
        pointer += 12;
    else if (*pointer == '/' || *pointer == '?')
        pointer++;
    for (const char *p = pointer; *p; p++) {
        if (*p == '~' && (p[1] == '0' || p[1] == '1'))
            buf_char(out, *++p == '0' ? '~' : '/');
        else
            buf_char(out, *p == '/' ? '.' : *p);
    }
}

static void add_field(struct buf *out, const struct err_field *f)
{
    BUF_AUTO text = BUF_INIT;
    add_pointer(&text, f->pointer);
    buf_printf(&text, "%s%s", text.len ? ": " : "", f->detail);
    text_clean(out, buf_cstr(&text), false);
    buf_char(out, '\n');
}

/* Whether the message is only its first field again, as err_field() makes it. */
static bool repeats_field(const struct err *e)
{
    const char *name = e->fields[0].pointer + (e->fields[0].pointer[0] == '/');
    size_t n = strlen(name);
    return e->n_fields && !strncmp(e->msg, name, n) && !strncmp(e->msg + n, ": ", 2);
}

void output_error(struct buf *out, const struct err *e, bool colour)
{
    bool fields_alone = repeats_field(e);
    output_styled(out, STYLE_BAD, colour, "soma: ");
    if (!fields_alone) {
        text_clean(out, e->msg, true);
        buf_char(out, '\n');
    } else if (e->n_fields > 1) {
        buf_printf(out, "%u fields are wrong:\n", e->n_fields);
    }
    for (unsigned i = 0; i < e->n_fields; i++) {
        if (!fields_alone || e->n_fields > 1)
            buf_str(out, "  ");
        add_field(out, &e->fields[i]);
    }
}
