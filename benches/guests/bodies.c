// Planets around a sun: floating point, with a square root in every step.
#include <math.h>

struct body {
    double place[3], speed[3], mass;
};

static struct body bodies[5] = {
    {{0, 0, 0}, {0, 0, 0}, 39.478},
    {{4.841, -1.160, -0.104}, {0.606, 2.812, -0.025}, 0.0377},
    {{8.343, 4.125, -0.403}, {-1.011, 1.826, 0.008}, 0.0113},
    {{12.894, -15.111, -0.223}, {1.083, 0.869, -0.011}, 0.0017},
    {{15.380, -25.919, 0.179}, {0.979, 0.594, -0.035}, 0.0020},
};

static void move(double time) {
    for (int i = 0; i < 5; i++) {
        for (int j = i + 1; j < 5; j++) {
            double apart[3], square = 0;
            for (int k = 0; k < 3; k++) {
                apart[k] = bodies[i].place[k] - bodies[j].place[k];
                square += apart[k] * apart[k];
            }
            double pull = time / (square * sqrt(square));
            for (int k = 0; k < 3; k++) {
                bodies[i].speed[k] -= apart[k] * bodies[j].mass * pull;
                bodies[j].speed[k] += apart[k] * bodies[i].mass * pull;
            }
        }
    }
    for (int i = 0; i < 5; i++) {
        for (int k = 0; k < 3; k++) bodies[i].place[k] += time * bodies[i].speed[k];
    }
}

int main(void) {
    for (int step = 0; step < 40000; step++) move(0.001);
    return isnan(bodies[0].place[0]);
}
