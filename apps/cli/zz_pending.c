#include "apps/cli/cli.h"
int cli_run(const cli_options *o) {
    (void)o;
    return 2;
}
int cli_chat(const cli_options *o) {
    (void)o;
    return 2;
}
