#include "plugins/finops/book_file.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define COLUMNS 11
#define MAX_FILE ((size_t)256 << 20)

struct book_file {
    struct pool *pool;
    struct book_row *rows;
    size_t count, room;
    size_t *slots, slot_count; // open addressing: index + 1 of the first row of a key; rows of one key are chained by next
    size_t *next;
    const char *as_of;
    struct named_date *dates;
};

struct named_date {
    const char *name, *date;
    struct named_date *next;
};

struct head {
    const char *name, *source, *date, *currency;
};

struct book_file *book_file_new(void)
{
    struct book_file *book = calloc(1, sizeof *book);
    if (!book)
        abort();
    book->pool = pool_new();
    book->as_of = "";
    return book;
}

void book_file_free(struct book_file *book)
{
    if (!book)
        return;
    pool_free(book->pool);
    free(book->rows);
    free(book->slots);
    free(book->next);
    free(book);
}

static void *grow(void *memory, size_t count, size_t size)
{
    memory = reallocarray(memory, count, size);
    if (!memory)
        abort();
    return memory;
}

// --- the index

static size_t hash_text(size_t hash, const char *text)
{
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 1099511628211u;
    return (hash ^ '|') * 1099511628211u;
}

static size_t hash_key(const struct price_key *k)
{
    size_t hash = hash_text(hash_text(14695981039346656037u, k->provider), k->service);
    return hash_text(hash_text(hash_text(hash, k->region), k->sku), k->term);
}

static bool is_of(const struct book_row *r, const struct price_key *k)
{
    return !strcmp(r->sku, k->sku) && !strcmp(r->region, k->region) && !strcmp(r->term, k->term) && !strcmp(r->service, k->service) && !strcmp(r->provider, k->provider);
}

static struct price_key key_of(const struct book_row *r) { return (struct price_key){ r->provider, r->service, r->region, r->sku, r->term }; }

static size_t *slot_of(const struct book_file *book, const struct price_key *key)
{
    size_t mask = book->slot_count - 1, i = hash_key(key) & mask;
    while (book->slots[i] && !is_of(&book->rows[book->slots[i] - 1], key))
        i = (i + 1) & mask;
    return &book->slots[i];
}

static void index_rows(struct book_file *book)
{
    size_t want = 1024;
    while (want < book->count * 2)
        want *= 2;
    free(book->slots);
    book->slots = calloc(want, sizeof *book->slots);
    if (!book->slots)
        abort();
    book->slot_count = want;
    book->next = grow(book->next, book->count + 1, sizeof *book->next);
    for (size_t i = book->count; i-- > 0;) { // from behind, so that a chain is in the order of the file
        struct price_key key = key_of(&book->rows[i]);
        size_t *slot = slot_of(book, &key);
        book->next[i] = *slot;
        *slot = i + 1;
    }
}

// --- reading

static bool complain(char why[DOC_WHY], const char *name, size_t line, const char *words)
{
    snprintf(why, DOC_WHY, "%.100s, line %zu: %s", name, line, words);
    return false;
}

static bool is_date(const char *text)
{
    if (strlen(text) != 10)
        return false;
    for (int i = 0; i < 10; i++)
        if ((i == 4 || i == 7) ? text[i] != '-' : text[i] < '0' || text[i] > '9')
            return false;
    return true;
}

static void read_head(struct pool *pool, const char *line, struct head *head)
{
    const char *value = strstr(line, ": ");
    if (!value)
        return;
    if (!strncmp(line, "# source:", 9))
        head->source = pool_copy(pool, value + 2);
    else if (!strncmp(line, "# date:", 7))
        head->date = pool_copy(pool, value + 2);
    else if (!strncmp(line, "# currency:", 11))
        head->currency = pool_copy(pool, value + 2);
}

// Splits in place. These files quote nothing: no field may hold a comma.
static size_t split(char *line, char *fields[COLUMNS + 1])
{
    size_t count = 0;
    for (char *p = line; p && count <= COLUMNS; count++) {
        fields[count] = p;
        p = strchr(p, ',');
        if (p)
            *p++ = 0;
    }
    return count;
}

static const char *read_numbers(char *f[], struct price *price)
{
    if (!dec_parse(f[6], &price->from))
        return "`from` is not a number";
    price->to = dec_none();
    if (*f[7] && !dec_parse(f[7], &price->to))
        return "`to` is not a number";
    if (!dec_parse(f[8], &price->amount) || dec_cmp(price->amount, dec_int(0)) < 0)
        return "the price is not a number of 0 or more";
    if (!dec_is_none(price->to) && dec_cmp(price->to, price->from) <= 0)
        return "`to` must be above `from`";
    return NULL;
}

static const char *read_row(const struct head *head, char *line, struct book_row *row)
{
    char *f[COLUMNS + 1];
    if (!head->source || !head->date || !is_date(head->date))
        return "the file must begin with `# source: ...` and `# date: YYYY-MM-DD`";
    if (split(line, f) != COLUMNS)
        return "there must be 11 columns: provider,service,region,sku,term,unit,from,to,price,valid_from,valid_to";
    for (int i = 0; i < 6; i++)
        if (!*f[i])
            return "provider, service, region, sku, term and unit must not be empty";
    if ((*f[9] && !is_date(f[9])) || (*f[10] && !is_date(f[10])))
        return "valid_from and valid_to are dates, YYYY-MM-DD";
    *row = (struct book_row){ .provider = f[0], .service = f[1], .region = f[2], .sku = f[3], .term = f[4], .valid_from = f[9], .valid_to = f[10], .file = head->name };
    row->price = (struct price){ .unit = f[5], .currency = head->currency ? head->currency : "USD", .source = head->source, .date = *f[9] ? f[9] : head->date };
    return read_numbers(f, &row->price);
}

static void keep_row(struct book_file *book, const struct book_row *row)
{
    if (book->count == book->room) {
        book->room = book->room ? book->room * 2 : 4096;
        book->rows = grow(book->rows, book->room, sizeof *book->rows);
    }
    book->rows[book->count++] = *row;
}

static bool read_lines(struct book_file *book, char *text, const char *name, struct head *head, char why[DOC_WHY])
{
    size_t number = 0;
    bool titled = false;
    for (char *line = text, *end; line && *line; line = end) {
        number++;
        end = strchr(line, '\n');
        if (end)
            *end++ = 0;
        line[strcspn(line, "\r")] = 0;
        if (*line == '#') {
            read_head(book->pool, line, head);
        } else if (!titled) {
            titled = true;
            if (strcmp(line, "provider,service,region,sku,term,unit,from,to,price,valid_from,valid_to"))
                return complain(why, name, number, "the columns must be provider,service,region,sku,term,unit,from,to,price,valid_from,valid_to");
        } else if (*line) {
            struct book_row row;
            const char *words = read_row(head, line, &row);
            if (words)
                return complain(why, name, number, words);
            keep_row(book, &row);
        }
    }
    return titled || complain(why, name, number, "the file has no rows");
}

bool book_file_read(struct book_file *book, const char *text, size_t len, const char *name, char why[DOC_WHY])
{
    size_t before = book->count;
    struct head head = { .name = pool_copy(book->pool, name) };
    if (memchr(text, 0, len))
        return complain(why, name, 1, "the file holds a NUL: it is not CSV");
    if (!read_lines(book, pool_copy_len(book->pool, text, len), name, &head, why)) {
        book->count = before;
        return false;
    }
    if (head.date && strcmp(head.date, book->as_of) > 0)
        book->as_of = head.date;
    struct named_date *dated = pool_take(book->pool, sizeof *dated);
    *dated = (struct named_date){ head.name, head.date ? head.date : "", book->dates };
    book->dates = dated;
    index_rows(book);
    return true;
}

static char *read_gzip(const char *path, size_t *ret_len, char why[DOC_WHY])
{
    gzFile file = gzopen(path, "rb");
    char *text = NULL;
    size_t len = 0, room = 0;
    int got = -1;
    while (file && len < MAX_FILE) {
        if (room - len < 65536)
            text = grow(text, room = room ? room * 2 : 1 << 20, 1);
        got = gzread(file, text + len, (unsigned)(room - len < 1 << 20 ? room - len : 1 << 20));
        if (got <= 0)
            break;
        len += (size_t)got;
    }
    if (file)
        gzclose(file);
    if (got != 0) {
        snprintf(why, DOC_WHY, "%.180s cannot be read: %s", path, !file ? strerror(errno) : got < 0 ? "it is damaged" : "it is too large");
        free(text);
        return NULL;
    }
    *ret_len = len;
    return text;
}

bool book_file_load(struct book_file *book, const char *path, char why[DOC_WHY])
{
    size_t len;
    char *text = read_gzip(path, &len, why);
    if (!text)
        return false;
    const char *slash = strrchr(path, '/');
    bool good = book_file_read(book, text, len, slash ? slash + 1 : path, why);
    free(text);
    return good;
}

static int is_price_file(const struct dirent *entry)
{
    const char *dot = strstr(entry->d_name, ".csv");
    return dot && (!strcmp(dot, ".csv") || !strcmp(dot, ".csv.gz"));
}

// Does something with each file of a folder, in order of their names: which prices there are must not depend on the file system.
static bool each_file(const char *folder, bool (*visit)(void *data, const char *path, char why[DOC_WHY]), void *data, char why[DOC_WHY])
{
    struct dirent **entries;
    int count = scandir(folder, &entries, is_price_file, alphasort);
    bool good = count > 0;
    if (count <= 0)
        snprintf(why, DOC_WHY, "there are no price files in %.180s", folder);
    for (int i = 0; i < count; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        good = good && visit(data, path, why);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    return good;
}

static bool load_visited(void *data, const char *path, char why[DOC_WHY])
{
    return book_file_load(data, path, why);
}

bool book_file_load_folder(struct book_file *book, const char *folder, char why[DOC_WHY])
{
    return each_file(folder, load_visited, book, why);
}

void book_file_set_date(struct book_file *book, const char *as_of) { book->as_of = pool_copy(book->pool, as_of); }

static bool digest_visited(void *data, const char *path, char why[DOC_WHY])
{
    size_t *digest = data;
    FILE *file = fopen(path, "rb");
    if (!file) {
        snprintf(why, DOC_WHY, "%.180s cannot be read: %s", path, strerror(errno));
        return false;
    }
    *digest = hash_text(*digest, strrchr(path, '/'));
    for (int c; (c = getc_unlocked(file)) != EOF;)
        *digest = (*digest ^ (unsigned char)c) * 1099511628211u;
    fclose(file);
    return true;
}

bool book_file_fingerprint(const char *folder, char ret_digest[17], char why[DOC_WHY])
{
    size_t digest = 14695981039346656037u;
    if (!each_file(folder, digest_visited, &digest, why))
        return false;
    snprintf(ret_digest, 17, "%016zx", digest);
    return true;
}

const char *book_file_date(const struct book_file *book, const char *name)
{
    for (const struct named_date *d = book->dates; d; d = d->next)
        if (!strcmp(d->name, name))
            return d->date;
    return "";
}

size_t book_file_count(const struct book_file *book) { return book->count; }

const struct book_row *book_file_row(const struct book_file *book, size_t i) { return &book->rows[i]; }

// --- asking

static bool find_exactly(const struct book_file *book, const char *as_of, const struct price_key *key, struct price_list *ret_list)
{
    ret_list->count = 0;
    if (!book->slot_count)
        return false;
    const char *source = NULL; // the first file that has the price has it whole
    for (size_t i = *slot_of(book, key); i; i = book->next[i - 1]) {
        const struct book_row *row = &book->rows[i - 1];
        bool holds = strcmp(row->valid_from, as_of) <= 0 && (!*row->valid_to || strcmp(as_of, row->valid_to) <= 0);
        if (!holds || (source && strcmp(source, row->price.source)) || ret_list->count == BOOK_TIERS)
            continue;
        source = row->price.source;
        ret_list->tiers[ret_list->count++] = row->price;
    }
    return ret_list->count > 0;
}

static bool is_apart(const char *region) { return !strncmp(region, "cn-", 3) || !strncmp(region, "us-gov-", 7); }

static bool find(void *data, struct pool *pool, const struct price_key *key, struct price_list *ret_list)
{
    const struct book_file *book = data;
    struct price_key everywhere = *key;
    everywhere.region = "*";
    (void)pool;
    return find_exactly(book, book->as_of, key, ret_list) || (!is_apart(key->region) && find_exactly(book, book->as_of, &everywhere, ret_list));
}

struct book book_file_view(const struct book_file *book) { return (struct book){ .find = find, .data = (void *)book, .as_of = book->as_of }; }
