#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "portal/crypto/crypto.h"

static void is_hex(const void *p, size_t n, const char *want)
{
    char text[512];
    crypto_hex(p, n, text);
    assert_string_equal(text, want);
}

static size_t bytes_of(const char *hex, uint8_t *out)
{
    assert_true(crypto_unhex(hex, strlen(hex), out));
    return strlen(hex) / 2;
}

/* FIPS 180-4 examples. */
static void test_sha256(void **state)
{
    (void)state;
    uint8_t d[CRYPTO_DIGEST];
    crypto_sha256("abc", 3, d);
    is_hex(d, sizeof d, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    crypto_sha256(NULL, 0, d);
    is_hex(d, sizeof d, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    struct crypto_digest *pieces = crypto_digest_new();
    crypto_digest_add(pieces, "a", 1);
    crypto_digest_add(pieces, NULL, 0);
    crypto_digest_add(pieces, "bc", 2);
    crypto_digest_finish(pieces, d);
    is_hex(d, sizeof d, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    crypto_digest_finish(crypto_digest_new(), NULL);
}

/* RFC 4231, cases 1, 2 and 6. */
static void test_hmac(void **state)
{
    (void)state;
    uint8_t key[131], mac[CRYPTO_DIGEST];
    memset(key, 0x0b, 20);
    crypto_hmac(key, 20, "Hi There", 8, mac);
    is_hex(mac, sizeof mac, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    const char *text = "what do ya want for nothing?";
    const char *want = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    crypto_hmac("Jefe", 4, text, strlen(text), mac);
    is_hex(mac, sizeof mac, want);
    assert_true(crypto_hmac_matches("Jefe", 4, text, strlen(text), want));
    assert_true(crypto_hmac_matches("Jefe", 4, text, strlen(text), "sha256=5BDCC146BF60754E6A042426089575C75A003F089D2739839DEC58B964EC3843"));
    assert_false(crypto_hmac_matches("Jefe", 4, text, strlen(text) - 1, want));
    assert_false(crypto_hmac_matches("Jefe", 4, text, strlen(text), ""));
    assert_false(crypto_hmac_matches("Jefe", 4, text, strlen(text), "sha256=zz"));
    memset(key, 0xaa, 131);
    text = "Test Using Larger Than Block-Size Key - Hash Key First";
    crypto_hmac(key, 131, text, strlen(text), mac);
    is_hex(mac, sizeof mac, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

/* RFC 5869, case 3 (no salt, no info). */
static void test_hkdf(void **state)
{
    (void)state;
    uint8_t key[22], out[42];
    memset(key, 0x0b, sizeof key);
    crypto_hkdf(key, sizeof key, NULL, 0, "", out, sizeof out);
    is_hex(out, sizeof out, "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
}

/* The GCM specification's test case 16: AES-256, 60 bytes, 20 bytes of associated data. */
static void test_gcm(void **state)
{
    (void)state;
    uint8_t key[32], nonce[12], aad[20], plain[60];
    bytes_of("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", key);
    bytes_of("cafebabefacedbaddecaf888", nonce);
    bytes_of("feedfacedeadbeeffeedfacedeadbeefabaddad2", aad);
    bytes_of("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39", plain);
    BUF_AUTO sealed = BUF_INIT, opened = BUF_INIT;
    struct err e = ERR_INIT;
    assert_int_equal(crypto_gcm_seal(key, nonce, aad, sizeof aad, plain, sizeof plain, &sealed, &e), 0);
    is_hex(sealed.data, sealed.len,
           "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b");
    assert_int_equal(crypto_gcm_open(key, nonce, aad, sizeof aad, sealed.data, sealed.len, &opened, &e), 0);
    assert_int_equal(opened.len, sizeof plain);
    assert_memory_equal(opened.data, plain, sizeof plain);
    buf_clear(&opened);
    for (size_t i = 0; i < sealed.len; i++) {
        sealed.data[i] ^= 1;
        assert_int_equal(crypto_gcm_open(key, nonce, aad, sizeof aad, sealed.data, sealed.len, &opened, &e), ERR_INVALID);
        assert_int_equal(opened.len, 0);
        sealed.data[i] ^= 1;
    }
    aad[0] ^= 1;
    assert_int_equal(crypto_gcm_open(key, nonce, aad, sizeof aad, sealed.data, sealed.len, &opened, &e), ERR_INVALID);
    assert_int_equal(crypto_gcm_open(key, nonce, aad, sizeof aad, sealed.data, 15, &opened, &e), ERR_INVALID);
}

static void test_gcm_of_nothing(void **state)
{
    (void)state;
    uint8_t key[32] = {0}, nonce[12] = {0};
    BUF_AUTO sealed = BUF_INIT, opened = BUF_INIT;
    assert_int_equal(crypto_gcm_seal(key, nonce, NULL, 0, "", 0, &sealed, NULL), 0);
    is_hex(sealed.data, sealed.len, "530f8afbc74536b9a963b4f1c4cb738b"); /* GCM specification, test case 13 */
    assert_int_equal(crypto_gcm_open(key, nonce, NULL, 0, sealed.data, sealed.len, &opened, NULL), 0);
    assert_int_equal(opened.len, 0);
}

/* RFC 4648, section 10. */
static void test_base64(void **state)
{
    (void)state;
    static const char *const vectors[][2] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        BUF_AUTO out = BUF_INIT, back = BUF_INIT;
        crypto_base64(vectors[i][0], strlen(vectors[i][0]), &out);
        assert_string_equal(buf_cstr(&out), vectors[i][1]);
        assert_int_equal(crypto_unbase64(vectors[i][1], strlen(vectors[i][1]), &back, NULL), 0);
        assert_string_equal(buf_cstr(&back), vectors[i][0]);
    }
    static const char *const wrong[] = {"Z", "Zg", "Zg=", "Zh==", "Zm9=", "Z===", "Zm 9v", "Zm9v\n", "====", "Zg==Zg==", "Zm-_"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        BUF_AUTO back = BUF_INIT;
        buf_str(&back, "kept");
        assert_int_equal(crypto_unbase64(wrong[i], strlen(wrong[i]), &back, NULL), ERR_INVALID);
        assert_string_equal(buf_cstr(&back), "kept");
    }
    BUF_AUTO url = BUF_INIT, raw = BUF_INIT;
    crypto_base64url("\xfb\xff\xfe\x01", 4, &url);
    assert_string_equal(buf_cstr(&url), "-__-AQ");
    assert_int_equal(crypto_unbase64url("-__-AQ", 6, &raw, NULL), 0);
    assert_memory_equal(raw.data, "\xfb\xff\xfe\x01", 4);
    assert_int_equal(crypto_unbase64url("-__-AR", 6, &raw, NULL), ERR_INVALID);
    assert_int_equal(crypto_unbase64url("-__-AQ==", 8, &raw, NULL), ERR_INVALID);
}

static void test_hex(void **state)
{
    (void)state;
    uint8_t b[4];
    assert_true(crypto_unhex("00FFa5", 6, b));
    assert_memory_equal(b, "\x00\xff\xa5", 3);
    assert_false(crypto_unhex("0", 1, b));
    assert_false(crypto_unhex("0g", 2, b));
}

static void test_tokens(void **state)
{
    (void)state;
    char a[CRYPTO_TOKEN_MAX], b[CRYPTO_TOKEN_MAX];
    crypto_token_new("soma_", a);
    crypto_token_new("soma_", b);
    assert_int_equal(strlen(a), 51);
    assert_string_not_equal(a, b);
    assert_true(crypto_token_valid("soma_", a));
    assert_false(crypto_token_valid("somb_", a));
    assert_false(crypto_token_valid("soma_", ""));
    for (size_t i = 0; i < strlen(a); i++) {
        char keep = a[i];
        a[i] = keep == 'x' ? 'y' : 'x';
        assert_false(crypto_token_valid("soma_", a));
        a[i] = keep;
    }
    a[50] = 0;
    assert_false(crypto_token_valid("soma_", a));
}

/* Every letter comes, none outside the alphabet, and an alphabet that does not divide 256 is not skewed (chi-square, 99.99 %). */
static void test_passwords(void **state)
{
    (void)state;
    enum { LETTERS = 100, DRAWN = 100000 };
    char alphabet[LETTERS + 1];
    for (int i = 0; i < LETTERS; i++)
        alphabet[i] = (char)(i + 27);
    alphabet[LETTERS] = 0;
    char *text = malloc(DRAWN + 1);
    crypto_password_new(alphabet, DRAWN, text);
    assert_int_equal(strlen(text), DRAWN);
    double seen[128] = {0}, chi = 0;
    for (int i = 0; i < DRAWN; i++)
        seen[(int)text[i]]++;
    for (int i = 27; i < 27 + LETTERS; i++)
        chi += (seen[i] - DRAWN / LETTERS) * (seen[i] - DRAWN / LETTERS) / (DRAWN / LETTERS);
    assert_true(chi < 161); /* 99 degrees of freedom */
    free(text);
    char one[25];
    crypto_password_new(NULL, 24, one);
    assert_int_equal(strspn(one, "abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"), 24);
    crypto_password_new("01", 0, one);
    assert_string_equal(one, "");
}

static void test_equal(void **state)
{
    (void)state;
    assert_true(crypto_equal("abc", "abc", 3));
    assert_false(crypto_equal("abc", "abd", 3));
    assert_false(crypto_equal("xbc", "abc", 3));
    assert_true(crypto_equal("", "x", 0));
    char secret[4] = "key";
    crypto_wipe(secret, sizeof secret);
    assert_memory_equal(secret, "\0\0\0\0", 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha256), cmocka_unit_test(test_hmac), cmocka_unit_test(test_hkdf), cmocka_unit_test(test_gcm), cmocka_unit_test(test_gcm_of_nothing),
        cmocka_unit_test(test_base64), cmocka_unit_test(test_hex), cmocka_unit_test(test_tokens), cmocka_unit_test(test_passwords), cmocka_unit_test(test_equal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
