// A price book read from files, whole, into memory: the shipped one, for the program `finops-estimate` and for filling the plugin's tables.
//
// A file is CSV, plain or gzip. Lines `# key: value` come first: source, date (both required), currency (USD when absent), licence. Then the columns
// provider,service,region,sku,term,unit,from,to,price,valid_from,valid_to. Read once, then any thread may ask.
#ifndef FINOPS_BOOK_FILE_H
#define FINOPS_BOOK_FILE_H
#include "plugins/finops/book.h"
#include "plugins/finops/doc.h"

struct book_file;

struct book_row {
    const char *provider, *service, *region, *sku, *term, *valid_from, *valid_to; // the last two may be ""
    const char *file;
    struct price price;
};

struct book_file *book_file_new(void);
void book_file_free(struct book_file *book);

// Adds the rows of one file, named in errors. False, and words with the line, when one is not right: nothing of it is added then.
bool book_file_read(struct book_file *book, const char *text, size_t len, const char *name, char why[DOC_WHY]);
// The same from disk, plain or gzip.
bool book_file_load(struct book_file *book, const char *path, char why[DOC_WHY]);
// Every *.csv and *.csv.gz of a folder.
bool book_file_load_folder(struct book_file *book, const char *folder, char why[DOC_WHY]);

// Of the files of a folder that book_file_load_folder() would read, without reading them as prices: 16 hexadecimal digits.
bool book_file_fingerprint(const char *folder, char ret_digest[17], char why[DOC_WHY]);
// The date in the head of the file of that name.
const char *book_file_date(const struct book_file *book, const char *name);
size_t book_file_count(const struct book_file *book);
const struct book_row *book_file_row(const struct book_file *book, size_t i);

// Prices are taken at the newest date of the files, unless another is set.
void book_file_set_date(struct book_file *book, const char *as_of);
// The book that an estimate asks. A region that has no price is asked as "*" too, unless it is one of China or of the US government. Borrowed from `book`.
struct book book_file_view(const struct book_file *book);

#endif
