// Vector types: loads of four, members, constructors, and arrays of them.

extern "C" __global__ void add_float4(const float4* __restrict__ a, const float4* __restrict__ b,
                                      float4* __restrict__ c, int n4)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n4) {
        float4 x = a[i], y = b[i];
        c[i] = make_float4(x.x + y.x, x.y + y.y, x.z + y.z, x.w + y.w);
    }
}

// Four scalars at once through a reinterpreted pointer, the rest one by one.
extern "C" __global__ void copy_vectorised(const int* d_in, int* d_out, int N)
{
    int idx = blockIdx.x * blockDim.x + threadIdx.x;
    for (int i = idx; i < N / 4; i += blockDim.x * gridDim.x) {
        reinterpret_cast<int4*>(d_out)[i] = reinterpret_cast<const int4*>(d_in)[i];
    }
    // in only one thread, process final elements (if there are any)
    int remainder = N % 4;
    if (idx == N / 4 && remainder != 0) {
        while (remainder) {
            int idx = N - remainder--;
            d_out[idx] = d_in[idx];
        }
    }
}

__device__ float3 cross(float3 a, float3 b)
{
    return make_float3(a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x);
}

__device__ float dot(float3 a, float3 b) { return a.x * b.x + a.y * b.y + a.z * b.z; }

__device__ float3 normalize(float3 v)
{
    float inv = rsqrtf(dot(v, v));
    return make_float3(v.x * inv, v.y * inv, v.z * inv);
}

// float3 has 12 bytes and lies without gaps.
extern "C" __global__ void triangle_normals(const float3* __restrict__ vertices, const int3* __restrict__ faces,
                                            float3* __restrict__ normals, int num_faces)
{
    int f = blockIdx.x * blockDim.x + threadIdx.x;
    if (f >= num_faces) return;
    int3 face = faces[f];
    float3 a = vertices[face.x], b = vertices[face.y], c = vertices[face.z];
    float3 u = make_float3(b.x - a.x, b.y - a.y, b.z - a.z);
    float3 v = make_float3(c.x - a.x, c.y - a.y, c.z - a.z);
    normals[f] = normalize(cross(u, v));
}

extern "C" __global__ void split_channels(const uchar3* __restrict__ bgr, unsigned char* __restrict__ planes,
                                          int2 size)
{
    uint2 p;
    p.x = blockIdx.x * blockDim.x + threadIdx.x;
    p.y = blockIdx.y * blockDim.y + threadIdx.y;
    if (p.x >= size.x || p.y >= size.y) return;
    unsigned int at = p.y * size.x + p.x, plane = size.x * size.y;
    uchar3 pixel = bgr[at];
    planes[at] = pixel.z;
    planes[plane + at] = pixel.y;
    planes[2 * plane + at] = pixel.x;
}

extern "C" __global__ void rotate_points(const float2* in, float2* out, const float4 matrix, float2 shift, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        float2 p = in[i];
        out[i].x = matrix.x * p.x + matrix.y * p.y + shift.x;
        out[i].y = matrix.z * p.x + matrix.w * p.y + shift.y;
    }
}

extern "C" __global__ void pack_shorts(const short4* in, long2* out, const ushort2* lanes, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    short4 s = in[i];
    long2 sums = make_long2(s.x + s.y, s.z * (long)s.w);
    sums.x += lanes[i].x;
    sums.y -= lanes[i].y;
    out[i] = sums;
}
