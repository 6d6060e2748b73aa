#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "portal/cli/completion.h"
#include "portal/cli/progress.h"
#include "portal/cli/watch.h"

static char *text;
static size_t len;

static void feed(struct progress *p, const char *type, const char *at, const char *json)
{
    json_t *data = json_loads(json, 0, NULL);
    assert_non_null(data);
    progress_event(p, type, at, data);
    json_decref(data);
}

/* A whole order as its events come. */
static void play(struct progress *p)
{
    feed(p, "order.state", "2026-01-31T10:00:00.000Z", "{\"state\":\"queued\",\"reason\":\"\"}");
    feed(p, "order.state", "2026-01-31T10:00:00.100Z", "{\"state\":\"planning\"}");
    feed(p, "gate.decision", "2026-01-31T10:00:00.200Z", "{\"gate\":\"quota\",\"point\":\"request\",\"outcome\":\"allow\",\"message\":\"1 of 20\"}");
    feed(p, "terraform.planned_change", "2026-01-31T10:00:01.000Z", "{\"address\":\"postgresql_role.owner\",\"action\":\"create\"}");
    feed(p, "terraform.planned_change", "2026-01-31T10:00:01.000Z", "{\"address\":\"postgresql_role.same\",\"action\":\"noop\"}");
    feed(p, "terraform.change_summary", "2026-01-31T10:00:01.100Z", "{\"operation\":\"plan\",\"add\":1,\"change\":0,\"remove\":0}");
    feed(p, "order.state", "2026-01-31T10:00:02.000Z", "{\"state\":\"applying\"}");
    feed(p, "terraform.apply_start", "2026-01-31T10:00:02.100Z", "{\"address\":\"postgresql_role.owner\",\"action\":\"create\"}");
    feed(p, "terraform.diagnostic", "2026-01-31T10:00:03.000Z", "{\"severity\":\"error\",\"summary\":\"no \\u001b[2J way\",\"detail\":\"because\",\"file\":\"main.tf\",\"line\":12}");
    feed(p, "terraform.apply_errored", "2026-01-31T10:00:03.100Z", "{\"address\":\"postgresql_role.owner\",\"action\":\"create\",\"elapsed_seconds\":1}");
    feed(p, "order.unheard_of", "2026-01-31T10:00:03.200Z", "{}");
    feed(p, "order.state", "2026-01-31T10:00:04.000Z", "{\"state\":\"failed\",\"reason\":\"the apply failed\"}");
}

static void plain_lines_tell_it_all(void **state)
{
    (void)state;
    struct progress p;
    FILE *to = open_memstream(&text, &len);
    setenv("TZ", "UTC", 1);
    tzset();
    progress_init(&p, to, false, false, "x");
    play(&p);
    progress_tick(&p);
    progress_waiting(&p, "away");
    progress_waiting(&p, "away");
    progress_waiting(&p, "");
    progress_end(&p);
    progress_done(&p);
    fclose(to);
    assert_string_equal(text, "10:00:00  queued\n"
                              "10:00:00  planning\n"
                              "10:00:00    gate quota on the request: allow, 1 of 20\n"
                              "10:00:01    + postgresql_role.owner\n"
                              "10:00:01    plan: 1 to add, 0 to change, 0 to destroy\n"
                              "10:00:02  applying\n"
                              "10:00:02    postgresql_role.owner: creating\n"
                              "10:00:03    error: no \uFFFD[2J way (main.tf, line 12)\n           because\n"
                              "10:00:03    postgresql_role.owner: creating failed\n"
                              "10:00:04  failed: the apply failed\n"
                              "away\n");
    free(text);
}

static void the_display_moves_only_its_own_lines(void **state)
{
    (void)state;
    struct progress p;
    FILE *to = open_memstream(&text, &len);
    progress_init(&p, to, true, false, "orders-db: create");
    play(&p);
    for (int i = 0; i < 200; i++)
        feed(&p, "terraform.apply_start", NULL, "{\"address\":\"a.b\",\"action\":\"create\"}");
    progress_end(&p);
    assert_int_equal(p.n_steps, 4);
    assert_int_equal(p.n_resources, 2);
    progress_done(&p);
    fclose(to);
    assert_non_null(strstr(text, "error: no \uFFFD[2J way (main.tf, line 12)"));
    assert_null(strstr(text, "\033[2J"));
    const char *last = strrchr(text, '\033'); /* what stands on the screen at the end */
    assert_non_null(last);
    assert_non_null(strstr(last, "orders-db: create"));
    assert_non_null(strstr(last, "✓ queued"));
    assert_non_null(strstr(last, "✗ failed"));
    assert_non_null(strstr(last, "the apply failed"));
    free(text);
}

static void a_long_order_stays_in_bounds(void **state)
{
    (void)state;
    struct progress p;
    FILE *to = open_memstream(&text, &len);
    progress_init(&p, to, true, true, "x");
    for (int i = 0; i < 300; i++) {
        char json[200];
        snprintf(json, sizeof json, "{\"state\":\"%s\",\"address\":\"r.%d\",\"action\":\"update\"}", i % 2 ? "planning" : "applying", i);
        feed(&p, "order.state", NULL, json);
        feed(&p, "terraform.apply_start", NULL, json);
    }
    assert_int_equal(p.n_steps, PROGRESS_STEPS_MAX);
    assert_int_equal(p.n_resources, 300);
    assert_true(p.drawn <= p.height);
    progress_end(&p);
    progress_done(&p);
    fclose(to);
    free(text);
}

static void states_end_a_watch(void **state)
{
    (void)state;
    assert_int_equal(watch_exit_of("ready"), EXIT_DONE);
    assert_int_equal(watch_exit_of("failed"), EXIT_FAILED);
    assert_int_equal(watch_exit_of("awaiting_approval"), EXIT_WAITING);
    assert_int_equal(watch_exit_of("canceled"), EXIT_ORDER_CANCELED);
    assert_int_equal(watch_exit_of("applying"), -1);
    assert_int_equal(watch_exit_of(NULL), -1);
}

static void complete(const char *expected, const char **words)
{
    BUF_AUTO out = BUF_INIT;
    int n = 0;
    while (words[n])
        n++;
    completion_words(n, (char **)(uintptr_t)words, &out);
    if (!strstr(buf_cstr(&out), expected))
        fail_msg("%s is not in: %s", expected, buf_cstr(&out));
}

static void shells_are_told_what_may_come(void **state)
{
    (void)state;
    complete("services\t", (const char *[]){"serv", NULL});
    complete("outputs\t", (const char *[]){"services", "", NULL});
    complete("--template\t", (const char *[]){"order", "x", "--t", NULL});
    complete("yaml\n", (const char *[]){"services", "list", "-o", "y", NULL});
    complete(":file\n", (const char *[]){"order", "x", "--parameters", "", NULL});
    complete(":dir\n", (const char *[]){"templates", "check", "", NULL});
    complete("orders\t", (const char *[]){"", NULL});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_lines_tell_it_all), cmocka_unit_test(the_display_moves_only_its_own_lines), cmocka_unit_test(a_long_order_stays_in_bounds),
        cmocka_unit_test(states_end_a_watch),      cmocka_unit_test(shells_are_told_what_may_come),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
