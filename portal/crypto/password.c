#include "portal/crypto/password.h"

#include <argon2.h>
#include <stdatomic.h>
#include <string.h>

#include "portal/crypto/crypto.h"

#define PASSES 2
#define MEMORY_KIB 19456
#define SALT 16
#define AT_ONCE 2

static atomic_int running;

static int enter(struct err *e)
{
    if (atomic_fetch_add(&running, 1) < AT_ONCE)
        return 0;
    atomic_fetch_sub(&running, 1);
    err_set(e, ERR_RATE, "%d passwords are being checked already; try again in a second", AT_ONCE);
    if (e)
        e->retry_after = 1;
    return ERR_RATE;
}

static void leave(void)
{
    atomic_fetch_sub(&running, 1);
}

int password_check(const char *password, const char *pointer, struct err *e)
{
    size_t n = strlen(password);
    if (n < PASSWORD_MIN)
        return err_field(e, pointer, "a password has at least %d characters", PASSWORD_MIN);
    if (n > PASSWORD_MAX)
        return err_field(e, pointer, "a password has at most %d bytes", PASSWORD_MAX);
    return 0;
}

int password_hash(const char *password, char ret_phc[PASSWORD_PHC_MAX], struct err *e)
{
    int r = enter(e);
    if (r)
        return r;
    uint8_t salt[SALT];
    crypto_random(salt, sizeof salt);
    int failed = argon2id_hash_encoded(PASSES, MEMORY_KIB, 1, password, strlen(password), salt, sizeof salt, CRYPTO_DIGEST, ret_phc, PASSWORD_PHC_MAX);
    leave();
    return failed ? err_set(e, ERR_INTERNAL, "the password cannot be hashed: %s", argon2_error_message(failed)) : 0;
}

/* Nobody of that name: the same work on a salt that belongs to no one. */
static void waste(const char *password)
{
    static const uint8_t salt[SALT] = "nobody's account";
    uint8_t out[CRYPTO_DIGEST];
    argon2id_hash_raw(PASSES, MEMORY_KIB, 1, password, strlen(password), salt, sizeof salt, out, sizeof out);
    crypto_wipe(out, sizeof out);
}

int password_verify(const char *phc, const char *password, struct err *e)
{
    int r = enter(e);
    if (r)
        return r;
    int verdict = ARGON2_VERIFY_MISMATCH;
    if (phc)
        verdict = argon2id_verify(phc, password, strlen(password));
    else
        waste(password);
    leave();
    if (verdict == ARGON2_OK)
        return 0;
    if (verdict == ARGON2_VERIFY_MISMATCH)
        return err_set(e, ERR_UNAUTHENTICATED, "name or password is wrong");
    return err_set(e, ERR_INTERNAL, "the stored password cannot be checked: %s", argon2_error_message(verdict));
}
