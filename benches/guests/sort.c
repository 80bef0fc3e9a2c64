// Sorts by a function of its own: calls through a table, and branches nobody can predict.
#include <stdint.h>
#include <stdlib.h>

static uint32_t numbers[30000];

static int by_value(const void *a, const void *b) {
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

int main(void) {
    const size_t count = sizeof numbers / sizeof *numbers;
    uint32_t state = 1;
    for (size_t i = 0; i < count; i++) {
        state = state * 1664525 + 1013904223;
        numbers[i] = state;
    }
    qsort(numbers, count, sizeof *numbers, by_value);
    for (size_t i = 1; i < count; i++) {
        if (numbers[i - 1] > numbers[i]) return 1;
    }
    return 0;
}
