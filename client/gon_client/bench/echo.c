/* The C echo of `gon bench`: 64 bytes there and back over a blocking TCP socket, nothing else.
 *
 *   echo serve               prints its loopback port, answers one connection after the other
 *   echo ask PORT COUNT      prints the nanoseconds of COUNT round trips, one a line
 *
 * `serve` ends with its standard input.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BYTES = 64, COUNT_MAX = 1000000 };

static int fail(const char *what)
{
    perror(what);
    return 1;
}

static void undelayed(int fd)
{
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

/* Whether all bytes came. */
static int receive(int fd, char *bytes)
{
    size_t have = 0;
    while (have < BYTES) {
        ssize_t got = recv(fd, bytes + have, BYTES - have, 0);
        if (got <= 0)
            return 0;
        have += (size_t)got;
    }
    return 1;
}

static int transmit(int fd, const char *bytes)
{
    size_t gone = 0;
    while (gone < BYTES) {
        ssize_t took = send(fd, bytes + gone, BYTES - gone, MSG_NOSIGNAL);
        if (took <= 0)
            return 0;
        gone += (size_t)took;
    }
    return 1;
}

static struct sockaddr_in loopback(int port)
{
    struct sockaddr_in address;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)port);
    return address;
}

static int serve(void)
{
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) < 0 ||
        listen(listener, 4) < 0 || getsockname(listener, (struct sockaddr *)&address, &size) < 0)
        return fail("serve");
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        struct pollfd waits[2] = {{.fd = listener, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
        char bytes[BYTES];
        int fd;
        if (poll(waits, 2, -1) < 0)
            return fail("poll");
        if (waits[1].revents)
            return 0;
        fd = accept(listener, NULL, NULL);
        if (fd < 0)
            continue;
        undelayed(fd);
        while (receive(fd, bytes) && transmit(fd, bytes))
            ;
        close(fd);
    }
}

static int ask(int port, long count)
{
    struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    long *taken_ns = calloc((size_t)count, sizeof *taken_ns);
    char bytes[BYTES] = {0};
    if (taken_ns == NULL || fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        return fail("ask");
    undelayed(fd);
    for (long number = 0; number < count; number++) {
        struct timespec start, end;
        clock_gettime(CLOCK_MONOTONIC, &start);
        if (!transmit(fd, bytes) || !receive(fd, bytes))
            return fail("round trip");
        clock_gettime(CLOCK_MONOTONIC, &end);
        taken_ns[number] =
            (end.tv_sec - start.tv_sec) * 1000000000L + (end.tv_nsec - start.tv_nsec);
    }
    for (long number = 0; number < count; number++)
        printf("%ld\n", taken_ns[number]);
    free(taken_ns);
    return 0;
}

int main(int count, char **words)
{
    if (count == 2 && strcmp(words[1], "serve") == 0)
        return serve();
    if (count == 4 && strcmp(words[1], "ask") == 0) {
        long trips = atol(words[3]);
        if (trips > 0 && trips <= COUNT_MAX)
            return ask(atoi(words[2]), trips);
    }
    fprintf(stderr, "usage: echo serve | echo ask PORT COUNT\n");
    return 2;
}
