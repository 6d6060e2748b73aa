#include "portal/cli/progress.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "portal/cli/output.h"
#include "portal/core/clock.h"

#define REDRAW_MS 150
#define RESOURCE_LINES 8
#define STEP_INDENT "  "
#define RESOURCE_INDENT "      "

static const char *text_of(const json_t *data, const char *key)
{
    const char *text = json_string_value(json_object_get(data, key));
    return text ? text : "";
}

/* Asked for at each drawing: windows change. */
static void measure(struct progress *p)
{
    struct winsize size = {0};
    if (p->live && ioctl(fileno(p->to), TIOCGWINSZ, &size) == 0 && size.ws_col) {
        p->width = size.ws_col;
        p->height = size.ws_row;
    }
}

void progress_init(struct progress *p, FILE *to, bool live, bool colour, const char *title)
{
    *p = (struct progress){.to = to, .live = live, .colour = colour, .width = 100, .height = 24};
    snprintf(p->title, sizeof p->title, "%s", title);
}

void progress_done(struct progress *p)
{
    for (size_t i = 0; i < p->n_resources; i++)
        free(p->resources[i].address);
    free(p->resources);
    p->resources = NULL;
    p->n_resources = 0;
}

/* ---- Words of single events ---- */

/* "create" in the form that `tense` asks for: 'i' infinitive sign, 'g' going on, 'd' done. */
static const char *action_word(const char *action, char tense)
{
    static const struct { const char *action, *sign, *going, *done; } words[] = {
        {"create", "+", "creating", "created"},     {"update", "~", "changing", "changed"},     {"delete", "-", "destroying", "destroyed"},
        {"replace", "±", "replacing", "replaced"},  {"read", "?", "reading", "read"},           {"import", "<", "importing", "imported"},
        {"remove", "-", "destroying", "destroyed"}, {"forget", ".", "forgetting", "forgotten"}, {"move", ">", "moving", "moved"},
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strcmp(words[i].action, action))
            return tense == 'i' ? words[i].sign : tense == 'g' ? words[i].going : words[i].done;
    return tense == 'i' ? "*" : tense == 'g' ? "working" : "done";
}

static void add_clean(struct buf *out, const char *text)
{
    text_clean(out, text, false);
}

static bool line_state(struct buf *out, const json_t *data, bool colour)
{
    const char *state = text_of(data, "state"), *reason = text_of(data, "reason");
    BUF_AUTO clean = BUF_INIT;
    add_clean(&clean, state);
    output_styled(out, output_style_of(buf_cstr(&clean)), colour, buf_cstr(&clean));
    if (*reason) {
        buf_str(out, ": ");
        add_clean(out, reason);
    }
    return *state;
}

static bool line_gate(struct buf *out, const json_t *data, bool colour)
{
    const char *gate = text_of(data, "gate"), *message = text_of(data, "message"), *point = text_of(data, "point");
    const char *outcome = *text_of(data, "outcome") ? text_of(data, "outcome") : text_of(data, "decision");
    BUF_AUTO clean = BUF_INIT;
    add_clean(&clean, outcome);
    buf_str(out, "  gate ");
    add_clean(out, gate);
    if (*point) {
        buf_str(out, " on the ");
        add_clean(out, point);
    }
    buf_str(out, ": ");
    output_styled(out, output_style_of(buf_cstr(&clean)), colour, buf_cstr(&clean));
    if (*message) {
        buf_str(out, ", ");
        add_clean(out, message);
    }
    return *gate;
}

static void add_place(struct buf *out, const json_t *data)
{
    if (*text_of(data, "file")) {
        buf_str(out, " (");
        add_clean(out, text_of(data, "file"));
        if (json_integer_value(json_object_get(data, "line")) > 0)
            buf_printf(out, ", line %lld", (long long)json_integer_value(json_object_get(data, "line")));
        buf_char(out, ')');
    }
}

static bool line_diagnostic(struct buf *out, const json_t *data, bool colour)
{
    const char *severity = text_of(data, "severity"), *detail = text_of(data, "detail");
    const char *summary = *text_of(data, "summary") ? text_of(data, "summary") : text_of(data, "message");
    buf_str(out, "  ");
    output_styled(out, !strcmp(severity, "error") ? STYLE_BAD : STYLE_BUSY, colour, !strcmp(severity, "error") ? "error: " : "warning: ");
    add_clean(out, summary);
    add_place(out, data);
    if (*text_of(data, "address")) {
        buf_str(out, " at ");
        add_clean(out, text_of(data, "address"));
    }
    if (*detail) {
        buf_str(out, "\n           ");
        add_clean(out, detail);
    }
    return *summary;
}

static bool line_warning(struct buf *out, const json_t *data, bool colour)
{
    const char *text = *text_of(data, "message") ? text_of(data, "message") : *text_of(data, "detail") ? text_of(data, "detail") : text_of(data, "reason");
    buf_str(out, "  ");
    output_styled(out, STYLE_BUSY, colour, "warning: ");
    add_clean(out, text);
    return *text;
}

static bool line_planned(struct buf *out, const json_t *data, bool colour)
{
    (void)colour;
    const char *action = text_of(data, "action");
    if (!*text_of(data, "address") || !strcmp(action, "noop") || !strcmp(action, "no-op"))
        return false;
    buf_printf(out, "  %s ", action_word(action, 'i'));
    add_clean(out, text_of(data, "address"));
    return true;
}

static bool line_summary(struct buf *out, const json_t *data, bool colour)
{
    (void)colour;
    const json_t *destroy = output_at(data, "destroy|remove");
    if (!json_object_get(data, "add")) {
        buf_str(out, "  ");
        add_clean(out, text_of(data, "message"));
        return *text_of(data, "message");
    }
    bool plan = !strcmp(text_of(data, "operation"), "plan") || !*text_of(data, "operation");
    buf_printf(out, plan ? "  plan: %lld to add, %lld to change, %lld to destroy" : "  %lld added, %lld changed, %lld destroyed",
               (long long)json_integer_value(json_object_get(data, "add")), (long long)json_integer_value(json_object_get(data, "change")),
               (long long)json_integer_value(destroy));
    return true;
}

static bool line_apply(struct buf *out, const json_t *data, char tense)
{
    if (!*text_of(data, "address"))
        return false;
    const json_t *elapsed = json_object_get(data, "elapsed_seconds");
    buf_str(out, "  ");
    add_clean(out, text_of(data, "address"));
    buf_printf(out, ": %s", action_word(text_of(data, "action"), tense));
    if (json_is_number(elapsed) && json_number_value(elapsed) >= 1) {
        buf_str(out, tense == 'd' ? " after " : " since ");
        text_duration(out, json_number_value(elapsed));
    }
    return true;
}

static bool line_start(struct buf *out, const json_t *data, bool colour)
{
    (void)colour;
    return line_apply(out, data, 'g');
}

static bool line_complete(struct buf *out, const json_t *data, bool colour)
{
    (void)colour;
    return line_apply(out, data, 'd');
}

static bool line_errored(struct buf *out, const json_t *data, bool colour)
{
    if (!*text_of(data, "address"))
        return false;
    buf_str(out, "  ");
    add_clean(out, text_of(data, "address"));
    buf_printf(out, ": %s ", action_word(text_of(data, "action"), 'g'));
    output_styled(out, STYLE_BAD, colour, "failed");
    return true;
}

static bool line_outputs(struct buf *out, const json_t *data, bool colour)
{
    (void)colour;
    const char *name;
    json_t *output;
    size_t n = 0;
    buf_str(out, "  outputs: ");
    json_object_foreach(json_object_get(data, "outputs"), name, output) {
        buf_str(out, n++ ? ", " : "");
        add_clean(out, name);
    }
    return n;
}

static bool line_sessions(struct buf *out, const json_t *data, bool colour)
{
    (void)colour;
    long long n = (long long)json_integer_value(json_object_get(data, "sessions"));
    buf_printf(out, "  %lld %s of ", n, n == 1 ? "session" : "sessions");
    add_clean(out, text_of(data, "database"));
    buf_str(out, " ended");
    return *text_of(data, "database");
}

static bool line_repository(struct buf *out, const json_t *data, bool colour)
{
    (void)colour;
    buf_str(out, "  repository ");
    add_clean(out, text_of(data, "repository"));
    buf_str(out, *text_of(data, "commit") ? " filled and pushed" : " stays; delete it there if nobody needs it");
    return *text_of(data, "repository");
}

static const struct line_kind {
    const char *type;
    bool (*line)(struct buf *out, const json_t *data, bool colour);
} line_kinds[] = {
    {"order.state", line_state},
    {"gate.decision", line_gate},
    {"order.warning", line_warning},
    {"order.sessions_ended", line_sessions},
    {"repository.pushed", line_repository},
    {"repository.kept", line_repository},
    {"terraform.diagnostic", line_diagnostic},
    {"terraform.planned_change", line_planned},
    {"terraform.change_summary", line_summary},
    {"terraform.outputs", line_outputs},
    {"terraform.apply_start", line_start},
    {"terraform.apply_progress", line_start},
    {"terraform.apply_complete", line_complete},
    {"terraform.apply_errored", line_errored},
};

bool progress_line(struct buf *out, const char *type, const json_t *data, bool colour)
{
    for (size_t i = 0; i < sizeof line_kinds / sizeof *line_kinds; i++)
        if (!strcmp(line_kinds[i].type, type))
            return line_kinds[i].line(out, data, colour);
    return false;
}

/* ---- What is known ---- */

static struct progress_resource *find_resource(struct progress *p, const json_t *data, bool make)
{
    const char *address = text_of(data, "address");
    for (size_t i = 0; i < p->n_resources; i++)
        if (!strcmp(p->resources[i].address, address))
            return &p->resources[i];
    if (!make || !*address || p->n_resources == PROGRESS_RESOURCES_MAX)
        return NULL;
    if (p->n_resources == p->cap_resources) {
        size_t cap = p->cap_resources ? p->cap_resources * 2 : 16;
        struct progress_resource *more = realloc(p->resources, cap * sizeof *more);
        if (!more)
            return NULL;
        p->resources = more;
        p->cap_resources = cap;
    }
    char *copy = strdup(address);
    if (!copy)
        return NULL;
    p->resources[p->n_resources] = (struct progress_resource){.address = copy};
    return &p->resources[p->n_resources++];
}

static void learn_resource(struct progress *p, const char *what, int64_t at, const json_t *data)
{
    const char *action = text_of(data, "action");
    bool starts = !strcmp(what, "apply_start") || !strcmp(what, "apply_progress");
    bool planned = !strcmp(what, "planned_change");
    if (planned && (!strcmp(action, "noop") || !strcmp(action, "no-op")))
        return;
    if (!starts && !planned && strcmp(what, "apply_complete") != 0 && strcmp(what, "apply_errored") != 0)
        return;
    struct progress_resource *r = find_resource(p, data, true);
    if (!r)
        return;
    if (*action)
        snprintf(r->action, sizeof r->action, "%s", action);
    if (planned) {
        r->state = RESOURCE_PLANNED;
    } else if (starts) {
        if (r->state != RESOURCE_RUNNING)
            r->since = at;
        r->state = RESOURCE_RUNNING;
    } else {
        r->state = !strcmp(what, "apply_complete") ? RESOURCE_DONE : RESOURCE_FAILED;
        r->until = at;
    }
}

static void learn_state(struct progress *p, int64_t at, const json_t *data)
{
    const char *state = text_of(data, "state");
    struct progress_step *last = p->n_steps ? &p->steps[p->n_steps - 1] : NULL;
    if (last && !strcmp(last->state, state))
        return;
    if (p->n_steps == PROGRESS_STEPS_MAX) /* an order that went round and round: its newest steps matter */
        memmove(p->steps, p->steps + 1, --p->n_steps * sizeof *p->steps);
    struct progress_step *step = &p->steps[p->n_steps++];
    *step = (struct progress_step){.at = at};
    snprintf(step->state, sizeof step->state, "%s", state);
    snprintf(step->reason, sizeof step->reason, "%s", text_of(data, "reason"));
}

/* ---- Drawing ---- */

static void erase(struct progress *p, struct buf *out)
{
    if (p->drawn)
        buf_printf(out, "\033[%uA\r\033[J", p->drawn);
    p->drawn = 0;
}

static void put(struct progress *p, const struct buf *out)
{
    fwrite(buf_cstr(out), 1, out->len, p->to);
    fflush(p->to);
}

/* One line of the display: fitted into the width, so that it is one line on the screen too. */
static void add_line(struct progress *p, struct buf *out, const char *indent, enum style style, const char *mark, const char *text)
{
    BUF_AUTO clean = BUF_INIT;
    BUF_AUTO fitted = BUF_INIT;
    text_clean(&clean, text, false);
    size_t used = strlen(indent) + text_width(mark) + 1;
    text_fit(&fitted, buf_cstr(&clean), p->width > used + 1 ? p->width - used - 1 : 1);
    buf_str(out, indent);
    output_styled(out, style, p->colour, mark);
    buf_printf(out, " %s\n", buf_cstr(&fitted));
    p->drawn++;
}

static bool is_end(const char *state)
{
    return !strcmp(state, "ready") || !strcmp(state, "failed") || !strcmp(state, "canceled");
}

static void draw_step(struct progress *p, struct buf *out, size_t i, int64_t now)
{
    static const char *const spinner[] = {"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"};
    const struct progress_step *s = &p->steps[i];
    bool last = i + 1 == p->n_steps, ended = is_end(s->state), bad = !strcmp(s->state, "failed") || !strcmp(s->state, "canceled");
    bool waits = last && !strcmp(s->state, "awaiting_approval");
    BUF_AUTO text = BUF_INIT;
    buf_printf(&text, "%-18s ", s->state);
    if (!ended)
        text_duration(&text, (double)((last ? now : p->steps[i + 1].at) - s->at) / 1000);
    if (*s->reason && (last || ended))
        buf_printf(&text, "  %s", s->reason);
    const char *mark = bad ? "✗" : waits ? "…" : last && !ended ? spinner[p->spin % 10] : "✓";
    add_line(p, out, STEP_INDENT, bad ? STYLE_BAD : last && !ended ? STYLE_BUSY : STYLE_GOOD, mark, buf_cstr(&text));
}

static void draw_resource(struct progress *p, struct buf *out, const struct progress_resource *r, int64_t now)
{
    BUF_AUTO text = BUF_INIT;
    buf_printf(&text, "%s %s", action_word(r->action, 'i'), r->address);
    if (r->state == RESOURCE_PLANNED) {
        add_line(p, out, RESOURCE_INDENT, STYLE_DIM, " ", buf_cstr(&text));
        return;
    }
    buf_printf(&text, "  %s ", r->state == RESOURCE_FAILED ? "failed" : action_word(r->action, r->state == RESOURCE_DONE ? 'd' : 'g'));
    if (r->since)
        text_duration(&text, (double)((r->state == RESOURCE_RUNNING ? now : r->until) - r->since) / 1000);
    static const enum style styles[] = {STYLE_DIM, STYLE_BUSY, STYLE_GOOD, STYLE_BAD};
    static const char *const marks[] = {" ", "•", "✓", "✗"};
    add_line(p, out, RESOURCE_INDENT, styles[r->state], marks[r->state], buf_cstr(&text));
}

/* What runs or failed first, then the newest that is done, then what is to come, as far as there is room. */
static void draw_resources(struct progress *p, struct buf *out, int64_t now)
{
    static const enum resource_state order[] = {RESOURCE_FAILED, RESOURCE_RUNNING, RESOURCE_DONE, RESOURCE_PLANNED};
    size_t room = p->height > p->n_steps + 6 ? p->height - p->n_steps - 6 : 1, shown = 0;
    room = room < RESOURCE_LINES ? room : RESOURCE_LINES;
    for (int k = 0; k < 4; k++) {
        for (size_t i = 0; i < p->n_resources && shown < room; i++) {
            const struct progress_resource *r = &p->resources[order[k] == RESOURCE_DONE ? p->n_resources - 1 - i : i];
            if (r->state == order[k]) {
                draw_resource(p, out, r, now);
                shown++;
            }
        }
    }
    if (p->n_resources > shown) {
        BUF_AUTO text = BUF_INIT;
        buf_printf(&text, "and %zu more", p->n_resources - shown);
        add_line(p, out, RESOURCE_INDENT, STYLE_DIM, " ", buf_cstr(&text));
    }
}

static void draw(struct progress *p, bool last)
{
    BUF_AUTO out = BUF_INIT;
    int64_t now = clock_wall_ms() + p->skew;
    erase(p, &out);
    measure(p);
    size_t room = p->height > 4 ? p->height - 4 : 1;
    size_t first = p->n_steps > room ? p->n_steps - room : 0;
    add_line(p, &out, "", STYLE_BOLD, "▸", p->title);
    for (size_t i = first; i < p->n_steps; i++)
        draw_step(p, &out, i, now);
    bool applying = p->n_steps && !is_end(p->steps[p->n_steps - 1].state);
    if (applying || !last)
        draw_resources(p, &out, now);
    if (*p->waiting)
        add_line(p, &out, STEP_INDENT, STYLE_BUSY, "…", p->waiting);
    put(p, &out);
    p->last_drawn = clock_mono_ms();
}

void progress_tick(struct progress *p)
{
    if (!p->live || clock_mono_ms() - p->last_drawn < REDRAW_MS)
        return;
    p->spin++;
    draw(p, false);
}

static void say_clean(struct progress *p, const char *text)
{
    BUF_AUTO out = BUF_INIT;
    if (p->live)
        erase(p, &out);
    buf_printf(&out, "%s\n", text);
    put(p, &out);
    if (p->live)
        draw(p, false);
}

void progress_say(struct progress *p, const char *fmt, ...)
{
    BUF_AUTO text = BUF_INIT;
    BUF_AUTO clean = BUF_INIT;
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(&text, fmt, ap);
    va_end(ap);
    text_clean(&clean, buf_cstr(&text), true);
    say_clean(p, buf_cstr(&clean));
}

void progress_waiting(struct progress *p, const char *why)
{
    if (!strcmp(p->waiting, why))
        return;
    snprintf(p->waiting, sizeof p->waiting, "%s", why);
    if (p->live)
        draw(p, false);
    else if (*why)
        progress_say(p, "%s", why);
}

void progress_end(struct progress *p)
{
    if (p->live)
        draw(p, true);
    p->drawn = 0;
}

static void say_event(struct progress *p, const char *type, int64_t at, const json_t *data)
{
    BUF_AUTO line = BUF_INIT;
    char stamp[32];
    clock_rfc3339(at, stamp);
    BUF_AUTO local = BUF_INIT;
    text_time(&local, stamp);
    buf_printf(&line, "%s  ", strchr(buf_cstr(&local), ' ') ? strchr(buf_cstr(&local), ' ') + 1 : stamp);
    if (progress_line(&line, type, data, p->colour))
        say_clean(p, buf_cstr(&line));
}

void progress_event(struct progress *p, const char *type, const char *at_text, const json_t *data)
{
    int64_t at = at_text ? text_time_ms(at_text) : -1;
    if (at < 0)
        at = clock_wall_ms() + p->skew;
    else if (at > clock_wall_ms() + p->skew)
        p->skew = at - clock_wall_ms(); /* an event cannot be from the future: the server's clock is ahead of ours */
    if (!strcmp(type, "order.state"))
        learn_state(p, at, data);
    else if (!strncmp(type, "terraform.", 10))
        learn_resource(p, type + 10, at, data);
    bool lasting = !strcmp(type, "terraform.diagnostic") || !strcmp(type, "order.warning") || (!strcmp(type, "gate.decision") && strcmp(text_of(data, "outcome"), "allow") != 0);
    if (!p->live || lasting)
        say_event(p, type, at, data);
    else
        progress_tick(p);
}
