/* Reads the names in a directory, and the environment: strings that the host hands over. */
#include <dirent.h>
#include <stdlib.h>

int main(void) {
    size_t length = 0;
    for (int i = 0; i < 20; i++) {
        DIR *directory = opendir("/");
        if (directory == NULL)
            return 1;
        for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
            length += entry->d_name[0] != 0;
        closedir(directory);
    }
    return length == 20 * 100 && getenv("NAME") != NULL ? 0 : 2;
}
