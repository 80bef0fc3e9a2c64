/* journal: appends what it reads, line by line and numbered, to a file in a mapped directory.
 *
 *     echo "a good day" | wasmrun --dir notes::/notes:rw journal.wasm /notes/journal.txt
 *
 * The author of an entry is the environment variable AUTHOR, if it is given: --env AUTHOR=me
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int lines_in(const char *path) {
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return 0;
    int lines = 0;
    for (int c; (c = fgetc(file)) != EOF;)
        lines += c == '\n';
    fclose(file);
    return lines;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "journal: name the file to write to\n");
        return 2;
    }
    int number = lines_in(argv[1]);
    FILE *file = fopen(argv[1], "a");
    if (file == NULL) {
        fprintf(stderr, "journal: cannot write to %s: %s\n", argv[1], strerror(errno));
        return 1;
    }
    const char *author = getenv("AUTHOR");
    char line[4096];
    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        fprintf(file, "%3d  %s%s%s\n", ++number, author ? author : "", author ? ": " : "", line);
    }
    if (fclose(file) != 0) {
        fprintf(stderr, "journal: cannot write to %s: %s\n", argv[1], strerror(errno));
        return 1;
    }
    printf("%s has %d entries\n", argv[1], number);
    return 0;
}
