// Structures: by value as arguments, in arrays, nested, as unions, with arrays and enums inside.

typedef struct {
    float3 position;
    float mass;
    int id;
    unsigned char alive;
} Particle;

struct Params {
    float dt;
    float gravity;
    int steps;
    float bounds[2];
};

extern "C" __global__ void move_particles(Particle* particles, float3* velocities, Params params, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    Particle p = particles[i];
    float3 v = velocities[i];
    for (int s = 0; s < params.steps && p.alive; s++) {
        v.y -= params.gravity * params.dt;
        p.position.x += v.x * params.dt;
        p.position.y += v.y * params.dt;
        p.position.z += v.z * params.dt;
        if (p.position.y < params.bounds[0] || p.position.y > params.bounds[1]) p.alive = 0;
    }
    particles[i] = p;
    velocities[i] = v;
}

enum Shape { CIRCLE, SQUARE = 4, TRIANGLE };

struct Figure {
    enum Shape shape;
    float a, b;
};

__device__ float area(const Figure *figure)
{
    switch (figure->shape) {
    case CIRCLE:
        return 3.14159265f * figure->a * figure->a;
    case SQUARE:
        return figure->a * figure->a;
    case TRIANGLE:
        return 0.5f * figure->a * figure->b;
    default:
        return -1.0f;
    }
}

extern "C" __global__ void areas(const Figure* figures, float* out, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = area(&figures[i]);
}

// A union to look at the bits of a float.
union FloatBits {
    float f;
    unsigned int u;
};

extern "C" __global__ void split_floats(const float* in, int* exponent, unsigned int* mantissa, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        FloatBits bits;
        bits.f = in[i];
        exponent[i] = (int)((bits.u >> 23) & 0xff) - 127;
        mantissa[i] = bits.u & ((1u << 23) - 1);
    }
}

struct Node {
    int left, right;
    float split;
    unsigned short axis;
};

// A tree walk without recursion: nodes of a k-d tree, leaves are negative.
extern "C" __global__ void tree_descend(const Node* __restrict__ nodes, const float2* __restrict__ queries,
                                        int* __restrict__ leaf, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    const Node *node = &nodes[0];
    int next;
    while (true) {
        float key = node->axis == 0 ? queries[i].x : queries[i].y;
        next = key < node->split ? node->left : node->right;
        if (next < 0) break;
        node = &nodes[next];
    }
    leaf[i] = ~next;
}
