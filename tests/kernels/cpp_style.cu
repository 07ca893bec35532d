// C++ without templates: overloads, references, classes, constexpr, enum class, lambdas, casts.

constexpr int kBlock = 64;

enum class Op : int { Add, Subtract, Multiply };

__device__ int apply(Op op, int a, int b)
{
    switch (op) {
    case Op::Add: return a + b;
    case Op::Subtract: return a - b;
    case Op::Multiply: return a * b;
    }
    return 0;
}

extern "C" __global__ void calculator(const int *ops, const int *a, const int *b, int *out, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = apply(static_cast<Op>(ops[i]), a[i], b[i]);
}

__device__ float magnitude(float v) { return fabsf(v); }
__device__ float magnitude(float2 v) { return sqrtf(v.x * v.x + v.y * v.y); }
__device__ float magnitude(const float3& v) { return sqrtf(v.x * v.x + v.y * v.y + v.z * v.z); }

extern "C" __global__ void magnitudes(const float* data, float* out, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    const float* p = data + 3 * i;
    out[3 * i] = magnitude(p[0]);
    out[3 * i + 1] = magnitude(make_float2(p[0], p[1]));
    out[3 * i + 2] = magnitude(make_float3(p[0], p[1], p[2]));
}

__device__ float3 operator+(const float3 &a, const float3 &b) { return make_float3(a.x + b.x, a.y + b.y, a.z + b.z); }
__device__ float3 operator*(float s, const float3 &a) { return make_float3(s * a.x, s * a.y, s * a.z); }
__device__ float dot(const float3 &a, const float3 &b) { return a.x * b.x + a.y * b.y + a.z * b.z; }

// Where rays from the origin hit spheres: the smallest distance, or -1.
class Sphere {
public:
    float3 center;
    float radius;

    __device__ bool hit(const float3& direction, float& t) const
    {
        float b = dot(direction, center);
        float c = dot(center, center) - radius * radius;
        float disc = b * b - c;
        if (disc < 0.0f) return false;
        t = b - sqrtf(disc);
        return t > 0.0f;
    }
};

extern "C" __global__ void trace_rays(const float3* directions, const float4* spheres, int num_spheres,
                                      float* distances, float3* points, int n)
{
    __shared__ float4 cached[kBlock];
    if (threadIdx.x < num_spheres) cached[threadIdx.x] = spheres[threadIdx.x];
    __syncthreads();
    int i = blockIdx.x * kBlock + threadIdx.x;
    if (i >= n) return;
    float nearest = -1.0f;
    for (int s = 0; s < num_spheres; s++) {
        Sphere sphere{make_float3(cached[s].x, cached[s].y, cached[s].z), cached[s].w};
        float t;
        if (sphere.hit(directions[i], t) && (nearest < 0.0f || t < nearest)) nearest = t;
    }
    distances[i] = nearest;
    points[i] = nearest * directions[i] + make_float3(0.0f, 0.0f, 0.0f);
}

// A generator kept as a class with state, its default argument, and a lambda that captures.
struct XorShift {
    unsigned int state;
    __device__ explicit XorShift(unsigned int seed = 2463534242u) : state(seed) {}
    __device__ unsigned int next()
    {
        state ^= state << 13;
        state ^= state >> 17;
        return state ^= state << 5;
    }
};

extern "C" __global__ void xorshift_walk(unsigned int* out, int n, int steps, unsigned int mask)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    XorShift generator(static_cast<unsigned int>(i) + 1u);
    auto masked = [&generator, mask]() { return generator.next() & mask; };
    unsigned int sum = 0;
    for (int s = 0; s < steps; ++s) sum += masked();
    out[i] = sum;
}
