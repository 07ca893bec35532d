// gives: 10
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    unsigned short a = 60000, b = 3;
    signed char c = -3;
    unsigned char d = 200;
    char e = (char)200;
    unsigned u = 1;
    o[t] = (a * b > 0) + (c < 0) + (d + d == 400) + (e < 0) + (-1 < (int)u) + (-1 > u) +
           (-7 / 2 == -3) + (-7 % 2 == -1) + (-8 >> 1 == -4) + ((unsigned char)(d + 100) == 44);
}
