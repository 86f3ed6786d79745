/* A disk whose every flush takes 5 ms longer: preloaded into whatever is measured. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/types.h>
#include <time.h>

#define EXTRA_NS 5000000L

static void wait_longer(void) {
    struct timespec extra = {0, EXTRA_NS};
    while (nanosleep(&extra, &extra) != 0) {
    }
}

int fsync(int fd) {
    static int (*real)(int);
    if (!real)
        real = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    wait_longer();
    return real(fd);
}

int fdatasync(int fd) {
    static int (*real)(int);
    if (!real)
        real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    wait_longer();
    return real(fd);
}

int sync_file_range(int fd, off64_t offset, off64_t length, unsigned int flags) {
    static int (*real)(int, off64_t, off64_t, unsigned int);
    if (!real)
        real = (int (*)(int, off64_t, off64_t, unsigned int))dlsym(RTLD_NEXT, "sync_file_range");
    wait_longer();
    return real(fd, offset, length, flags);
}
