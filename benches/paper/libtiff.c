/* libtiff's MMR, in memory: milliseconds to encode all the PBM files given, and to decode them, as medians of as
 * many runs as fit in SECONDS.   libtiff SECONDS PBM... */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <tiffio.h>

struct memory { unsigned char *data; size_t length, room, at; };
struct page { int width, height, stride; unsigned char *rows; struct memory coded; };

static tmsize_t mread(thandle_t h, void *to, tmsize_t n) {
    struct memory *m = h;
    if (m->at + n > m->length) n = m->at < m->length ? m->length - m->at : 0;
    memcpy(to, m->data + m->at, n);
    m->at += n;
    return n;
}
static tmsize_t mwrite(thandle_t h, void *from, tmsize_t n) {
    struct memory *m = h;
    if (m->at + n > m->room) {
        m->room = (m->at + n) * 2;
        m->data = realloc(m->data, m->room);
        if (!m->data) exit(1);
    }
    memcpy(m->data + m->at, from, n);
    m->at += n;
    if (m->at > m->length) m->length = m->at;
    return n;
}
static toff_t mseek(thandle_t h, toff_t to, int whence) {
    struct memory *m = h;
    m->at = whence == SEEK_SET ? to : whence == SEEK_CUR ? m->at + to : m->length + to;
    return m->at;
}
static int mclose(thandle_t h) { (void)h; return 0; }
static toff_t msize(thandle_t h) { return ((struct memory *)h)->length; }

static TIFF *open_memory(struct memory *m, const char *mode) {
    m->at = 0;
    return TIFFClientOpen("page", mode, m, mread, mwrite, mseek, mclose, msize, NULL, NULL);
}

static void encode(struct page *p) {
    p->coded.length = 0;
    TIFF *t = open_memory(&p->coded, "w");
    TIFFSetField(t, TIFFTAG_IMAGEWIDTH, p->width);
    TIFFSetField(t, TIFFTAG_IMAGELENGTH, p->height);
    TIFFSetField(t, TIFFTAG_BITSPERSAMPLE, 1);
    TIFFSetField(t, TIFFTAG_SAMPLESPERPIXEL, 1);
    TIFFSetField(t, TIFFTAG_COMPRESSION, COMPRESSION_CCITTFAX4);
    TIFFSetField(t, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISWHITE);
    TIFFSetField(t, TIFFTAG_ROWSPERSTRIP, p->height);
    if (TIFFWriteEncodedStrip(t, 0, p->rows, (tmsize_t)p->stride * p->height) < 0) exit(1);
    TIFFClose(t);
}
static void decode(struct page *p, unsigned char *to) {
    TIFF *t = open_memory(&p->coded, "rm");
    if (TIFFReadEncodedStrip(t, 0, to, (tmsize_t)p->stride * p->height) < 0) exit(1);
    TIFFClose(t);
}
static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}
static int less(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    double limit = atof(argv[1]) * 1e3;
    int count = argc - 2;
    size_t most = 0;
    struct page *pages = calloc(count, sizeof *pages);
    for (int i = 0; i < count; i++) {
        struct page *p = &pages[i];
        FILE *f = fopen(argv[i + 2], "rb");
        if (!f || fscanf(f, "P4 %d %d", &p->width, &p->height) != 2) return 1;
        fgetc(f);
        p->stride = (p->width + 7) / 8;
        size_t size = (size_t)p->stride * p->height;
        if (size > most) most = size;
        p->rows = malloc(size);
        if (fread(p->rows, 1, size, f) != size) return 1;
        fclose(f);
    }
    unsigned char *to = malloc(most);
    for (int what = 0; what < 2; what++) {
        static double took[100000];
        int runs = 0;
        double start = now();
        while (runs < 5 || (now() - start < limit && runs < 100000)) {
            double from = now();
            for (int i = 0; i < count; i++) what ? decode(&pages[i], to) : encode(&pages[i]);
            took[runs++] = now() - from;
        }
        qsort(took, runs, sizeof *took, less);
        printf("%f ", took[runs / 2]);
    }
    printf("\n");
    return 0;
}
