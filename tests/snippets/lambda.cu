// gives: 1 4 7 10 13 16 19 22
// refused in C: lambda
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    int b = 3;
    auto f = [&](int a) { return a * b; };
    auto g = [](int a) { return a + 1; };
    o[t] = g(f(t));
}
