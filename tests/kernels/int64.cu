// Sixty-four-bit integers: modular powers, generators, divisors, intrinsics.

typedef unsigned long long ull;

extern "C" __global__ void modular_power(const ull* base, const ull* exponent, ull* out, ull modulus, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    ull result = 1 % modulus, b = base[i] % modulus, e = exponent[i];
    while (e > 0) {
        if (e & 1) result = result * b % modulus;
        b = b * b % modulus;
        e >>= 1;
    }
    out[i] = result;
}

// A linear congruential generator that each thread starts where it belongs (jump ahead).
extern "C" __global__ void lcg_streams(ull seed, ull* out, int per_thread, int n)
{
    int t = blockIdx.x * blockDim.x + threadIdx.x;
    ull a = 6364136223846793005ULL, c = 1442695040888963407ULL;
    ull acc_a = 1, acc_c = 0;
    for (ull k = (ull)t * per_thread; k > 0; k >>= 1) {
        if (k & 1) {
            acc_a *= a;
            acc_c = acc_c * a + c;
        }
        c = (a + 1) * c;
        a *= a;
    }
    ull x = acc_a * seed + acc_c;
    for (int j = 0; j < per_thread && t * per_thread + j < n; j++) {
        out[t * per_thread + j] = x;
        x = x * 6364136223846793005ULL + 1442695040888963407ULL;
    }
}

__device__ long long gcd(long long a, long long b)
{
    while (b != 0) {
        long long r = a % b;
        a = b;
        b = r;
    }
    return a < 0 ? -a : a;
}

extern "C" __global__ void gcd_pairs(const longlong2* pairs, long long* out, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = gcd(pairs[i].x, pairs[i].y);
}

extern "C" __global__ void wide_intrinsics(const ull* in, long long* out, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    ull v = in[i], w = in[n - 1 - i];
    out[0 * n + i] = __popcll(v);
    out[1 * n + i] = __clzll(v);
    out[2 * n + i] = __ffsll(v);
    out[3 * n + i] = __brevll(v);
    out[4 * n + i] = __umul64hi(v, w);
    out[5 * n + i] = __mul64hi((long long)v, (long long)w);
    out[6 * n + i] = llabs((long long)v);
    out[7 * n + i] = (long long)v >> 5;
    out[8 * n + i] = max((long long)v, (long long)w);
}

// How long Collatz's sequence is.
extern "C" __global__ void collatz(const unsigned int* start, int* length, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    ull x = start[i];
    int steps = 0;
    while (x != 1) {
        x = (x & 1) ? 3 * x + 1 : x / 2;
        ++steps;
    }
    length[i] = steps;
}

extern "C" __global__ void sieve_mark(bool* composite, long long limit)
{
    long long p = 2 + blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (p * p > limit) return;
    for (long long m = p * p; m <= limit; m += p) composite[m] = true;
}
