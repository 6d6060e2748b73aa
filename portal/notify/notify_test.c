#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "portal/http/page.h"
#include "portal/notify/notify_private.h"

/* Slack's own example: https://api.slack.com/authentication/verifying-requests-from-slack */
static const char secret[] = "8f742231b10e8888abcd99yyyzzz85a5";
static const char stamp[] = "1531420618";
static const char body[] = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner"
                           "&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
                           "&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
static const char signature[] = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";

static int check(const char *with, const char *at, const char *sig, size_t len, int64_t now)
{
    struct err e = ERR_INIT;
    return slack_check_signature(with, at, sig, body, len, now, &e);
}

static void a_signature_of_slack_is_believed_while_it_is_fresh(void **state)
{
    (void)state;
    size_t len = sizeof body - 1;
    int64_t then = 1531420618;
    assert_int_equal(check(secret, stamp, signature, len, then), 0);
    assert_int_equal(check(secret, stamp, signature, len, then + 300), 0);
    assert_int_equal(check(secret, stamp, signature, len, then - 300), 0);
    assert_int_equal(check(secret, stamp, signature, len, then + 301), ERR_UNAUTHENTICATED);
    assert_int_equal(check(secret, stamp, signature, len, then - 301), ERR_UNAUTHENTICATED);
}

static void any_other_signature_is_not(void **state)
{
    (void)state;
    size_t len = sizeof body - 1;
    int64_t then = 1531420618;
    assert_int_equal(check("another", stamp, signature, len, then), ERR_UNAUTHENTICATED);
    assert_int_equal(check(secret, "1531420619", signature, len, then), ERR_UNAUTHENTICATED);
    assert_int_equal(check(secret, stamp, signature + 3, len, then), ERR_UNAUTHENTICATED);
    assert_int_equal(check(secret, stamp, "v0=", len, then), ERR_UNAUTHENTICATED);
    assert_int_equal(check(secret, stamp, NULL, len, then), ERR_UNAUTHENTICATED);
    assert_int_equal(check(secret, NULL, signature, len, then), ERR_UNAUTHENTICATED);
    assert_int_equal(check(secret, "15314206180000", signature, len, then), ERR_UNAUTHENTICATED);
    assert_int_equal(check(secret, "1531420618 ", signature, len, then), ERR_UNAUTHENTICATED);
    assert_int_equal(check(secret, stamp, signature, len - 1, then), ERR_UNAUTHENTICATED);
}

static void a_subject_begins_no_header_of_its_own(void **state)
{
    (void)state;
    struct notify_delivery d = {.id = "0198c1f2-7c1e-7b1a-9d7e-3f6f0b7f2a11", .address = "ada@example.com"};
    struct notify_message m = {.subject = "x\r\nBcc: eve@example.com", .text = "one\ntwo\n"};
    BUF_AUTO out = BUF_INIT;
    mail_write(&d, &m, "Soma <soma@example.com>", 1700000000000, &out);
    assert_non_null(strstr(out.data, "Subject: x  Bcc: eve@example.com\r\n"));
    assert_null(strstr(out.data, "\r\nBcc:"));
    assert_non_null(strstr(out.data, "Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n"));
    assert_non_null(strstr(out.data, "Message-ID: <0198c1f2-7c1e-7b1a-9d7e-3f6f0b7f2a11@example.com>\r\n"));
    assert_non_null(strstr(out.data, "\r\n\r\nb25lDQp0d28NCg==\r\n"));
}

static void a_subject_of_any_script_is_cut_between_characters(void **state)
{
    (void)state;
    struct notify_delivery d = {.id = "0198c1f2-7c1e-7b1a-9d7e-3f6f0b7f2a11", .address = "ada@example.com"};
    struct notify_message m = {.subject = "äöüäöüäöüäöüäöüäöüäöüäöüäöü", .text = ""};
    BUF_AUTO out = BUF_INIT;
    mail_write(&d, &m, "soma@example.com", 0, &out);
    assert_non_null(strstr(out.data, "Subject: =?UTF-8?B?w6TDtsO8w6TDtsO8w6TDtsO8w6TDtsO8w6TDtsO8w6TDtsO8w6TDtsO8?=\r\n =?UTF-8?B?w6TDtsO8w6TDtsO8?=\r\n"));
}

static const char *member(struct arena *a, const char *form, const char *name)
{
    return http_form_member(a, form, strlen(form), name);
}

static void a_form_is_decoded(void **state)
{
    (void)state;
    ARENA_AUTO a = arena_new();
    assert_string_equal(member(a, "a=1&b=x+y%26z&c", "b"), "x y&z");
    assert_string_equal(member(a, "a=1&b=x&c", "c"), "");
    assert_string_equal(member(a, "a=1&a=2", "a"), "1");
    assert_string_equal(member(a, "%61=%C3%A4", "a"), "ä");
    assert_null(member(a, "a=1", "b"));
    assert_null(member(a, "", "b"));
    assert_null(member(a, "a=%", "a"));
    assert_null(member(a, "a=%4", "a"));
    assert_null(member(a, "a=%zz", "a"));
    assert_null(member(a, "a=%00", "a"));
    assert_null(member(a, "a=%ff", "a"));
    assert_null(member(a, "a=%ed%a0%80", "a"));
    assert_null(http_form_member(a, "a=\0b", 4, "a"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signature_of_slack_is_believed_while_it_is_fresh), cmocka_unit_test(any_other_signature_is_not),
        cmocka_unit_test(a_subject_begins_no_header_of_its_own), cmocka_unit_test(a_subject_of_any_script_is_cut_between_characters), cmocka_unit_test(a_form_is_decoded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
