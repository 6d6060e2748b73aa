/* Events in any pieces: each case is read whole, byte by byte, and cut at every place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "portal/cli/sse.h"

static struct buf seen;
static int stop_at;

static int note(const struct sse_event *ev, void *arg)
{
    (void)arg;
    buf_printf(&seen, "[%s|%s|%s]", ev->type, ev->data, ev->id);
    return stop_at && --stop_at == 0 ? 7 : 0;
}

static void read_cut(const char *text, size_t n, size_t cut)
{
    struct sse s;
    buf_clear(&seen);
    sse_init(&s, note, NULL);
    assert_int_equal(sse_feed(&s, text, cut), 0);
    assert_int_equal(sse_feed(&s, text + cut, n - cut), 0);
    sse_done(&s);
}

static void expect_n(const char *text, size_t n, const char *events)
{
    for (size_t cut = 0; cut <= n; cut++) {
        read_cut(text, n, cut);
        assert_string_equal(buf_cstr(&seen), events);
    }
    struct sse s;
    buf_clear(&seen);
    sse_init(&s, note, NULL);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(sse_feed(&s, text + i, 1), 0);
    sse_done(&s);
    assert_string_equal(buf_cstr(&seen), events);
    buf_done(&seen);
}

static void expect(const char *text, const char *events)
{
    expect_n(text, strlen(text), events);
}

static void test_fields(void **state)
{
    (void)state;
    expect("data: one\n\n", "[message|one|]");
    expect("id: 5-7\nevent: order.state\ndata: {\"a\":1}\n\n", "[order.state|{\"a\":1}|5-7]");
    expect("data: a\ndata:b\ndata:  c\n\n", "[message|a\nb\n c|]");
    expect("data\n\n", "[message||]");
    expect("event: x\n\ndata: y\n\n", "[message|y|]");
    expect("id: 1\ndata: a\n\ndata: b\n\nid\ndata: c\n\n", "[message|a|1][message|b|1][message|c|]");
    expect(": comment\n\nunknown: x\ndata: a\n\n", "[message|a|]");
}

static void test_line_ends(void **state)
{
    (void)state;
    expect("data: a\r\n\r\ndata: b\r\n\r\n", "[message|a|][message|b|]");
    expect("data: a\r\rdata: b\r\r", "[message|a|][message|b|]");
    expect("data: a\n\r\ndata: b\r\n\n", "[message|a|][message|b|]");
    expect("\xEF\xBB\xBF" "data: a\n\n", "[message|a|]");
    expect("\xEF\xBB" "data: a\n\ndata: b\n\n", "[message|b|]");
}

static void test_unfinished(void **state)
{
    (void)state;
    expect("data: whole\n\ndata: half\n", "[message|whole|]");
    expect("data: whole\n\ndata: ha", "[message|whole|]");
    expect_n("id: a\0b\ndata: x\n\n", 17, "[message|x|]");
}

static void test_restart_keeps_id(void **state)
{
    (void)state;
    struct sse s;
    sse_init(&s, note, NULL);
    sse_feed(&s, "retry: 1500\nid: 9-1\ndata: a\n\nid: 9-2\ndata: lost", 48);
    assert_string_equal(s.id, "9-1"); /* the second event was not whole: it must come again */
    assert_int_equal(s.retry_ms, 1500);
    sse_restart(&s);
    buf_clear(&seen);
    sse_feed(&s, "data: b\n\n", 9);
    assert_string_equal(buf_cstr(&seen), "[message|b|9-1]");
    sse_feed(&s, "retry: 1x\n", 10);
    assert_int_equal(s.retry_ms, 1500);
    sse_done(&s);
    buf_done(&seen);
}

static void test_stop(void **state)
{
    (void)state;
    struct sse s;
    stop_at = 2;
    sse_init(&s, note, NULL);
    assert_int_equal(sse_feed(&s, "data: a\n\ndata: b\n\ndata: c\n\n", 27), 7);
    assert_string_equal(buf_cstr(&seen), "[message|a|][message|b|]");
    sse_done(&s);
    buf_done(&seen);
}

static void test_too_long(void **state)
{
    (void)state;
    struct sse s;
    static char part[65536];
    int code = 0;
    memset(part, 'x', sizeof part);
    sse_init(&s, note, NULL);
    for (size_t fed = 0; !code && fed < 2 * SSE_EVENT_MAX; fed += sizeof part)
        code = sse_feed(&s, part, sizeof part);
    assert_int_equal(code, -1);
    sse_done(&s);
    buf_done(&seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields), cmocka_unit_test(test_line_ends), cmocka_unit_test(test_unfinished), cmocka_unit_test(test_restart_keeps_id),
        cmocka_unit_test(test_stop),   cmocka_unit_test(test_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
