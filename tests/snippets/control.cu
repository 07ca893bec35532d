// gives: 1112 1512 1512 1312 1312 312 1312 1312
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    int s = 0;
    for (int i = 0, j = 3; i < 5; i++, j--) {
        if (i == 1)
            continue;
        if (i == 4)
            break;
        s += i * j;
    }
    int w = 0;
    while (w < 3) {
        w++;
    }
    do {
        w++;
    } while (w < 10);
    switch (t) {
    case 0:
        s += 100;
        break;
    case 1:
    case 2:
        s += 200;
    default:
        s += 300;
    }
    if (t == 5)
        goto kernel;
    s += 1000;
kernel:
    o[t] = s + w;
}
