#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "portal/auth/auth_private.h"

static struct principal *holder(struct arena *a, const char *own, const char *owner, const char *scopes)
{
    struct principal *p = arena_alloc(a, sizeof *p);
    p->name = "ada";
    p->scopes = scopes;
    principal_set_roles(p, own, owner, a);
    return p;
}

static void test_roles_include(void **state)
{
    (void)state;
    ARENA_AUTO a = arena_new();
    struct principal *p = holder(a, "developer:payments approver:search viewer:search", NULL, NULL);
    assert_int_equal(p->n_teams, 2);
    assert_true(auth_has(p, ROLE_DEVELOPER, "payments"));
    assert_true(auth_has(p, ROLE_VIEWER, "payments"));
    assert_false(auth_has(p, ROLE_APPROVER, "payments"));
    assert_true(auth_has(p, ROLE_APPROVER, "search"));
    assert_false(auth_has(p, ROLE_DEVELOPER, "search"));
    assert_false(auth_has(p, ROLE_VIEWER, "pay"));
    assert_false(auth_has(p, ROLE_VIEWER, "payments2"));
    assert_false(auth_has(p, ROLE_VIEWER, NULL));
    assert_true(principal_holds(p, ROLE_DEVELOPER));
    assert_false(principal_holds(p, ROLE_ADMIN));
    assert_string_equal(auth_teams_json(p, a), "[\"payments\",\"search\"]");
    p = holder(a, "platform-admin:", NULL, NULL);
    assert_true(auth_has(p, ROLE_APPROVER, "anything"));
    assert_true(auth_has(p, ROLE_ADMIN, NULL));
    assert_null(auth_teams_json(p, a));
    p = holder(a, "", NULL, NULL);
    assert_false(auth_has(p, ROLE_VIEWER, "payments"));
    assert_string_equal(auth_teams_json(p, a), "[]");
    assert_false(auth_has(NULL, ROLE_VIEWER, "payments"));
}

static void test_scopes_narrow(void **state)
{
    (void)state;
    ARENA_AUTO a = arena_new();
    struct err e = ERR_INIT;
    const char *all = "platform-admin: developer:payments";
    struct principal *p = holder(a, all, NULL, "[\"read\"]");
    assert_true(auth_has(p, ROLE_VIEWER, "payments"));
    assert_false(auth_has(p, ROLE_DEVELOPER, "payments"));
    assert_false(auth_has(p, ROLE_ADMIN, NULL));
    assert_int_equal(auth_require(p, ROLE_DEVELOPER, "payments", &e), ERR_DENIED);
    assert_non_null(strstr(e.msg, "needs the role developer in team payments, which the scopes of this token ([\"read\"]) leave out"));
    p = holder(a, all, NULL, "[\"read\", \"orders\"]");
    assert_true(auth_has(p, ROLE_DEVELOPER, "anything"));
    assert_true(auth_has(p, ROLE_APPROVER, NULL));
    assert_false(auth_has(p, ROLE_ADMIN, NULL));
    p = holder(a, all, NULL, "[\"admin\"]");
    assert_true(auth_has(p, ROLE_ADMIN, NULL));
    p = holder(a, "developer:payments", NULL, "[\"monitoring\"]");
    assert_false(auth_has(p, ROLE_DEVELOPER, "payments"));
    assert_string_equal(auth_teams_json(p, a), "[\"payments\"]");
    assert_int_equal(scopes_of(p), SCOPE_MONITORING);
    p = holder(a, "viewer:payments", NULL, "[]");
    assert_false(auth_has(p, ROLE_VIEWER, "payments"));
    assert_int_equal(scopes_of(p), 0);
}

/* A service account may what both it and its owner may. */
static void test_owner_bounds(void **state)
{
    (void)state;
    ARENA_AUTO a = arena_new();
    struct principal *p = holder(a, "developer:payments approver:payments viewer:search", "developer:payments", NULL);
    assert_true(auth_has(p, ROLE_DEVELOPER, "payments"));
    assert_false(auth_has(p, ROLE_APPROVER, "payments"));
    assert_false(auth_has(p, ROLE_VIEWER, "search"));
    p = holder(a, "developer:payments", "platform-admin:", NULL);
    assert_true(auth_has(p, ROLE_DEVELOPER, "payments"));
    assert_false(auth_has(p, ROLE_APPROVER, "payments"));
    assert_false(auth_has(p, ROLE_DEVELOPER, NULL));
    p = holder(a, "developer:", "viewer:payments developer:search", NULL);
    assert_false(auth_has(p, ROLE_DEVELOPER, NULL));
    assert_true(auth_has(p, ROLE_VIEWER, "payments"));
    assert_false(auth_has(p, ROLE_DEVELOPER, "payments"));
    assert_true(auth_has(p, ROLE_DEVELOPER, "search"));
    p = holder(a, "viewer: developer:payments", "viewer:", NULL);
    assert_null(auth_teams_json(p, a));
    assert_false(auth_has(p, ROLE_DEVELOPER, "payments"));
    p = holder(a, "developer:payments", "", NULL);
    assert_false(auth_has(p, ROLE_VIEWER, "payments"));
}

static void test_words(void **state)
{
    (void)state;
    ARENA_AUTO a = arena_new();
    struct err e = ERR_INIT;
    struct principal *p = holder(a, "viewer:payments", NULL, NULL);
    assert_int_equal(auth_require(p, ROLE_APPROVER, "payments", &e), ERR_DENIED);
    assert_string_equal(e.msg, "needs the role approver in team payments; a platform-admin can give it: soma roles bind ada approver --team payments");
    assert_string_equal(e.type, "role-missing");
    assert_int_equal(auth_require(p, ROLE_ADMIN, NULL, &e), ERR_DENIED);
    assert_string_equal(e.msg, "needs the role platform-admin; a platform-admin can give it: soma roles bind ada platform-admin");
    assert_int_equal(auth_require(NULL, ROLE_ADMIN, NULL, &e), ERR_UNAUTHENTICATED);
    unsigned mask;
    assert_int_equal(role_parse("admin", 5, &mask), -1);
    assert_int_equal(role_parse("viewers", 6, &mask), 0);
}

static void test_copy_is_its_own(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    ARENA_AUTO b = arena_new();
    struct principal *p = holder(a, "developer:payments viewer:search", NULL, arena_strdup(a, "[\"orders\"]"));
    p->actor = arena_strdup(a, "id");
    struct principal *copy = principal_copy(p, b);
    arena_free(a);
    assert_string_equal(copy->actor, "id");
    assert_string_equal(copy->scopes, "[\"orders\"]");
    assert_true(auth_has(copy, ROLE_DEVELOPER, "payments"));
    assert_null(copy->token_id);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_roles_include), cmocka_unit_test(test_scopes_narrow), cmocka_unit_test(test_owner_bounds), cmocka_unit_test(test_words),
                                       cmocka_unit_test(test_copy_is_its_own)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
