/* Holds a pod's namespaces: reaps orphaned processes and ends on SIGTERM or SIGINT. */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void end(int number) {
    (void)number;
    _exit(0);
}

static void reap(int number) {
    int saved = errno;
    (void)number;
    while (waitpid(-1, 0, WNOHANG) > 0) {
    }
    errno = saved;
}

int main(void) {
    struct sigaction on_end = {.sa_handler = end};
    struct sigaction on_child = {.sa_handler = reap, .sa_flags = SA_NOCLDSTOP};
    if (sigaction(SIGINT, &on_end, 0) || sigaction(SIGTERM, &on_end, 0) ||
        sigaction(SIGCHLD, &on_child, 0)) {
        return 1;
    }
    for (;;) {
        pause();
    }
}
