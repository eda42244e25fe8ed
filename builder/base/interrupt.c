#include "base/interrupt.h"

#include <signal.h>
#include <string.h>

static volatile sig_atomic_t caught;

static void on_signal(int number)
{
    if (caught) {
        signal(number, SIG_DFL);
        raise(number);
    }
    caught = number;
}

void interrupt_install(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

int interrupted(void)
{
    return caught;
}

bool interrupt_error(struct error **err)
{
    return error_set(err, caught == SIGINT ? ERROR_INTERRUPTED : ERROR_TERMINATED, "%s",
                     caught == SIGINT ? "interrupted" : "terminated");
}
