#include "graph/plan.h"

pio_status pio_record(const pio_schedule *schedule, pio_kernels *kernels, pio_list *list, pio_error *error) {
    for (int32_t i = 0; i < schedule->n_commands; i++) {
        const pio_command *command = &schedule->commands[i];
        pio_status status = command->barrier_before ? pio_list_barrier(list, error) : PIO_OK;
        if (!status) status = pio_kernels_record(kernels, list, command->planned->row, &command->call, error);
        if (status) return status;
    }
    return PIO_OK;
}
