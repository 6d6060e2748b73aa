/* The one complication here: two processes (and several nodes) hold the same file. Whoever meets a key it does not know reads the file again. */
#include "portal/crypto/keyring.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "portal/core/clock.h"
#include "portal/core/fs.h"

#define KEYS_MAX 64
#define FILE_MAX 65536

struct key {
    uint32_t id;
    char created[32];
    uint8_t bytes[CRYPTO_KEY];
};

struct keys {
    struct key key[KEYS_MAX];
    int n, active; /* index of the active one */
};

/* What tells one file from its successor; the time alone is too coarse. */
struct version {
    struct timespec changed;
    ino_t inode;
    off_t size;
};

struct keyring {
    char *path;
    pthread_rwlock_t lock;
    struct keys keys;
    struct version version; /* of the file, when it was read */
};

static _Atomic(struct keyring *) instance;

void keyring_set_instance(struct keyring *k)
{
    instance = k;
}

struct keyring *keyring_instance(void)
{
    return instance;
}

static int find(const struct keys *keys, uint32_t id)
{
    for (int i = 0; i < keys->n; i++)
        if (keys->key[i].id == id)
            return i;
    return -1;
}

static int check_mode(const char *path, struct version *ret_version, struct err *e)
{
    struct stat st;
    if (stat(path, &st))
        return err_errno(e, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, errno, "cannot read the key file %s", path);
    if (!S_ISREG(st.st_mode))
        return err_set(e, ERR_INVALID, "the key file %s is not a regular file", path);
    if (st.st_mode & 077)
        return err_set(e, ERR_DENIED, "others may read the key file %s (mode %03o): run chmod 600 on it, and rotate the keys if somebody could have read them", path, st.st_mode & 0777u);
    if (st.st_uid != geteuid() && geteuid() != 0)
        return err_set(e, ERR_DENIED, "the key file %s belongs to another user (uid %u): give it to the user that runs the node", path, st.st_uid);
    if (ret_version)
        *ret_version = (struct version){st.st_ctim, st.st_ino, st.st_size};
    return 0;
}

static int parse_id(const char *text, uint32_t *ret)
{
    uint8_t b[4];
    if (strlen(text) != 8 || !crypto_unhex(text, 8, b))
        return -1;
    *ret = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
    return *ret ? 0 : -1;
}

static int parse_key(char *save, struct keys *keys, const char **ret_why)
{
    char *id = strtok_r(NULL, " \t", &save), *created = strtok_r(NULL, " \t", &save), *bytes = strtok_r(NULL, " \t", &save);
    struct key *key = &keys->key[keys->n];
    __attribute__((cleanup(buf_wipe))) struct buf raw = BUF_INIT;
    if (keys->n == KEYS_MAX)
        *ret_why = "too many keys";
    else if (!bytes || strtok_r(NULL, " \t", &save))
        *ret_why = "expected: key ID CREATED BASE64";
    else if (parse_id(id, &key->id) || find(keys, key->id) >= 0)
        *ret_why = "an id is 8 hexadecimal digits, not all zero, and stands once";
    else if (crypto_unbase64(bytes, strlen(bytes), &raw, NULL) || raw.len != CRYPTO_KEY)
        *ret_why = "a key is 32 bytes in base64";
    else {
        snprintf(key->created, sizeof key->created, "%s", created);
        memcpy(key->bytes, raw.data, CRYPTO_KEY);
        keys->n++;
        return 0;
    }
    return -1;
}

static int parse_line(char *line, struct keys *keys, uint32_t *active, const char **ret_why)
{
    char *save = NULL, *word = strtok_r(line, " \t", &save);
    if (!word || *word == '#')
        return 0;
    if (!strcmp(word, "key"))
        return parse_key(save, keys, ret_why);
    char *id = strtok_r(NULL, " \t", &save);
    if (strcmp(word, "active") || *active || !id || strtok_r(NULL, " \t", &save) || parse_id(id, active)) {
        *ret_why = "expected a line `key ...`, or `active ID` once";
        return -1;
    }
    return 0;
}

static int parse(const char *path, char *text, struct keys *keys, struct err *e)
{
    uint32_t active = 0;
    int number = 0;
    for (char *next, *line = text; line; line = next) {
        number++;
        if ((next = strchr(line, '\n')))
            *next++ = 0;
        const char *why = NULL;
        if (parse_line(line, keys, &active, &why))
            return err_set(e, ERR_INVALID, "%s:%d: %s", path, number, why);
    }
    keys->active = active ? find(keys, active) : -1;
    if (keys->active < 0)
        return err_set(e, ERR_INVALID, "the key file %s names no active key that it holds", path);
    return 0;
}

/* The version is taken before the text: a change in between is then seen as one the next time. */
static int load(const char *path, struct keys *keys, struct version *ret_version, struct err *e)
{
    memset(keys, 0, sizeof *keys);
    int r = check_mode(path, ret_version, e);
    if (r)
        return r;
    __attribute__((cleanup(buf_wipe))) struct buf text = BUF_INIT;
    r = fs_read(path, FILE_MAX, &text, e);
    if (r)
        return r;
    if (strlen(buf_cstr(&text)) != text.len)
        return err_set(e, ERR_INVALID, "the key file %s is not text", path);
    buf_reserve(&text, 1);
    return parse(path, text.data, keys, e);
}

static int store(const char *path, const struct keys *keys, struct err *e)
{
    __attribute__((cleanup(buf_wipe))) struct buf text = BUF_INIT;
    buf_reserve(&text, FILE_MAX); /* so that no copy with keys is left behind by growing */
    buf_str(&text, "# Soma's key file: without it nothing sealed in the database can be opened. Keep a copy apart from the database's copies.\n");
    for (int i = 0; i < keys->n; i++) {
        const struct key *key = &keys->key[i];
        buf_printf(&text, "key %08" PRIx32 " %s ", key->id, key->created);
        crypto_base64(key->bytes, sizeof key->bytes, &text);
        buf_char(&text, '\n');
    }
    buf_printf(&text, "active %08" PRIx32 "\n", keys->key[keys->active].id);
    return fs_write_atomic(path, text.data, text.len, 0600, e);
}

static int add_key(struct keys *keys, struct err *e)
{
    if (keys->n == KEYS_MAX)
        return err_set(e, ERR_CONFLICT, "the key file holds %d keys: re-seal and drop old ones first", KEYS_MAX);
    struct key *key = &keys->key[keys->n];
    do
        crypto_random(&key->id, sizeof key->id);
    while (!key->id || find(keys, key->id) >= 0);
    clock_rfc3339(clock_wall_ms(), key->created);
    crypto_random(key->bytes, sizeof key->bytes);
    keys->active = keys->n++;
    return 0;
}

static void keys_wipe(struct keys *keys)
{
    crypto_wipe(keys, sizeof *keys);
}
#define KEYS_AUTO __attribute__((cleanup(keys_wipe))) struct keys

/* The file is replaced by rename, so its folder carries the lock that keeps two writers apart. */
static int lock_folder(const char *path, int *ret_fd, struct err *e)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    int n = slash ? (int)(slash - path) : 1;
    snprintf(folder, sizeof folder, "%.*s", n ? n : 1, slash ? path : ".");
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || flock(fd, LOCK_EX)) {
        int cause = errno;
        fs_closep(&fd);
        return err_errno(e, ERR_IO, cause, "cannot lock the folder of the key file %s", path);
    }
    *ret_fd = fd;
    return 0;
}

int keyring_init_file(const char *path, struct err *e)
{
    FD_AUTO fd = -1;
    KEYS_AUTO keys = {0};
    int r = lock_folder(path, &fd, e);
    if (!r && access(path, F_OK) == 0)
        r = err_set(e, ERR_CONFLICT, "there is a key file %s already; it is never overwritten, because what it sealed would be lost", path);
    if (!r)
        r = add_key(&keys, e);
    return r ? r : store(path, &keys, e);
}

int keyring_rotate_file(const char *path, uint32_t *ret_id, struct err *e)
{
    FD_AUTO fd = -1;
    KEYS_AUTO keys = {0};
    int r = lock_folder(path, &fd, e);
    if (!r)
        r = load(path, &keys, NULL, e);
    if (!r)
        r = add_key(&keys, e);
    if (!r)
        r = store(path, &keys, e);
    if (!r && ret_id)
        *ret_id = keys.key[keys.active].id;
    return r;
}

int keyring_drop_file(const char *path, uint32_t id, struct err *e)
{
    FD_AUTO fd = -1;
    KEYS_AUTO keys = {0};
    int r = lock_folder(path, &fd, e);
    if (!r)
        r = load(path, &keys, NULL, e);
    if (r)
        return r;
    int at = find(&keys, id);
    if (at < 0)
        return err_set(e, ERR_NOT_FOUND, "the key file %s holds no key %08" PRIx32, path, id);
    if (at == keys.active)
        return err_set(e, ERR_CONFLICT, "key %08" PRIx32 " is the active one: rotate first, then re-seal, then drop it", id);
    memmove(&keys.key[at], &keys.key[at + 1], sizeof keys.key[0] * (size_t)(keys.n - at - 1));
    keys.n--;
    keys.active -= keys.active > at;
    return store(path, &keys, e);
}

int keyring_open(const char *path, struct keyring **ret, struct err *e)
{
    struct keyring *k = calloc(1, sizeof *k);
    if (!k || !(k->path = strdup(path))) {
        free(k);
        return err_set(e, ERR_NOMEM, "no memory for the key file");
    }
    int r = load(path, &k->keys, &k->version, e);
    if (r) {
        keys_wipe(&k->keys);
        free(k->path);
        free(k);
        return r;
    }
    pthread_rwlock_init(&k->lock, NULL);
    *ret = k;
    return 0;
}

void keyring_free(struct keyring *k)
{
    if (!k)
        return;
    struct keyring *current = k;
    atomic_compare_exchange_strong(&instance, &current, NULL);
    pthread_rwlock_destroy(&k->lock);
    keys_wipe(&k->keys);
    free(k->path);
    free(k);
}

int keyring_reload(struct keyring *k, struct err *e)
{
    KEYS_AUTO keys = {0};
    struct version version;
    int r = load(k->path, &keys, &version, e);
    if (r)
        return r;
    pthread_rwlock_wrlock(&k->lock);
    k->keys = keys;
    k->version = version;
    pthread_rwlock_unlock(&k->lock);
    return 0;
}

uint32_t keyring_active(const struct keyring *k)
{
    pthread_rwlock_t *lock = (pthread_rwlock_t *)&k->lock;
    pthread_rwlock_rdlock(lock);
    uint32_t id = k->keys.key[k->keys.active].id;
    pthread_rwlock_unlock(lock);
    return id;
}

int keyring_ids(const struct keyring *k, uint32_t *ret_ids, int max)
{
    pthread_rwlock_t *lock = (pthread_rwlock_t *)&k->lock;
    pthread_rwlock_rdlock(lock);
    int n = k->keys.n;
    for (int i = 0; i < n && i < max; i++)
        ret_ids[i] = k->keys.key[i].id;
    pthread_rwlock_unlock(lock);
    return n;
}

static bool copy_key(struct keyring *k, uint32_t id, uint8_t out[CRYPTO_KEY], uint32_t *ret_id)
{
    pthread_rwlock_rdlock(&k->lock);
    int at = id ? find(&k->keys, id) : k->keys.active;
    if (at >= 0) {
        memcpy(out, k->keys.key[at].bytes, CRYPTO_KEY);
        *ret_id = k->keys.key[at].id;
    }
    pthread_rwlock_unlock(&k->lock);
    return at >= 0;
}

/* An id may come from outside (a cursor): the file is read again only when it is another one than before. */
static bool reload_if_changed(struct keyring *k)
{
    struct version now;
    pthread_rwlock_rdlock(&k->lock);
    struct version then = k->version;
    pthread_rwlock_unlock(&k->lock);
    if (check_mode(k->path, &now, NULL))
        return false;
    if (now.inode == then.inode && now.size == then.size && now.changed.tv_sec == then.changed.tv_sec && now.changed.tv_nsec == then.changed.tv_nsec)
        return false;
    return keyring_reload(k, NULL) == 0;
}

int keyring_derive(struct keyring *k, uint32_t id, const char *purpose, uint8_t out[CRYPTO_KEY], uint32_t *ret_id, struct err *e)
{
    uint8_t master[CRYPTO_KEY];
    uint32_t used = 0;
    if (!copy_key(k, id, master, &used) && (!reload_if_changed(k) || !copy_key(k, id, master, &used)))
        return err_set(e, ERR_NOT_FOUND, "the key %08" PRIx32 " is not in the key file %s: put back the copy of the file that holds it", id, k->path);
    char info[128];
    snprintf(info, sizeof info, "soma/v1/%s", purpose);
    crypto_hkdf(master, sizeof master, NULL, 0, info, out, CRYPTO_KEY);
    crypto_wipe(master, sizeof master);
    if (ret_id)
        *ret_id = used;
    return 0;
}
