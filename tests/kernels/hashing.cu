// Hashes and the bit intrinsics.

__constant__ unsigned int crc_table[256];

extern "C" __global__ void crc32_records(const unsigned char* __restrict__ data, const int* __restrict__ offsets,
                                         unsigned int* __restrict__ crc, int records)
{
    int r = blockIdx.x * blockDim.x + threadIdx.x;
    if (r >= records) return;
    unsigned int c = 0xFFFFFFFFu;
    for (int i = offsets[r]; i < offsets[r + 1]; i++)
        c = crc_table[(c ^ data[i]) & 0xFF] ^ (c >> 8);
    crc[r] = c ^ 0xFFFFFFFFu;
}

extern "C" __global__ void fnv1a_strings(const char* text, const int* starts, const int* lengths,
                                         unsigned long long* out, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        unsigned long long h = 14695981039346656037ULL;
        const char *s = text + starts[i];
        for (int k = 0; k < lengths[i]; k++) {
            h ^= (unsigned char)s[k];
            h *= 1099511628211ULL;
        }
        out[i] = h;
    }
}

__device__ unsigned int murmur3_finalise(unsigned int h)
{
    h ^= h >> 16;
    h *= 0x85ebca6b;
    h ^= h >> 13;
    h *= 0xc2b2ae35;
    h ^= h >> 16;
    return h;
}

extern "C" __global__ void murmur_mix(const unsigned int* in, unsigned int* out, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = murmur3_finalise(in[i]);
}

// A row for each intrinsic: population count, leading zeros, first set bit, reversal, bytes, shifts.
extern "C" __global__ void bit_intrinsics(const unsigned int* __restrict__ in, int* __restrict__ out, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    unsigned int v = in[i], w = in[n - 1 - i];
    out[0 * n + i] = __popc(v);
    out[1 * n + i] = __clz(v);
    out[2 * n + i] = __ffs(v);
    out[3 * n + i] = __brev(v);
    out[4 * n + i] = __byte_perm(v, w, 0x5140);
    out[5 * n + i] = __umulhi(v, w);
    out[6 * n + i] = __mulhi((int)v, (int)w);
    out[7 * n + i] = __funnelshift_l(v, w, 7);
    out[8 * n + i] = __sad((int)v >> 1, (int)w >> 1, 5u);
    out[9 * n + i] = __mul24((int)(v & 0xffff), (int)(w & 0x7f));
}

// Open addressing with linear probing: insert by compare-and-swap, then look up.
#define EMPTY 0xFFFFFFFFu

extern "C" __global__ void hash_insert(unsigned int* keys, unsigned int* values, unsigned int capacity,
                                       const unsigned int* in_keys, const unsigned int* in_values, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    unsigned int key = in_keys[i];
    unsigned int slot = murmur3_finalise(key) & (capacity - 1);
    while (true) {
        unsigned int prev = atomicCAS(&keys[slot], EMPTY, key);
        if (prev == EMPTY || prev == key) {
            values[slot] = in_values[i];
            return;
        }
        slot = (slot + 1) & (capacity - 1);
    }
}

extern "C" __global__ void hash_lookup(const unsigned int* keys, const unsigned int* values,
                                       unsigned int capacity, const unsigned int* wanted,
                                       unsigned int* found, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    unsigned int slot = murmur3_finalise(wanted[i]) & (capacity - 1);
    for (;;) {
        if (keys[slot] == wanted[i]) { found[i] = values[slot]; break; }
        if (keys[slot] == EMPTY) { found[i] = EMPTY; break; }
        slot = (slot + 1) & (capacity - 1);
    }
}
