// Text: search, case, word counts, edit distance by diagonals.

extern "C" __global__ void count_matches(const char* text, int n, const char* pattern, int m, int* count)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i > n - m) return;
    int j = 0;
    while (j < m && text[i + j] == pattern[j]) j++;
    if (j == m) atomicAdd(count, 1);
}

// Every position of any occurrence, unordered: the counter hands out places.
extern "C" __global__ void find_matches(const char* __restrict__ text, int n, const char* __restrict__ pattern,
                                        int m, int* __restrict__ positions, int* __restrict__ found)
{
    extern __shared__ char needle[];
    for (int j = threadIdx.x; j < m; j += blockDim.x) needle[j] = pattern[j];
    __syncthreads();
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i + m <= n; i += blockDim.x * gridDim.x) {
        bool match = true;
        for (int j = 0; j < m; j++)
            if (text[i + j] != needle[j]) { match = false; break; }
        if (match) positions[atomicAdd(found, 1)] = i;
    }
}

__device__ bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

extern "C" __global__ void swap_case(char* text, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n && is_letter(text[i])) text[i] ^= 0x20;
}

extern "C" __global__ void count_words(const char* text, int n, int* words)
{
    int i = threadIdx.x + blockIdx.x * blockDim.x;
    if (i < n && is_letter(text[i]) && (i == 0 || !is_letter(text[i - 1]))) atomicAdd(words, 1);
}

// One antidiagonal of Levenshtein's table; the host keeps three of them.
extern "C" __global__ void levenshtein_diagonal(const char* a, const char* b, const int* before,
                                                const int* last, int* now, int diagonal, int la, int lb)
{
    int i = max(0, diagonal - lb) + blockIdx.x * blockDim.x + threadIdx.x;
    if (i > min(la, diagonal)) return;
    int j = diagonal - i;
    int cost;
    if (i == 0) cost = j;
    else if (j == 0) cost = i;
    else {
        int substitute = before[i - 1] + (a[i - 1] != b[j - 1]);
        cost = min(substitute, 1 + min(last[i - 1], last[i]));
    }
    now[i] = cost;
}
