/* primes: how many primes there are up to a number. Nothing but computing.
 *
 *     wasmrun primes.wasm 10000000
 */
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
    long limit = argc > 1 ? strtol(argv[1], NULL, 10) : 1000000;
    if (limit < 0 || limit > 500000000) {
        fprintf(stderr, "primes: give a number up to 500000000, not %s\n", argv[1]);
        return 2;
    }
    char *composite = calloc((size_t)limit + 1, 1);
    if (composite == NULL) {
        fprintf(stderr, "primes: not enough memory for %ld numbers\n", limit);
        return 1;
    }
    long found = 0;
    for (long n = 2; n <= limit; n++) {
        if (composite[n])
            continue;
        found++;
        for (long long multiple = (long long)n * n; multiple <= limit; multiple += n)
            composite[multiple] = 1;
    }
    printf("%ld primes up to %ld\n", found, limit);
    return 0;
}
